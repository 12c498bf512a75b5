"""Removes values from ``metrics.jsonl`` that cannot be shown, and names each metric once with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from agentgym_hindsight.baselines.report.metric_list import NUMBERS, SHARES
from agentgym_hindsight.baselines.report.plausible import fault
from agentgym_hindsight.baselines.report.token_weights import gaps_fault, histogram_fault
from agentgym_hindsight.short_repr import quoted

__all__ = ["checked_metrics"]

#: Metrics that are no single numbers.
_TABLES: Mapping[str, Callable[[object], str]] = {"weights": histogram_fault, "gap_by_source": gaps_fault}
_MOST_NAMED = 40


def checked_metrics(rows: Iterable[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows without values that cannot be shown, and the reasons. ``null`` is a missing value, no fault."""
    faults: dict[str, list[tuple[int, str]]] = {}
    checked = []
    for row in rows:
        bad = {key: reason for key, value in row.items() if value is not None and (reason := _fault(key, value))}
        for key, reason in bad.items():
            faults.setdefault(key, []).append((row["update"], reason))
        checked.append({key: value for key, value in row.items() if key not in bad})
    named = [_sentence(key, where) for key, where in faults.items()]
    if len(named) > _MOST_NAMED:
        named[_MOST_NAMED:] = [f"{len(named) - _MOST_NAMED} more metrics have values that cannot be shown"]
    return checked, named


def _fault(key: str, value: object) -> str:
    if key in _TABLES:
        return _TABLES[key](value)
    # A value of the user's own may be text or a list; the page only shows the numbers.
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return fault(value, key in SHARES) if is_number or key in NUMBERS else ""


def _sentence(key: str, where: list[tuple[int, str]]) -> str:
    update, reason = where[0]
    more = len(where) - 1
    count = f" and in {more} more update{'' if more == 1 else 's'}" if more else ""
    return f"{quoted(key)} is {reason}, in update {update}{count}; left out"
