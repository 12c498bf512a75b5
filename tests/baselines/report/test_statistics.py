"""Intervals over seeds, compared with tables of Student's t."""

from __future__ import annotations

import math
from statistics import stdev

import pytest

from agentgym_hindsight.baselines.evaluation.results import CategoryResult, wilson
from agentgym_hindsight.baselines.report.statistics import (
    Estimate,
    mean,
    share_of,
    t_interval,
    values_of,
)
from agentgym_hindsight.errors import UsageError

#: Degrees of freedom and the two-sided 95 % point, from the tables.
TABLE = [(1, 12.706205), (2, 4.302653), (3, 3.182446), (4, 2.776445), (9, 2.262157), (30, 2.042272), (120, 1.979930)]


@pytest.mark.parametrize(("freedom", "point"), TABLE)
def test_the_width_of_the_interval_is_that_of_the_tables(freedom: int, point: float) -> None:
    values = [float(value) for value in range(freedom + 1)]
    _, half = t_interval(values)
    assert half == pytest.approx(point * stdev(values) / math.sqrt(len(values)), rel=1e-6)


def test_interval_computed_by_hand() -> None:
    middle, half = t_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert middle == 3.0
    assert half == pytest.approx(2.776445 * math.sqrt(2.5 / 5), abs=1e-5)
    assert t_interval([0.4]) == (0.4, math.inf)
    assert t_interval([0.4, 0.4]) == (0.4, 0.0)


def test_intervals_are_cut_at_the_possible_values() -> None:
    assert values_of([0.9, 1.0], 0.0, 1.0).high == 1.0
    assert values_of([0.0, 0.2], 0.0, 1.0).low == 0.0
    assert values_of([0.3]) == Estimate(0.3)


def test_a_single_seed_has_wilsons_interval() -> None:
    row = CategoryResult("all", 10, 8, 0.8, 12.0, 0.0, 0)
    assert share_of([row]) == Estimate(0.8, *wilson(8, 10))
    assert share_of([row, row]) == Estimate(0.8, 0.8, 0.8)


def test_the_mean_of_no_values_is_refused() -> None:
    with pytest.raises(UsageError, match=r"Expected .* got .* try"):
        mean([])


def test_an_interval_with_one_end_is_refused() -> None:
    with pytest.raises(UsageError, match="both ends"):
        Estimate(0.5, 0.1)
