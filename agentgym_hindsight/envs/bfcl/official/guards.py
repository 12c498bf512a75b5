"""Bounds for calls whose genuine computation would take very long or need very much memory.

A bound changes no result that a program could wait for: either the result is known without the computation, or the call
gets an error of its own, which begins with ``Error during execution: Refused``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import MAX_PREC, Decimal, Inexact, localcontext
from typing import Any

__all__ = [
    "MOST_DIGITS_IN_EPISODE",
    "MOST_PRECISION",
    "MOST_TREE",
    "Guarded",
    "RefusedError",
    "digits_of",
    "guarded",
    "overgrown",
]

#: Digits of ``logarithm`` and ``square_root`` in one call, which takes a few seconds, and in all calls of an episode.
MOST_PRECISION, MOST_DIGITS_IN_EPISODE = 20_000, 50_000
#: Files and folders of a file system, counted as often as they are found under different paths.
MOST_TREE = 3_000
#: Digits above which Python refuses to print a whole number, with a margin for the estimate.
_PRINTABLE = 4_400
#: Digits above which no machine has the memory for a number, and above which Python has no such number.
_NO_MEMORY, _NO_NUMBER = 1e14, 5e19

#: Takes the arguments by name; returns a result in place of the method's, or None to call the method.
Guarded = Callable[[Mapping[str, Any]], Any]


class RefusedError(Exception):
    """A call that is not carried out."""


class Unprintable:
    """A whole number with too many digits: printing it raises Python's own error."""

    def __repr__(self) -> str:
        return str(10**_PRINTABLE)


def _power(values: Mapping[str, Any]) -> Any:
    base, exponent = values.get("base"), values.get("exponent")
    if not (isinstance(base, int) and isinstance(exponent, int)) or exponent <= 0 or abs(base) < 2:
        return None
    if exponent > 4 * _PRINTABLE or exponent * math.log10(abs(base)) > _PRINTABLE:
        return {"result": Unprintable()}
    return None


def _round_number(values: Mapping[str, Any]) -> Any:
    number, places = values.get("number"), values.get("decimal_places", 0)
    if (
        isinstance(number, int)
        and isinstance(places, int)
        and places < 0
        and 10 ** min(-places, 5_000) > 2 * abs(number)
    ):
        return {"result": 0}  # what rounding gives, without a power of ten with as many digits
    return None


def _logarithm(values: Mapping[str, Any]) -> Any:
    digits, numbers = digits_of("logarithm", values), (values.get("value"), values.get("base"))
    if digits < _NO_MEMORY or not all(isinstance(each, (int, float)) and each > 0 for each in numbers):
        return None
    # What the method returns where it ends at all: no machine has the memory, or the number is too long for Python.
    return {"error": "" if digits < _NO_NUMBER else "too many digits in integer"}


def _square_root(values: Mapping[str, Any]) -> Any:
    digits, number = digits_of("square_root", values), values.get("number")
    if digits <= MOST_PRECISION or not isinstance(number, (int, float)) or not number >= 0:
        return None
    with localcontext() as context:
        context.prec = MOST_PRECISION // 10
        context.clear_flags()
        root = Decimal(number).sqrt()
        if not context.flags[Inexact]:  # more digits change nothing
            return {"result": root}
    if digits >= _NO_MEMORY:
        raise MemoryError
    return None


def digits_of(method: str, values: Mapping[str, Any]) -> float:
    """The digits that a call computes with; 0 for calls that have no precision, or one that is an error at once.

    >>> digits_of("logarithm", {"value": 8, "base": 2, "precision": 5})
    5.0
    """
    precision = values.get("precision")
    if method not in ("logarithm", "square_root") or (method == "square_root" and not _is_precision(precision)):
        return 0.0
    try:
        return float(precision)  # type: ignore[arg-type]  # other types raise
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):
        return 0.0


def _is_precision(value: Any) -> bool:
    """Whether Decimal takes it as a precision: for other values it raises an error at once."""
    return isinstance(value, int) and 1 <= value <= MAX_PREC


_GUARDS: Mapping[tuple[str, str], Guarded] = {
    ("MathAPI", "power"): _power,
    ("MathAPI", "round_number"): _round_number,
    ("MathAPI", "logarithm"): _logarithm,
    ("MathAPI", "square_root"): _square_root,
}


def guarded(class_name: str, method: str) -> Guarded | None:
    """The bound of a method, or None."""
    return _GUARDS.get((class_name, method))


def overgrown(root: Any) -> bool:
    """Whether a folder has more than :data:`MOST_TREE` entries as a tree. A folder in itself counts as one."""
    waiting, count = [(root, frozenset((id(root),)))], 0
    while waiting:
        folder, above = waiting.pop()
        for item in getattr(folder, "contents", {}).values():
            count += 1
            if count > MOST_TREE:
                return True
            if hasattr(item, "contents") and id(item) not in above:
                waiting.append((item, above | {id(item)}))
    return False
