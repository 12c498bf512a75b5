"""Avg@k, Best@k and All@k: values computed by hand, unbiasedness, intervals and limits."""

from __future__ import annotations

from itertools import combinations
from random import Random
from statistics import fmean

import pytest

from agentgym_hindsight.baselines.evaluation.at_k import all_of, at_k, best_of
from agentgym_hindsight.baselines.evaluation.intervals import wilson
from agentgym_hindsight.errors import UsageError

#: Three tasks with four rollouts each: 2, 0 and 4 of them won.
THREE = {"1f": [True, False, True, False], "2e": [False] * 4, "3c": [True] * 4}


def test_values_by_hand() -> None:
    """Of the six pairs of the first task's rollouts, one has no win and one has two wins."""
    two = at_k(THREE, 2)
    assert (two.k, two.tasks, two.rollouts) == (2, 3, 4)
    assert two.average.value == pytest.approx((2 / 4 + 0 + 1) / 3)
    assert two.best.value == pytest.approx((5 / 6 + 0 + 1) / 3)
    assert two.all.value == pytest.approx((1 / 6 + 0 + 1) / 3)
    assert two.best_by_k == pytest.approx({1: 0.5, 2: (5 / 6 + 1) / 3})
    four = at_k(THREE, 4)
    assert four.average == two.average
    assert (four.best.value, four.all.value) == pytest.approx((2 / 3, 1 / 3))
    assert four.best_by_k == pytest.approx({1: 0.5, 2: (5 / 6 + 1) / 3, 4: 2 / 3})
    assert list(at_k(THREE, 3).best_by_k) == [1, 2, 3]


def test_intervals_by_hand() -> None:
    """Student's t with 2 degrees of freedom is 4.3027; the values 0.5, 0, 1 have the deviation 0.5."""
    four = at_k(THREE, 4)
    assert four.average[1:] == (0.0, 1.0)  # 0.5 ± 4.3027 · 0.5 / √3 = 0.5 ± 1.242, cut at 0 and 1
    assert four.best[1:] == pytest.approx(wilson(2, 3))
    assert four.all[1:] == pytest.approx(wilson(1, 3))
    many = at_k({str(number): [True, number % 4 == 0] for number in range(20)}, 2)
    # Five tasks have 1 and fifteen 0.5: the mean is 0.625, the deviation √(20/19 · 3/64); t with 19 degrees is 2.0930.
    half = 2.0930 * (20 / 19 * 3 / 64) ** 0.5 / 20**0.5
    assert many.average == pytest.approx((0.625, 0.625 - half, 0.625 + half), abs=1e-4)


def test_equal_tasks_do_not_give_an_interval_of_width_0() -> None:
    sure = at_k({str(number): [True, True] for number in range(10)}, 2)
    assert sure.average == sure.best == sure.all == pytest.approx((1.0, *wilson(10, 10)))
    assert sure.average.low < 0.75
    half = at_k({"1f": [True, False]}, 2)
    assert half.average.value == 0.5
    assert half.average.low < 0.1 < 0.9 < half.average.high


@pytest.mark.parametrize(("won", "rollouts", "k"), [(0, 3, 2), (1, 3, 1), (2, 5, 3), (4, 6, 4), (6, 6, 6)])
def test_the_estimates_are_means_over_all_choices(won: int, rollouts: int, k: int) -> None:
    outcomes = [number < won for number in range(rollouts)]
    choices = list(combinations(outcomes, k))
    assert best_of(won, rollouts, k) == pytest.approx(fmean(map(any, choices)))
    assert all_of(won, rollouts, k) == pytest.approx(fmean(map(all, choices)))


def test_more_rollouts_than_k_do_not_bias_the_estimate() -> None:
    """With success 0.3, pass@2 is 1 - 0.7². Whether any of all 6 rollouts won would be 0.88."""
    rng = Random(0)
    outcomes = {str(task): [rng.random() < 0.3 for _ in range(6)] for task in range(20_000)}
    result = at_k(outcomes, 2)
    assert result.best.value == pytest.approx(1 - 0.7**2, abs=0.01)
    assert result.all.value == pytest.approx(0.3**2, abs=0.01)


def test_the_interval_of_the_average_covers_the_truth() -> None:
    """Tasks of different difficulty, which rollouts counted one by one would ignore."""
    rng, covered, narrow = Random(1), 0, 0
    for _ in range(400):
        outcomes = {}
        for task in range(30):
            success = rng.choice((0.05, 0.95))
            outcomes[str(task)] = [rng.random() < success for _ in range(8)]
        average = at_k(outcomes, 8).average
        covered += average.low <= 0.5 <= average.high
        low, high = wilson(sum(map(sum, outcomes.values())), 240)
        narrow += low <= 0.5 <= high
    assert covered >= 0.92 * 400
    assert narrow < 0.7 * 400


def test_unequal_numbers_of_rollouts() -> None:
    result = at_k({"1f": [True, False, False], "2e": [False, True]}, 2)
    assert result.rollouts == 2
    assert result.average.value == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert result.best.value == pytest.approx((2 / 3 + 1) / 2)


@pytest.mark.parametrize(
    ("outcomes", "k", "message"),
    [({}, 1, "at least one task"), ({"1f": [True]}, 2, "k from 1 to the 1"), ({"1f": [True]}, 0, "got 0")],
)
def test_wrong_calls_say_what_to_try(outcomes: dict[str, list[bool]], k: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        at_k(outcomes, k)
    with pytest.raises(UsageError, match="0 to 3 won"):
        best_of(4, 3, 1)


def test_plain_data() -> None:
    document = at_k(THREE, 4).as_dict()
    assert (document["k"], document["tasks"], document["rollouts_per_task"]) == (4, 3, 4)
    assert document["best"] == {"value": pytest.approx(2 / 3), "interval": pytest.approx(list(wilson(2, 3)))}
    assert list(document["best_by_k"]) == ["1", "2", "4"]
