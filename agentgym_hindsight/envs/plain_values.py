"""Checks of plain data that was read from JSON: each function returns the value in its Python type, or raises.

A snapshot may come from a file. Its numbers become positions in lists and its texts become observations, so every
value is checked before it is used.
"""

from __future__ import annotations

import math
from typing import Any, NoReturn

from agentgym_hindsight.errors import SchemaError
from agentgym_hindsight.short_repr import short_repr

__all__ = ["flag", "mapping", "number", "reject", "row", "text", "texts", "whole"]


def reject(expected: str, value: object, where: str) -> NoReturn:
    """Raise the error for a value that does not fit."""
    raise SchemaError(
        f"Expected {expected} at {where} of the snapshot, got {short_repr(value, 60)}; try taking the snapshot again."
    )


def text(value: Any, where: str) -> str:
    """A text."""
    return value if type(value) is str else reject("text", value, where)


def flag(value: Any, where: str) -> bool:
    """True or False."""
    return value if type(value) is bool else reject("true or false", value, where)


def whole(value: Any, where: str, low: int, end: int) -> int:
    """An integer from ``low`` to ``end`` - 1."""
    if type(value) is not int or not low <= value < end:
        reject(f"an integer from {low} to {end - 1}", value, where)
    return value


def number(value: Any, where: str) -> float:
    """A finite number."""
    if type(value) not in (int, float) or not math.isfinite(value):
        reject("a finite number", value, where)
    return float(value)


def row(value: Any, where: str, length: int | None = None) -> list[Any]:
    """A list, of ``length`` items if it is given."""
    if not isinstance(value, list | tuple) or (length is not None and len(value) != length):
        reject("a list" if length is None else f"a list of {length} items", value, where)
    return list(value)


def texts(value: Any, where: str) -> tuple[str, ...]:
    """A list of texts, as a tuple."""
    return tuple(text(item, where) for item in row(value, where))


def mapping(value: Any, where: str) -> dict[str, Any]:
    """An object: a dict whose keys are texts."""
    if type(value) is not dict or not all(type(key) is str for key in value):
        reject("an object", value, where)
    result: dict[str, Any] = value
    return result
