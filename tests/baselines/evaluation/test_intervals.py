"""Intervals compared with published tables."""

from __future__ import annotations

from math import inf, nan

import pytest

from agentgym_hindsight.baselines.evaluation.intervals import t_interval, t_quantile, wilson
from agentgym_hindsight.errors import UsageError


# Computed by hand from (p + z²/2n ± z·sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n) with z = 1.959964.
@pytest.mark.parametrize(
    ("won", "n", "low", "high"),
    [(8, 10, 0.490162, 0.943318), (0, 10, 0.0, 0.277533), (10, 10, 0.722467, 1.0), (50, 100, 0.403832, 0.596168)],
)
def test_wilson(won: int, n: int, low: float, high: float) -> None:
    assert wilson(won, n) == pytest.approx((low, high), abs=1e-6)


def test_wilson_without_trials_and_with_wrong_arguments() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    with pytest.raises(UsageError, match="3 of 2"):
        wilson(3, 2)
    with pytest.raises(UsageError, match=r"try 0\.95"):
        wilson(1, 2, 95)


# The printed table of Student's distribution, two-sided.
@pytest.mark.parametrize(
    ("freedom", "at_90", "at_95", "at_99"),
    [
        (1, 6.314, 12.706, 63.657),
        (2, 2.920, 4.303, 9.925),
        (3, 2.353, 3.182, 5.841),
        (4, 2.132, 2.776, 4.604),
        (5, 2.015, 2.571, 4.032),
        (9, 1.833, 2.262, 3.250),
        (10, 1.812, 2.228, 3.169),
        (29, 1.699, 2.045, 2.756),
        (120, 1.658, 1.980, 2.617),
        (1000, 1.646, 1.962, 2.581),
    ],
)
def test_student(freedom: int, at_90: float, at_95: float, at_99: float) -> None:
    result = [t_quantile(freedom, confidence) for confidence in (0.90, 0.95, 0.99)]
    assert result == pytest.approx([at_90, at_95, at_99], abs=6e-4)


def test_a_mean_over_seeds() -> None:
    # s = 0.02, so that the half-width is 4.302653 · 0.02 / √3.
    assert t_interval([0.60, 0.62, 0.64]) == pytest.approx((0.62, 0.0496828), abs=1e-6)
    assert t_interval(iter([0.5, 0.5])) == (0.5, 0.0)
    assert t_interval([0.5]) == (0.5, inf), "the variance between runs is unknown"


def test_wrong_arguments_are_refused() -> None:
    for values in ([], [0.5, nan]):
        with pytest.raises(UsageError, match="all finite"):
            t_interval(values)
    with pytest.raises(UsageError, match="degree of freedom"):
        t_quantile(0)
    with pytest.raises(UsageError, match=r"try 0\.95"):
        t_quantile(3, 1.0)
