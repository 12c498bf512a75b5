"""Avg@k, Best@k and All@k: what several rollouts of each task say about a policy, with intervals over the tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import comb
from statistics import fmean
from typing import Any, NamedTuple

from agentgym_hindsight.baselines.evaluation.intervals import t_interval, wilson
from agentgym_hindsight.errors import UsageError

__all__ = ["AtK", "Share", "all_of", "at_k", "best_of"]


class Share(NamedTuple):
    """A share of the tasks, with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class AtK:
    """Means over the tasks. ``rollouts`` is the number of rollouts of a task, at least ``k``.

    ``average`` (Avg@k) is the share of the rollouts that won. ``best`` (Best@k, pass@k) is the probability that at
    least one of k rollouts wins, ``all`` (All@k, pass^k) that all of them win. ``best_by_k`` has Best@1, @2, @4, … @k.
    """

    k: int
    tasks: int
    rollouts: int
    average: Share
    best: Share
    all: Share
    best_by_k: Mapping[int, float]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        shares = {"average": self.average, "best": self.best, "all": self.all}
        return {
            "k": self.k,
            "tasks": self.tasks,
            "rollouts_per_task": self.rollouts,
            **{name: {"value": each.value, "interval": [each.low, each.high]} for name, each in shares.items()},
            "best_by_k": {str(size): value for size, value in self.best_by_k.items()},
        }


def best_of(won: int, rollouts: int, k: int) -> float:
    """The probability that k of the rollouts, drawn without replacement, contain one that won.

    It is the unbiased estimate of pass@k from ``rollouts`` ≥ k independent rollouts (Chen et al., 2021).

    >>> best_of(1, 4, 2), best_of(1, 2, 2), best_of(0, 8, 8)
    (0.5, 1.0, 0.0)
    """
    _check(won, rollouts, k)
    return 1 - comb(rollouts - won, k) / comb(rollouts, k)


def all_of(won: int, rollouts: int, k: int) -> float:
    """The probability that k of the rollouts, drawn without replacement, have all won: pass^k of tau-bench.

    >>> all_of(3, 4, 2), all_of(4, 4, 4)
    (0.5, 1.0)
    """
    _check(won, rollouts, k)
    return comb(won, k) / comb(rollouts, k)


def at_k(outcomes: Mapping[str, Sequence[bool]], k: int) -> AtK:
    """The three figures from the outcomes of each task's rollouts, of which there are k or more.

    The intervals are over the tasks, because rollouts of one task are alike. That of the average is Student's; where
    all tasks have one value, it is Wilson's. Those of the others are Wilson's, for which a task counts with its
    estimate; with more than k rollouts of a task they are wider than needed.

    >>> result = at_k({"1f": [True, False], "2e": [False, False], "3c": [True, True], "4d": [True, False]}, 2)
    >>> result.average.value, result.best.value, result.all.value
    (0.5, 0.75, 0.25)
    """
    if not outcomes:
        raise UsageError("Expected outcomes of at least one task, got none; try a panel with tasks.")
    counts = [(sum(map(bool, each)), len(each)) for each in outcomes.values()]
    sizes = sorted({k, *(2**power for power in range(k.bit_length()))} if k > 0 else {k})
    best = {size: _mean(counts, partial(best_of, k=size)) for size in sizes}
    averages = [won / rollouts for won, rollouts in counts]
    return AtK(
        k,
        len(counts),
        min(rollouts for _, rollouts in counts),
        _average(averages),
        _share(best[k], len(counts)),
        _share(_mean(counts, partial(all_of, k=k)), len(counts)),
        best,
    )


def _check(won: int, rollouts: int, k: int) -> None:
    if not 1 <= k <= rollouts:
        raise UsageError(f"Expected k from 1 to the {rollouts} rollouts of a task, got {k}; try more rollouts.")
    if not 0 <= won <= rollouts:
        raise UsageError(f"Expected 0 to {rollouts} won rollouts, got {won}; try counting them again.")


def _mean(counts: Sequence[tuple[int, int]], estimate: Callable[[int, int], float]) -> float:
    return fmean(estimate(won, rollouts) for won, rollouts in counts)


def _average(values: Sequence[float]) -> Share:
    mean = fmean(values)
    if min(values) == max(values):
        return _share(mean, len(values))
    half = t_interval(values).half
    return Share(mean, max(mean - half, 0.0), min(mean + half, 1.0))


def _share(value: float, tasks: int) -> Share:
    return Share(value, *wilson(min(value * tasks, tasks), tasks))
