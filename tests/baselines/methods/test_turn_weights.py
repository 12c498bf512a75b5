"""Hooks that run once per update, of AgentOPSD, AntiSD, FACTOR, GRSD, TRIAL and UniOPSD: golden numbers, properties."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.methods.agentopsd import belief_changes
from agentgym_hindsight.baselines.methods.antisd import antisd_phi
from agentgym_hindsight.baselines.methods.evidence import Evidence
from agentgym_hindsight.baselines.methods.grsd import turn_factors
from agentgym_hindsight.baselines.methods.rows import Rows, Values
from agentgym_hindsight.baselines.methods.trial import trial_weights
from agentgym_hindsight.baselines.methods.uniopsd import fuse, prior_weight
from agentgym_hindsight.errors import UsageError
from tests.baselines.methods.two_rollouts import random_rows, two_rollouts

SEEDS = pytest.mark.parametrize("seed", range(20))


def gaps_of(rows: Rows, seed: int, *, missing: float = 0.0) -> list[np.ndarray | None]:
    draw = np.random.default_rng(seed)
    return [
        None if draw.random() < missing else draw.normal(0, 0.3, int(draw.integers(1, 6))) for _ in range(len(rows))
    ]


def episode(won: list[bool], evidence: list[float]) -> tuple[Rows, list[np.ndarray | None]]:
    """A group of one-turn rollouts with the given outcomes, and a first rollout with a turn for each gap."""
    turns = len(evidence)
    rows = Rows(
        group=[0] * (turns + len(won) - 1),
        trajectory=[0] * turns + list(range(1, len(won))),
        place=[*range(turns), *[0] * (len(won) - 1)],
        returns=[10.0 * won[0]] * turns + [10.0 * each for each in won[1:]],
        rewards=[0.0] * (turns + len(won) - 1),
        invalid=[False] * (turns + len(won) - 1),
        anchors=("s",) * (turns + len(won) - 1),
        won=[won[0]] * turns + won[1:],
    )
    return rows, [*(np.array([value / 2, value / 2]) for value in evidence), *[None] * (len(won) - 1)]


# ---------------------------------------------------------------- AgentOPSD


def test_beliefs() -> None:
    changes = belief_changes([0.4, -0.2, 1.0], 0.25, 0.95)
    assert (0.25 + np.cumsum(changes)).tolist() == pytest.approx([0.332120, 0.285241, 0.518089], abs=1e-6)
    assert changes.tolist() == pytest.approx([0.082120, -0.046879, 0.232848], abs=1e-6)


@pytest.mark.parametrize(
    ("sign", "decay", "expected"),
    [(1, 0.95, [1.192397, 1.08, 1.32]), (-1, 0.95, [-1.2 * (0.5 + 0.5 * w) for w in (1.012672, 1.2, 0.8)]),
     (1, 1.0, [1.2 * (0.5 + 0.5 * w) for w in (0.983063, 0.8, 1.2)])],
)  # fmt: skip
def test_agentopsd(sign: int, decay: float, expected: list[float]) -> None:
    # One of four rollouts won, so the prior is 0.25.
    rows, gaps = episode([True, False, False, False], [0.4, -0.2, 1.0])
    method = recipe("agentopsd").changed(belief_decay=decay)
    result = method.update_advantages(rows, np.full(len(rows), sign * 1.2), Evidence(gaps), 0.5, {})
    assert [float(result[row][0]) for row in range(3)] == pytest.approx(expected, abs=1e-6)
    assert [len(result[row]) for row in range(3)] == [2, 2, 2]
    assert result[3:] == [None] * 3


def test_agentopsd_takes_a_prior_of_one() -> None:
    rows, gaps = episode([True, True], [0.4, -0.2, 1.0])
    result = recipe("agentopsd").update_advantages(rows, np.ones(len(rows)), Evidence(gaps), 0.5, {})
    assert all(np.isfinite(result[row]).all() for row in range(3))


# ---------------------------------------------------------------- GRSD


@pytest.mark.parametrize(("g_max", "expected"), [(0.2, [1.1, 0.9, 0.9]), (3.0, [1.470614, 0.188864, 0.781764])])
def test_grsd(g_max: float, expected: list[float]) -> None:
    factors = turn_factors(np.array([0.1, -0.2, 0.05]), np.array([1.0, 1.0, -1.0]), 0.5, g_max=g_max)
    assert factors.tolist() == pytest.approx(expected, abs=1e-6)


def test_grsd_has_a_floor_and_a_dead_zone() -> None:
    gaps, advantages = np.array([0.0, -9.0]), np.array([1.0, 1.0])
    assert turn_factors(gaps, advantages, 1.0, g_max=3.0)[1] == 0.1
    assert turn_factors(np.array([0.1, 0.2]), advantages, 1.0, dead_zone=0.9).tolist() == [1.0, 1.2]


# ---------------------------------------------------------------- UniOPSD

GAPS = [np.zeros(3), np.array([0.2, -0.4, 0.1]), np.array([-0.3, 0.0]), np.array([0.5, 0.1]), np.array([0.2, 0.2])]
RETURNS = np.array([9.025, 0.0, 0.0, 0.0, 0.0])
LABELS = np.array([0, 0, 0, 1, 1])
STEPS = np.array([6.016667, -3.008333, -3.008333, 0.0, 0.0])


def test_uniopsd_fusion() -> None:
    fused = fuse(STEPS, RETURNS, LABELS, GAPS, prior_weight(0.4, 100))
    assert fused.weights.tolist() == pytest.approx([1, 0.787032, 0.644193, 0.787032, 0.787032], abs=1e-6)
    expected = [6.016667, -2.209980, -2.780914, 0.283813, -0.283813]
    assert fused.values.tolist() == pytest.approx(expected, abs=2e-6)
    assert fused.taught.tolist() == [False, True, True, True, True]
    assert fused.rows == 2


def test_uniopsd_prior_weight() -> None:
    # ρ̂ = 0.326319 and q = 0.106484; at u = 1/2 the weight is 1 − 2q.
    assert prior_weight(0.4, 100) == pytest.approx(1 - 2 * 0.106484, abs=1e-6)
    assert prior_weight(0.0, 100) == 1.0
    assert prior_weight(0.4, 1) == 1.0  # too few turns to trust the correlation
    assert 0 <= prior_weight(1.0, 10**9) < 1e-5


def test_uniopsd_before_the_first_measurement_is_gigpo_with_weights() -> None:
    assert fuse(STEPS, RETURNS, LABELS, GAPS, None).values.tolist() == STEPS.tolist()


def test_uniopsd_uses_a_correlation_only_after_the_update_that_measured_it() -> None:
    rows = random_rows(5)
    method = recipe("uniopsd")
    advantages, memory = method.credit(rows).astype(float), {}
    gaps: list[Any] = [np.array([0.1 * step, 0.2 * step]) for step in (advantages - advantages.mean())]
    first = method.update_advantages(rows, advantages, Evidence(gaps), 0.0, memory)
    assert [values[0] for values in first] == pytest.approx(advantages.tolist(), abs=1e-6)
    assert memory["correlation"] > 0
    memory["rows"] = 10**6  # enough turns to trust it
    second = method.update_advantages(rows, advantages, Evidence(gaps), 0.0, memory)
    assert any(abs(a[0] - b[0]) > 1e-3 for a, b in zip(first, second, strict=True))


# ---------------------------------------------------------------- AntiSD


def test_antisd_phi() -> None:
    result = antisd_phi(np.array([-5.0, -1.0, 0.0, 1.0, 5.0]))
    assert result.tolist() == pytest.approx([-0.343216, -0.189943, 0.0, 0.310057, 2.156784], abs=1e-6)
    assert antisd_phi(np.array([-1e4]))[0] == pytest.approx(-np.log(2) / 2)


def test_antisd_subtracts_the_penalty_after_the_warm_up() -> None:
    rows, gaps = episode([True, False], [2.0, -2.0])
    method, memory = recipe("antisd").changed(warmup=2), {}
    evidence = Evidence(gaps, entropies=[np.full(2, 1.0), np.full(2, 1.0), None])
    for _ in range(2):
        warm = method.update_advantages(rows, np.ones(3), evidence, 0.5, memory)
        assert [row.tolist() for row in warm[:2]] == [[1.0, 1.0]] * 2
    after = method.update_advantages(rows, np.ones(3), evidence, 0.5, memory)
    expected = (1 - 0.5 * antisd_phi(np.array([1.0, -1.0]))).tolist()
    assert [row[0] for row in after[:2]] == pytest.approx(expected)
    assert after[2] is None


def test_antisds_gate_closes_and_opens_at_two_levels() -> None:
    method, memory = recipe("antisd").changed(warmup=1), {}
    gate = [method.gate(entropy, memory) for entropy in (1.0, 0.95, 0.92, 0.95, 0.99, 1.0, 0.94, 0.9)]
    #        warm-up  open  closed  stays closed          opens  stays open  closed
    assert gate == [False, True, False, False, False, True, True, False]


# ---------------------------------------------------------------- TRIAL


def test_trial_weights() -> None:
    result = trial_weights([0.1, 0.2, 0.3], [10, 20, 10])
    assert result.tolist() == pytest.approx([0.5, 1.0, 1.5])
    assert (result * [10, 20, 10]).sum() == pytest.approx(40)
    assert trial_weights([0.0, 0.0], [3, 3]).tolist() == [1.0, 1.0]
    with pytest.raises(UsageError, match=r"\(3,\).*\(2,\)"):
        trial_weights([0.0] * 3, [0.0] * 2)


def test_trial_signals_are_the_clipped_gap_times_the_weight_of_the_turn() -> None:
    rows, gaps = episode([True], [0.2, -8.0])
    logps = [np.full(2, -1.0), np.full(2, -1.0)]
    evidence = Evidence(gaps, logps, [2, 2])
    first, second = recipe("trial").update_signals(rows, np.ones(2), evidence, 0.005, {})
    # Mean |Δ| of the turns: 0.1 and 2 (clipped from 4); both have two tokens, so the mean is 1.05.
    assert first.tolist() == pytest.approx([0.1 * 0.1 / 1.05] * 2)
    assert second.tolist() == pytest.approx([-2 * 2 / 1.05] * 2)
    # The dense loss is at most the policy loss: here λ · Σ signal · log π = 7.6 with λ = 1, and Σ A = 0.4.
    small = recipe("trial").update_signals(rows, np.full(2, 0.1), evidence, 1.0, {})
    dense = sum(float(signal @ own) for signal, own in zip(small, logps, strict=True))
    assert abs(dense) == pytest.approx(0.4)


# ---------------------------------------------------------------- FACTOR


def test_factors_differences_sum_to_the_return_minus_the_baseline() -> None:
    rows = two_rollouts(values=Values(turn=np.array([9.0, 4.0, 7.0, 9.0, 2.0, 1.0, 0.5])))
    credit = replace(recipe("factor").credit, penalty=0.0)
    advantages = credit(rows)
    # Leave-one-out baselines: 0 for the rollout that won 10, and 10 for the other.
    assert advantages.tolist() == pytest.approx([4, 3, 3, -8, -1, -0.5, -0.5])
    assert (advantages[:3].sum(), advantages[3:].sum()) == (pytest.approx(10), pytest.approx(-10))
    assert replace(recipe("factor"), credit=credit).row_signals(rows).tolist() == [10.0] * 3 + [-10.0] * 4
    assert credit.estimate(rows).turn_targets.tolist() == [10.0] * 3 + [0.0] * 4


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [("agentopsd", "belief_decay", 1.5), ("agentopsd", "band", -0.1), ("grsd", "g_max", 0.0),
     ("antisd", "low", 0.0), ("factor", "tau", 0.0), ("trial", "gap_clip", 0.0),
     ("uniopsd", "prior", 1.0), ("uniopsd", "weight_clip", 1.0)],
)  # fmt: skip
def test_options_are_checked(name: str, option: str, value: float) -> None:
    with pytest.raises(UsageError, match=option):
        recipe(name).changed(**{option: value})


@pytest.mark.parametrize("change", [{"what": None}, {"tokens": "action@failed"}])
def test_factor_needs_a_teacher_of_every_turn(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="Expected a context and the tokens of all turns for factor"):
        recipe("factor").changed(**change)


def test_uniopsd_keeps_the_credit_of_gigpo() -> None:
    with pytest.raises(UsageError, match="Expected GiGPO's credit for uniopsd"):
        recipe("uniopsd+crbc")


@pytest.mark.parametrize("name", ["agentopsd", "grsd"])
def test_methods_that_add_to_the_advantage_score_turns_without_one(name: str) -> None:
    assert recipe(name).scores_zero_advantages
