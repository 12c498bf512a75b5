"""Short reprs: one line of bounded length for values that hold whole pages of text."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nsmallest
from itertools import islice

__all__ = ["quoted", "short_repr"]

_ITEMS, _DEPTH, _TEXT = 6, 3, 60


def quoted(text: str, width: int = _TEXT) -> str:
    r"""The text as a Python literal. A longer text than ``width`` ends with ``…``. Control characters are escapes.

    >>> print(quoted("one\ntwo\x1b"), quoted("a long text", 7))
    'one\ntwo\x1b' 'a long…'
    """
    return repr(str(text) if len(text) <= width else f"{text[: max(width - 1, 0)]}…")


def short_repr(value: object, width: int = 160) -> str:
    """The repr of a value in at most ``width`` characters: the first items of containers, the beginning of texts.

    >>> short_repr("go to the fridge", 12), short_repr(tuple(range(9)), 40)
    ("'go to the…'", '(0, 1, 2, 3, 4, 5, … 9 items)')
    """
    text = quoted(value, max(width - 2, 1)) if isinstance(value, str) else _short(value, _DEPTH)
    return text if len(text) <= width else f"{text[: max(width - 1, 0)]}…"


def _short(value: object, depth: int) -> str:
    if isinstance(value, str):
        return quoted(value)
    if hasattr(value, "tolist"):  # an array: its items, without NumPy's line breaks
        value = value.tolist()
    kind = type(value)
    if isinstance(value, dict) and kind.__repr__ is dict.__repr__:
        pairs = ((key, value[key]) for key in islice(value, _ITEMS))
        texts = (f"{_short(key, 1)}: {_short(item, depth - 1)}" for key, item in pairs) if depth else ()
        return _joined("{", texts, len(value), "}")
    if isinstance(value, list) and kind.__repr__ is list.__repr__:
        return _joined("[", _texts(value, depth), len(value), "]")
    if isinstance(value, tuple) and kind.__repr__ is tuple.__repr__:
        return _joined("(", _texts(value, depth), len(value), ",)" if len(value) == 1 else ")")
    if isinstance(value, (set, frozenset)):  # sorted, because the order of a set depends on the hash seed
        return _joined(f"{kind.__name__}({{", nsmallest(_ITEMS, _texts(value, depth, len(value))), len(value), "})")
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        named = islice(zip(value._fields, value, strict=True), _ITEMS)
        fields = [f"{name}={_short(item, depth - 1)}" for name, item in named] if depth else []
        return _joined(f"{kind.__name__}(", fields, len(value), ")")
    try:
        return repr(value)
    except Exception:  # a broken object, or an integer too long to print, must not hide the other values
        return f"<{kind.__name__}>"


def _texts(values: Iterable[object], depth: int, count: int = _ITEMS) -> Iterable[str]:
    return (_short(value, depth - 1) for value in islice(values, count)) if depth else ()


def _joined(start: str, texts: Iterable[str], size: int, end: str) -> str:
    shown = list(texts)
    rest = [] if len(shown) == size else [f"… {size} items" if shown else "…"]
    return f"{start}{', '.join([*shown, *rest])}{end}"
