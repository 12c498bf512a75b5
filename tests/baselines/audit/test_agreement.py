"""Statistics of an audit: golden numbers and properties."""

from __future__ import annotations

import numpy as np
import pytest

from agentgym_hindsight.baselines.audit.agreement import (
    Truth,
    calibration,
    critical_hits,
    explained_variance,
    mean_of,
    ranks,
    reliability,
    sign_agreement,
    spearman,
)
from agentgym_hindsight.baselines.audit.summary import bootstrap


def truth(values: list[float], signed: list[bool] | None = None) -> Truth:
    array = np.array(values)
    return Truth(array, array, array, np.ones(len(array), bool) if signed is None else np.array(signed))


def noisy(size: int, noise: float, seed: int = 0) -> tuple[np.ndarray, Truth]:  # type: ignore[type-arg]
    """True values, and a measurement whose halves have twice the variance of the whole."""
    rng = np.random.default_rng(seed)
    right = rng.normal(size=size)
    first, second = (right + noise * 2**0.5 * rng.normal(size=size) for _ in range(2))
    return right, Truth((first + second) / 2, first, second, np.ones(size, bool))


def test_ranks_share_ties() -> None:
    assert ranks(np.array([10.0, 20.0, 10.0, 5.0])).tolist() == [2.5, 4.0, 2.5, 1.0]


def test_rounding_errors_do_not_order_equal_values() -> None:
    values = np.array([0.15 - 0.1, 0.1 - 0.05, 0.05, 0.3])
    assert len(set(values.tolist())) > 2
    assert ranks(values).tolist() == [2.0, 2.0, 2.0, 4.0]
    assert ranks(values.astype(np.float32)).tolist() == [2.0, 2.0, 2.0, 4.0]


def test_spearman_golden() -> None:
    # 1 − 6 Σd² / (n (n² − 1)) with d = (0, −1, 1, −1, 1)
    assert spearman(np.array([1.0, 2, 3, 4, 5]), np.array([1.0, 3, 2, 5, 4])) == pytest.approx(0.8)
    # With ties: Pearson of (1.5, 1.5, 3.5, 3.5) and (1, 2, 3, 4) is 4 / sqrt(4 · 5).
    assert spearman(np.array([0.0, 0, 7, 7]), np.array([1.0, 2, 3, 4])) == pytest.approx(4 / 20**0.5)
    assert spearman(np.array([3.0, 3, 3]), np.array([1.0, 2, 3])) == 0.0
    assert np.isnan(spearman(np.array([3.0]), np.array([1.0])))


def test_spearman_does_not_change_with_monotone_functions_and_turns_with_the_sign() -> None:
    rng = np.random.default_rng(1)
    one, two = rng.normal(size=50), rng.normal(size=50)
    assert spearman(np.exp(one), two**3) == pytest.approx(spearman(one, two))
    assert spearman(-one, two) == pytest.approx(-spearman(one, two))
    assert spearman(one, one) == pytest.approx(1.0)


def test_signs_count_only_certain_turns_and_zero_is_half() -> None:
    assert sign_agreement(np.array([1.0, -1, 0, 5]), truth([1, 1, 1, -1], [True, True, True, False])) == 0.5
    assert np.isnan(sign_agreement(np.array([1.0]), truth([1], [False])))


def test_calibration_bins() -> None:
    says = np.array([0.0, 0, 0, 0, 1, 2, 3, 4, 5, 6])
    bins = calibration(says, 2 * says, bins=2)
    assert [(says, truth, count) for says, truth, count in bins] == [(0.2, 0.4, 5), (4.0, 8.0, 5)]
    assert calibration(np.zeros(3), np.array([1.0, 2, 3])) == [(0.0, 2.0, 3)]


def test_explained_variance_is_corrected_for_the_noise_of_the_truth() -> None:
    right, measured = noisy(20_000, noise=2.0)
    rng = np.random.default_rng(5)
    assert explained_variance(right, measured) == pytest.approx(1.0, abs=0.1)
    half = right + rng.normal(size=len(right))  # half of its variance is the truth
    assert explained_variance(half, measured) == pytest.approx(0.5, abs=0.07)
    assert np.corrcoef(half, measured.value)[0, 1] ** 2 < 0.15  # without the correction
    assert explained_variance(rng.normal(size=len(right)), measured) < 0.01
    assert explained_variance(np.ones(len(right)), measured) == 0.0


def test_the_reliability_is_the_correlation_of_two_measurements() -> None:
    _, measured = noisy(20_000, noise=1.0)
    rng = np.random.default_rng(6)
    right, again = noisy(20_000, noise=1.0)
    other = right + rng.normal(size=len(right))
    assert reliability(measured) == pytest.approx(spearman(again.value, other), abs=0.03)
    assert reliability(truth([1.0, 2.0, 3.0])) == pytest.approx(1.0)
    noise = Truth(np.arange(4.0), np.array([1.0, 2, 3, 4]), np.array([4.0, 3, 2, 1]), np.ones(4, bool))
    assert reliability(noise) == 0.0


def test_the_most_critical_turn() -> None:
    rollouts = np.array([0, 0, 0, 1, 1, 2, 2])
    measured = truth([0.1, -0.9, 0.2, 0.5, 0.4, 0.3, 0.2], [True, True, False, True, False, False, False])
    says = np.array([0.0, -2.0, 1.0, 1.0, 1.0, 9.0, 1.0])
    hits, chances = critical_hits(says, measured, rollouts)
    # Found in rollout 0; one of two equal ones in rollout 1; rollout 2 has no certain turn.
    assert hits[[0, 3]].tolist() == [1.0, 0.5]
    assert mean_of(hits) == 0.75
    assert mean_of(chances) == pytest.approx((1 / 3 + 1 / 2) / 2)
    constant, chance = critical_hits(np.zeros(7), measured, rollouts)
    assert mean_of(constant) == pytest.approx(mean_of(chance))
    assert np.isnan(mean_of(np.array([np.nan])))


def test_the_bootstrap_resamples_whole_tasks() -> None:
    # All turns of a task are equal, so that the number of turns says nothing: 4 tasks, not 400 turns.
    tasks = np.repeat(np.arange(4), 100)
    values = np.repeat([0.0, 0.0, 1.0, 1.0], 100)
    figures = bootstrap({"mean": lambda chosen: float(values[chosen].mean())}, tasks, 2000, 0)
    assert figures["mean"].value == 0.5
    assert (figures["mean"].low, figures["mean"].high) == (0.0, 1.0)
    single = bootstrap({"mean": lambda chosen: 1.0}, np.zeros(5, int), 10, 0)["mean"]
    assert np.isnan(single.low)


def test_the_bootstrap_pairs_its_measures() -> None:
    tasks = np.arange(200)
    rng = np.random.default_rng(2)
    one = rng.normal(size=200)
    figures = bootstrap(
        {
            "one": lambda chosen: float(one[chosen].mean()),
            "difference": lambda chosen: float((one + 0.1)[chosen].mean() - one[chosen].mean()),
        },
        tasks,
        500,
        0,
    )
    assert figures["one"].high - figures["one"].low == pytest.approx(2 * 1.96 / 200**0.5, rel=0.2)
    assert figures["difference"].high - figures["difference"].low < 1e-9
