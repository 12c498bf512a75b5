"""Confidence intervals: Wilson's for the success rate of one run, Student's t for a mean over seeds."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from math import cos, inf, isfinite, pi, sin, sqrt, tan
from statistics import NormalDist, fmean, stdev
from typing import NamedTuple

from agentgym_hindsight.errors import UsageError

__all__ = ["MeanInterval", "t_interval", "t_quantile", "wilson"]


class MeanInterval(NamedTuple):
    """``mean ± half``."""

    mean: float
    half: float


def wilson(successes: float, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion. Its coverage is good for small n and near 0 and 1.

    >>> low, high = wilson(8, 10)
    >>> round(low, 4), round(high, 4)
    (0.4902, 0.9433)
    """
    if trials < 0 or not 0 <= successes <= trials:
        raise UsageError(f"Expected 0 ≤ successes ≤ trials, got {successes} of {trials}; try 8 of 10.")
    _check(confidence)
    if trials == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share, scale = successes / trials, 1 + z * z / trials
    centre = (share + z * z / (2 * trials)) / scale
    half = z * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / scale
    # At 0 or n successes the bound is exactly 0 or 1; the formula would have a rounding error of 1e-17.
    return (0.0 if successes == 0 else centre - half), (1.0 if successes == trials else centre + half)


def t_interval(values: Iterable[float], confidence: float = 0.95) -> MeanInterval:
    """The mean of runs with different seeds, and half the width of its confidence interval.

    For one run the half-width is infinite, because the variance between runs is unknown.

    >>> mean, half = t_interval([0.5, 0.6, 0.7])
    >>> round(mean, 4), round(half, 4)
    (0.6, 0.2484)
    """
    sample = [float(value) for value in values]
    if not sample or not all(map(isfinite, sample)):
        raise UsageError(f"Expected one number or more, all finite, got {sample}; try leaving out broken runs.")
    if len(sample) == 1:
        return MeanInterval(sample[0], inf)
    half = t_quantile(len(sample) - 1, confidence) * stdev(sample) / sqrt(len(sample))
    return MeanInterval(fmean(sample), half)


@lru_cache(maxsize=256)
def t_quantile(freedom: int, confidence: float = 0.95) -> float:
    """The t with ``P(|T| ≤ t) = confidence`` for Student's distribution.

    >>> round(t_quantile(2), 3), round(t_quantile(4), 3)
    (4.303, 2.776)
    """
    if freedom < 1:
        raise UsageError(f"Expected at least one degree of freedom, got {freedom}; try two values or more.")
    _check(confidence)
    # As a function of the angle θ = arctan(t/√ν) the probability is a finite sum that increases with θ, so 60 bisection
    # steps find θ to float64 precision.
    low, high = 0.0, pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _probability_within(middle, freedom) < confidence else (low, middle)
    return sqrt(freedom) * tan((low + high) / 2)


def _probability_within(angle: float, freedom: int) -> float:
    """``P(|T| ≤ √ν·tan θ)``, exact for whole ν (Abramowitz and Stegun, 26.7.3 and 26.7.4)."""
    square = cos(angle) ** 2
    odd = freedom % 2
    term = total = cos(angle) if odd else 1.0
    for k in range(2 + odd, freedom - 1, 2):
        term *= square * (k - 1) / k
        total += term
    if not odd:
        return sin(angle) * total
    return 2 / pi * (angle + (sin(angle) * total if freedom > 1 else 0.0))


def _check(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise UsageError(f"Expected a confidence between 0 and 1, got {confidence}; try 0.95.")
