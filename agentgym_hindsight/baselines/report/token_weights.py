"""The histogram of token weights and the gaps by source, as they stand in ``metrics.jsonl``."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from agentgym_hindsight.baselines.report.plausible import fault, number
from agentgym_hindsight.short_repr import quoted, short_repr

__all__ = ["gaps_fault", "gaps_of", "histogram_fault", "histogram_of"]

#: More than the trainer writes; a page of more would not open.
_MOST_BINS, _MOST_SOURCES = 500, 40


def histogram_of(row: Mapping[str, Any]) -> tuple[list[float], list[float]] | None:
    """The edges and the counts of the bins, or None."""
    bins = row.get("weights")
    if not isinstance(bins, Mapping) or histogram_fault(bins):
        return None
    return list(map(float, bins["edges"])), list(map(float, bins["counts"]))


def histogram_fault(bins: object) -> str:
    """Why the value is no histogram; "" if it is one."""
    if not isinstance(bins, Mapping):
        return f"the {type(bins).__name__} {short_repr(bins, 40)}, not a histogram"
    edges, counts = bins.get("edges"), bins.get("counts")
    if not isinstance(edges, list) or not isinstance(counts, list):
        return "a histogram without lists of edges and counts"
    if len(edges) != len(counts) + 1 or not counts or len(counts) > _MOST_BINS:
        return f"a histogram with {len(edges)} edges for {len(counts)} bins"
    for value in (*edges, *counts):
        if reason := fault(value):
            return f"a histogram with {reason}"
    if not all(low < high for low, high in pairwise(edges)):
        return "a histogram whose edges do not rise"
    if min(counts) < 0 or sum(counts) <= 0:
        return "a histogram whose counts are not positive"
    return ""


def gaps_of(row: Mapping[str, Any]) -> dict[str, tuple[float, float, float]]:
    """By source: the signed mean, the absolute mean, and the number of rows."""
    gaps = row.get("gap_by_source")
    if not isinstance(gaps, Mapping) or gaps_fault(gaps):
        return {}
    return {
        source: (signed, number(gap, "abs") or 0.0, max(0.0, number(gap, "rows") or 0.0))
        for source, gap in gaps.items()
        if (signed := number(gap, "mean")) is not None
    }


def gaps_fault(gaps: object) -> str:
    """Why the value holds no gaps by source; "" if it does."""
    if not isinstance(gaps, Mapping):
        return f"the {type(gaps).__name__} {short_repr(gaps, 40)}, not an object of gaps by source"
    if len(gaps) > _MOST_SOURCES:
        return f"an object of {len(gaps)} sources"
    for source, gap in gaps.items():
        if not isinstance(gap, Mapping):
            return f"{short_repr(gap, 40)} for {quoted(source)}, not an object with a mean"
        for name in ("mean", "abs", "rows"):
            if gap.get(name) is not None and (reason := fault(gap[name])):
                return f"{reason}, as the {name} of {quoted(source)}"
    return ""
