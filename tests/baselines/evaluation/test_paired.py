"""The paired interval: published values, limits, and its coverage."""

from __future__ import annotations

from random import Random
from statistics import stdev

import pytest

from agentgym_hindsight.baselines.evaluation.intervals import t_quantile
from agentgym_hindsight.baselines.evaluation.paired import newcombe_paired, paired_difference
from agentgym_hindsight.errors import UsageError


def test_the_value_of_the_paper() -> None:
    """Newcombe (1998), table III, method 10: 36, 12, 2, 0."""
    assert newcombe_paired(36, 12, 2, 0) == pytest.approx((0.0569, 0.3404), abs=5e-5)


def test_swapping_the_policies_swaps_the_interval() -> None:
    low, high = newcombe_paired(20, 9, 3, 8)
    assert newcombe_paired(20, 3, 9, 8) == pytest.approx((-high, -low))


def test_equal_outcomes_do_not_give_an_interval_of_width_0() -> None:
    low, high = newcombe_paired(12, 0, 0, 0)
    assert low == pytest.approx(-high)
    assert high > 0.2
    assert newcombe_paired(0, 12, 0, 0)[0] < 0.7
    assert newcombe_paired(0, 0, 0, 0) == (-1.0, 1.0)


def test_the_interval_covers_the_difference() -> None:
    """60 tasks; the policies solve 70 % and 50 %, correlated by the tasks' difficulty."""
    random, covered, trials = Random(0), 0, 400
    for _ in range(trials):
        outcomes, reference = {}, {}
        for task in range(60):
            difficulty = random.random()
            outcomes[str(task)] = [difficulty < 0.7 if random.random() < 0.8 else random.random() < 0.7]
            reference[str(task)] = [difficulty < 0.5 if random.random() < 0.8 else random.random() < 0.5]
        found = paired_difference(outcomes, reference)
        covered += found.low <= 0.2 <= found.high
    assert 0.92 <= covered / trials <= 0.99


def test_several_seeds_use_the_tasks_means() -> None:
    outcomes = {str(task): [True, task % 2 == 0] for task in range(20)}
    reference = {str(task): [task < 10, False] for task in range(20)}
    found = paired_difference(outcomes, reference)
    differences = [(1 + (task % 2 == 0)) / 2 - (task < 10) / 2 for task in range(20)]
    half = t_quantile(19) * stdev(differences) / 20**0.5
    assert found.mean == pytest.approx(0.5)
    assert (found.low, found.high) == pytest.approx((0.5 - half, 0.5 + half))
    assert found.tasks == 20
    one = paired_difference({"a": [True, True]}, {"a": [False, False]})
    assert (one.low, one.high) == (-1.0, 1.0), "one task tells nothing about the variance"


def test_only_common_tasks_count() -> None:
    assert paired_difference({"a": [True], "b": [True]}, {"a": [True], "c": [False]}).tasks == 1
    with pytest.raises(UsageError, match="same panel"):
        paired_difference({"a": [True]}, {"b": [True]})
