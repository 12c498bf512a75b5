"""The difference between two policies on the same tasks. Pairing removes the variance between tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, sqrt
from statistics import fmean
from typing import NamedTuple

from agentgym_hindsight.baselines.evaluation.intervals import t_interval, wilson
from agentgym_hindsight.errors import UsageError

__all__ = ["PairedDifference", "newcombe_paired", "paired_difference"]


class PairedDifference(NamedTuple):
    """The mean difference over the tasks, with its 95 % interval."""

    mean: float
    low: float
    high: float
    tasks: int


def paired_difference(
    outcomes: Mapping[str, Sequence[bool]], reference: Mapping[str, Sequence[bool]]
) -> PairedDifference:
    """Success minus that of the reference, over the tasks that both have played; outcomes by task, one per seed.

    One seed: Newcombe's interval for paired proportions, which uses Wilson's and holds for few tasks. Several seeds:
    Student's t over the tasks' differences of mean success.

    >>> difference = paired_difference({"1f": [True], "2e": [True]}, {"1f": [False], "2e": [True]})
    >>> difference.mean, round(difference.low, 2), round(difference.high, 2)
    (0.5, -0.27, 0.91)
    """
    tasks = [task for task in outcomes if task in reference]
    pairs = [(outcomes[task], reference[task]) for task in tasks]
    if not pairs or not all(first and second for first, second in pairs):
        raise UsageError("Expected outcomes of both policies on at least one task, got none; try the same panel.")
    if all(len(first) == len(second) == 1 for first, second in pairs):
        cells = [(bool(first[0]), bool(second[0])) for first, second in pairs]
        mean = (cells.count((True, False)) - cells.count((False, True))) / len(cells)
        low, high = newcombe_paired(*(cells.count(each) for each in _CELLS))
        return PairedDifference(mean, low, high, len(tasks))
    interval = t_interval(fmean(first) - fmean(second) for first, second in pairs)
    half = interval.half if isfinite(interval.half) else 2.0
    return PairedDifference(interval.mean, max(interval.mean - half, -1.0), min(interval.mean + half, 1.0), len(tasks))


#: The arguments of :func:`newcombe_paired`: (first won, second won).
_CELLS = ((True, True), (True, False), (False, True), (False, False))


def newcombe_paired(both: int, first: int, second: int, neither: int) -> tuple[float, float]:
    """95 % interval of the difference of two paired proportions: Newcombe (1998), Statistics in Medicine 17, method 10.

    The counts are of tasks that both, only the first, only the second, or neither policy solved.

    >>> low, high = newcombe_paired(36, 12, 2, 0)
    >>> round(low, 4), round(high, 4)
    (0.0569, 0.3404)
    """
    count = both + first + second + neither
    if count == 0:
        return -1.0, 1.0
    won, reference = both + first, both + second
    p, q = won / count, reference / count
    (p_low, p_high), (q_low, q_high) = wilson(won, count), wilson(reference, count)
    marginals = won * (count - won) * reference * (count - reference)
    excess: float = both * neither - first * second
    if excess > 0:  # continuity correction
        excess = max(excess - count / 2, 0)
    correlation = excess / sqrt(marginals) if marginals else 0.0
    below = (p - p_low) ** 2 - 2 * correlation * (p - p_low) * (q_high - q) + (q_high - q) ** 2
    above = (p_high - p) ** 2 - 2 * correlation * (p_high - p) * (q - q_low) + (q - q_low) ** 2
    return p - q - sqrt(max(below, 0.0)), p - q + sqrt(max(above, 0.0))
