"""The public state of an API object as plain values: for the state key, and to say what changed.

The checkers of the benchmark compare the attributes without an underscore; so do these values. Texts above
``LONGEST`` characters are shortened to their beginning and a hash.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from agentgym_hindsight.tasks import content_hash

__all__ = ["LONGEST", "MOST_VALUES", "folder_of", "plain_state", "state_text"]

#: Characters of a text that is kept whole.
LONGEST = 200
#: Values of one object. Copied folders share their contents, so a tree can be larger than its memory.
MOST_VALUES = 20_000
_CUT = "…"


def state_text(instance: Any) -> str:
    """The state as canonical text: equal states have equal texts.

    >>> class Box:
    ...     def __init__(self): self.items, self._private = {"b": [1, 2.0], "a": None}, 3
    >>> state_text(Box())
    '{"items":{"a":null,"b":[1,2.0]}}'
    """
    return json.dumps(plain_state(instance), separators=(",", ":"))


def plain_state(instance: Any) -> dict[str, Any]:
    """The public attributes as dicts, lists, texts and numbers. An object in itself is cut, and so is a deep one."""
    try:
        state: dict[str, Any] = _Walk().attributes(instance)
    except RecursionError:  # folders in folders, a thousand levels deep
        return {"too deep": True}
    return state


def folder_of(instance: Any) -> str:
    """The path of the current folder of a file system; "" for other objects. It is private, but part of the state."""
    names: list[str] = []
    folder = getattr(instance, "_current_dir", None)
    while folder is not None and len(names) < 1000:
        names.append(str(folder.name))
        folder = folder.parent
    return "/".join(reversed(names))


class _Walk:
    """One walk over a state, as a tree."""

    def __init__(self) -> None:
        self.values = 0
        self.above: set[int] = set()

    def attributes(self, instance: Any) -> dict[str, Any]:
        mark = id(instance)
        if mark in self.above:
            return {"…": "the same object again"}
        self.above.add(mark)
        state = {
            name: self.plain(value)
            for name, value in sorted(vars(instance).items())
            if not name.startswith("_") and name != "parent"
        }
        self.above.discard(mark)
        return state

    def plain(self, value: Any) -> Any:
        kind = type(value)
        if kind is str:
            return value if len(value) <= LONGEST else _shortened(value)
        if kind is int:
            return value if -(2**63) < value < 2**63 else f"{value:#x}"
        if value is None or kind is bool or kind is float:
            return value
        self.values += 1
        if self.values > MOST_VALUES:
            return _CUT
        if kind is dict:
            return {
                key if type(key) is str else _key(key): inner if type(inner) in _SCALARS else self.plain(inner)
                for key, inner in sorted(value.items(), key=_order)
            }
        if kind is list or kind is tuple:
            return [inner if type(inner) in _SCALARS else self.plain(inner) for inner in value]
        if hasattr(value, "__dict__") and not isinstance(value, type):
            return self.attributes(value)
        return _shortened(str(value))


_SCALARS = frozenset({float, bool, type(None)})


def _order(item: tuple[Any, Any]) -> str:
    key = item[0]
    return key if type(key) is str else _key(key)


def _key(key: Any) -> str:
    return key if type(key) is str else f"#{key!r}"[:LONGEST]


@lru_cache(maxsize=4096)
def _shortened(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST - 80]}{_CUT} ({len(text)} characters, {content_hash(text)})"
