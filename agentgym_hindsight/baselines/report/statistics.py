"""Means over a few seeds, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite

from agentgym_hindsight.baselines.evaluation.intervals import t_interval
from agentgym_hindsight.baselines.evaluation.results import CategoryResult
from agentgym_hindsight.errors import UsageError

__all__ = ["Estimate", "mean", "share_of", "t_interval", "values_of"]


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean of one or more values."""
    if not values:
        raise UsageError("Expected at least one value, got none; try omitting the figure.")
    return sum(values) / len(values)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its 95 % interval, if it has one."""

    value: float
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if (self.low is None) is not (self.high is None):
            raise UsageError(
                f"Expected both ends of an interval or neither, got {self.low} and {self.high}; try both as None."
            )


def values_of(values: Sequence[float], minimum: float = -inf, maximum: float = inf) -> Estimate:
    """The mean over seeds and its t interval, cut at ``minimum`` and ``maximum``. A single seed has no interval.

    >>> values_of([0.5])
    Estimate(value=0.5, low=None, high=None)
    """
    middle, half = t_interval(values)
    if not isfinite(half):
        return Estimate(middle)
    return Estimate(middle, max(minimum, middle - half), min(maximum, middle + half))


def share_of(rows: Sequence[CategoryResult]) -> Estimate:
    """Success over seeds, one row per seed. A single seed gets Wilson's interval over its games."""
    if len(rows) == 1:
        return Estimate(rows[0].success, *rows[0].interval)
    return values_of([row.success for row in rows], 0.0, 1.0)
