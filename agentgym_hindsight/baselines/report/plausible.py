"""Which numbers of a run's files the page can show, and the reason why another value is left out."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, isnan
from typing import Any

from agentgym_hindsight.short_repr import short_repr

__all__ = ["LARGEST", "SMALLEST", "fault", "number"]

#: Sizes beyond these are no measurements. Within them, squares and sums do not overflow, so neither does an axis.
LARGEST, SMALLEST = 1e100, 1e-100


def number(row: Mapping[str, Any], key: str) -> float | None:
    """The value if it is a number that the page can show, else None.

    >>> number({"loss": 2, "gap": float("nan")}, "loss"), number({"gap": float("nan")}, "gap")
    (2.0, None)
    """
    value = row.get(key)
    return float(value) if value is not None and not fault(value) else None


def fault(value: object, share: bool = False) -> str:
    """Why the page cannot show a value as a number; "" if it can. With ``share`` it has to lie between 0 and 1.

    >>> fault(0.5), fault(10**400), fault([1])
    ('', 'an integer of more than 100 digits', 'the list [1], not a number')
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return f"the {type(value).__name__} {short_repr(value, 40)}, not a number"
    if isinstance(value, int) and abs(value) > LARGEST:
        return "an integer of more than 100 digits"
    size = abs(float(value))
    if isnan(size) or size == inf:
        return "NaN" if isnan(size) else "infinite"
    if size > LARGEST:
        return f"{value:.3g}, beyond ±{LARGEST:.0e}"
    if 0 < size < SMALLEST:
        return f"{value:.3g}, closer to 0 than {SMALLEST:.0e}"
    if share and not -1e-6 <= value <= 1 + 1e-6:
        return f"{value:.3g}, not a share between 0 and 1"
    return ""
