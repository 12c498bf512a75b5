"""Properties of the credits that use a critic, on drawn batches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.methods.critics import token_gae, turn_gae
from agentgym_hindsight.baselines.methods.ppo import RowAdvantage
from agentgym_hindsight.baselines.methods.rows import Array, Rows, Values
from agentgym_hindsight.baselines.methods.turn_ppo import TurnAdvantage
from agentgym_hindsight.baselines.methods.vetta import FusedAdvantage
from tests.baselines.methods.strategies import batches_with_values, numbers, property_test


def flat(values: list[Array]) -> list[float]:
    return [float(value) for row in values for value in row]


def penalised_rewards(rows: Rows) -> Array:
    return rows.rewards - 0.1 * rows.invalid


@property_test
@given(rows=batches_with_values(), alpha=st.sampled_from([0.0, 1.0, 3.0]))
def test_the_mean_of_vettas_advantage_over_a_turn_is_that_of_the_turn(rows: Rows, alpha: float) -> None:
    turns = TurnAdvantage(gamma=0.95, lam=0.95)(rows)
    fused = FusedAdvantage(alpha=alpha)(rows)
    assert [row.mean() for row in fused] == pytest.approx(turns.tolist(), abs=1e-4)
    if alpha == 0:
        assert all(np.ptp(row) == 0 for row in fused)


@property_test
@given(rows=batches_with_values(), factor=numbers(-3, 3), shift=numbers(-3, 3))
def test_vettas_residual_does_not_depend_on_rewards(rows: Rows, factor: float, shift: float) -> None:
    other = replace(rows, rewards=rows.rewards * factor + shift)
    plain, changed = ([row - row.mean() for row in FusedAdvantage()(each)] for each in (rows, other))
    assert flat(plain) == pytest.approx(flat(changed), abs=1e-4)
    # With γ = λ = 1 it is the mean of the turn's token values minus the value.
    assert rows.values is not None
    assert rows.values.tokens is not None
    assert flat(plain) == pytest.approx(flat([row.mean() - row for row in rows.values.tokens]), abs=1e-4)


@property_test
@given(rows=batches_with_values())
def test_one_turn_makes_vettas_tokens_those_of_ppo(rows: Rows) -> None:
    single = replace(rows, trajectory=np.arange(len(rows)), place=np.zeros(len(rows), int), returns=rows.rewards)
    assert single.values is not None
    assert single.values.tokens is not None
    tokens, _ = token_gae(single, single.values.tokens, penalised_rewards(single), gamma=1, lam=1, across_turns=True)
    assert flat(RowAdvantage(whiten=False)(single)) == pytest.approx(flat(tokens), abs=1e-5)


@property_test
@given(rows=batches_with_values(), gamma=st.sampled_from([0.0, 0.95, 1.0]))
def test_gae_is_the_return_at_lambda_1_and_the_temporal_difference_at_0(rows: Rows, gamma: float) -> None:
    assert rows.values is not None
    assert rows.values.turn is not None
    values, rewards = rows.values.turn, rows.rewards
    by_turn = {(t, p): i for i, (t, p) in enumerate(zip(rows.trajectory.tolist(), rows.place.tolist(), strict=True))}
    whole, _ = turn_gae(rows, values, rewards, gamma=gamma, lam=1.0)
    step, targets = turn_gae(rows, values, rewards, gamma=gamma, lam=0.0)
    for (trajectory, place), row in by_turn.items():
        later = [r for (t, p), r in by_turn.items() if t == trajectory and p >= place]
        total = sum(gamma ** int(rows.place[r] - place) * rewards[r] for r in later)
        assert whole[row] == pytest.approx(total - values[row], abs=1e-9)
        after = by_turn.get((trajectory, place + 1))
        following = 0.0 if after is None else values[after]
        assert step[row] == pytest.approx(rewards[row] + gamma * following - values[row], abs=1e-9)
        assert targets[row] == pytest.approx(step[row] + values[row])


@property_test
@given(rows=batches_with_values())
def test_ppo_whitens_over_all_tokens_and_keeps_their_order(rows: Rows) -> None:
    plain, white = (np.array(flat(RowAdvantage(whiten=whiten)(rows))) for whiten in (False, True))
    if len(plain) > 1:
        assert white.mean() == pytest.approx(0, abs=1e-4)
        assert white.var(ddof=1) == pytest.approx(1, abs=1e-3)
        assert (np.argsort(plain, kind="stable") == np.argsort(white, kind="stable")).mean() > 0.9  # ties by rounding


@property_test
@given(rows=batches_with_values())
def test_the_value_after_the_end_cancels_at_lambda_1(rows: Rows) -> None:
    ours, released = (RowAdvantage(whiten=False, after_end=after_end)(rows) for after_end in (False, True))
    assert flat(released) == pytest.approx(flat(ours), abs=1e-5)


@property_test
@given(rows=batches_with_values())
def test_every_row_has_one_target_of_its_turn_and_one_of_each_token(rows: Rows) -> None:
    estimate = FusedAdvantage().estimate(rows)
    assert estimate.turn_targets is not None
    assert estimate.token_targets is not None
    assert rows.values is not None
    assert rows.values.tokens is not None
    assert estimate.turn_targets.shape == (len(rows),)
    assert [len(row) for row in estimate.token_targets] == [len(row) for row in rows.values.tokens]
    # The targets of the token branch are the penalised rewards that are still to come, on every token.
    for row, targets in enumerate(estimate.token_targets):
        later = (rows.trajectory == rows.trajectory[row]) & (rows.place >= rows.place[row])
        assert targets.tolist() == pytest.approx([penalised_rewards(rows)[later].sum()] * len(targets), abs=1e-6)


@property_test
@given(rows=batches_with_values())
def test_factors_differences_sum_to_the_return_minus_the_baseline(rows: Rows) -> None:
    credit = recipe("factor").changed(penalty=0.0).credit
    advantages, baselines = credit(rows), credit.baselines(rows)  # type: ignore[attr-defined]
    assert isinstance(rows.values, Values)
    for trajectory in np.unique(rows.trajectory):
        members = rows.trajectory == trajectory
        expected = rows.returns[members][0] - baselines[members][0]
        assert advantages[members].sum() == pytest.approx(expected, abs=1e-4)
