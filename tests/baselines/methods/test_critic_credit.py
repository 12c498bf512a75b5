"""PPO, Turn-PPO and VETTA: golden numbers and properties of the credits that use a critic."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.methods.critic_spec import CriticSpec
from agentgym_hindsight.baselines.methods.critics import token_gae, turn_gae, whitened
from agentgym_hindsight.baselines.methods.ppo import RowAdvantage
from agentgym_hindsight.baselines.methods.rows import Array, Rows, Values
from agentgym_hindsight.baselines.methods.turn_ppo import TurnAdvantage
from agentgym_hindsight.baselines.methods.vetta import FusedAdvantage
from agentgym_hindsight.errors import UnknownNameError, UsageError
from tests.baselines.methods.two_rollouts import random_rows

#: Two turns of two tokens; the first action is invalid, so the rewards are −0.1 and 10.
ROWS = Rows(
    group=[0, 0], trajectory=[0, 0], place=[0, 1], returns=[10.0, 10.0], rewards=[0.0, 10.0], invalid=[True, False],
    anchors=("a", "b"),
    values=Values(np.array([3.0, 5.0]), (np.array([2.0, 2.5]), np.array([4.0, 6.0])), np.array([7.0, 8.0])),
)  # fmt: skip


def flat(values: list[Array]) -> list[float]:
    return [float(value) for row in values for value in row]


def with_values(seed: int) -> Rows:
    rows, draw = random_rows(seed), np.random.default_rng(seed)
    tokens = tuple(draw.normal(0, 3, int(draw.integers(1, 6))) for _ in range(len(rows)))
    return replace(rows, values=Values(draw.normal(0, 3, len(rows)), tokens, draw.normal(0, 3, len(rows))))


# ---------------------------------------------------------------- golden numbers


def test_turn_branch() -> None:
    advantages, targets = turn_gae(ROWS, ROWS.values.turn, np.array([-0.1, 10.0]), gamma=0.95, lam=0.95)
    assert advantages.tolist() == pytest.approx([6.1625, 5.0])
    assert targets.tolist() == pytest.approx([9.1625, 10.0])
    assert TurnAdvantage()(ROWS).tolist() == pytest.approx([6.305, 5.0])


def test_token_branch() -> None:
    advantages, targets = token_gae(
        ROWS, ROWS.values.tokens, np.array([-0.1, 10.0]), gamma=1.0, lam=1.0, across_turns=True
    )
    assert flat(advantages) == pytest.approx([7.9, 7.4, 6.0, 4.0])
    assert flat(targets) == pytest.approx([9.9, 9.9, 10.0, 10.0])


def test_vetta() -> None:
    assert flat(FusedAdvantage()(ROWS)) == pytest.approx([6.4125, 5.9125, 6.0, 4.0])
    assert flat(FusedAdvantage(alpha=3.0)(ROWS)) == pytest.approx([6.9125, 5.4125, 8.0, 2.0])
    estimate = FusedAdvantage().estimate(ROWS)
    assert estimate.turn_targets.tolist() == pytest.approx([9.1625, 10.0])
    assert flat(estimate.token_targets) == pytest.approx([9.9, 9.9, 10.0, 10.0])


def test_ppo() -> None:
    assert flat(RowAdvantage(whiten=False)(ROWS)) == pytest.approx([7.9, 7.4, 6.0, 4.0])
    assert flat(RowAdvantage()(ROWS)) == pytest.approx([0.901966, 0.615627, -0.186120, -1.331473], abs=1e-6)
    assert flat(RowAdvantage().estimate(ROWS).token_targets) == pytest.approx([9.9, 9.9, 10.0, 10.0])


def test_the_value_after_the_end_counts_only_with_lambda_below_one() -> None:
    assert flat(RowAdvantage(whiten=False, after_end=True)(ROWS)) == pytest.approx([7.9, 7.4, 6.0, 4.0])
    leaking = RowAdvantage(whiten=False, after_end=True, lam=0.5, gamma=0.9).estimate(ROWS)
    # By hand for the first row: δ' = −7; last token 9.9 + 0.9·7 − 2.5 + 0.45·(−7) = 10.55;
    # first token 0.9·2.5 − 2 + 0.45·10.55 = 4.9975.
    assert flat(leaking.advantages)[:2] == pytest.approx([4.9975, 10.55])
    assert leaking.after_targets


# ---------------------------------------------------------------- properties


def test_whitening() -> None:
    whole = np.concatenate(whitened([np.array([1.0, 2.0]), np.array([4.0])]))
    assert (whole.mean(), whole.var(ddof=1)) == (pytest.approx(0, abs=1e-12), pytest.approx(1, abs=1e-6))
    assert [row.tolist() for row in whitened([np.array([3.0])])] == [[0.0]]
    assert whitened([]) == []


# ---------------------------------------------------------------- values of the methods


def test_recipes() -> None:
    ppo, turn, vetta = recipe("ppo"), recipe("turn-ppo"), recipe("vetta")
    assert str(ppo.critic) == "token"
    assert (str(turn.critic), turn.ratio, turn.reduction, turn.kl) == ("turn", "turn", "turn", 0.001)
    assert (str(vetta.critic), vetta.credit.alpha, vetta.kl) == ("2:turn+token", 1.0, 0.01)
    assert all(method.needs_model for method in (ppo, turn, vetta))
    assert str(ppo.changed(critic="3:token:1e-4:0.2").critic) == "3:token:0.0001:0.2"
    assert ppo.changed(**ppo.as_dict()) == ppo


@pytest.mark.parametrize(
    "text", ["", "2:", "2:head", "2:turn+turn", "-1:token", "token:0", "token:1e-5:0.5:1", "token:x"]
)
def test_wrong_critics_are_named(text: str) -> None:
    with pytest.raises((UsageError, UnknownNameError)):
        CriticSpec.parse(text)


def test_a_missing_head_is_named() -> None:
    turn_only = replace(ROWS, values=Values(turn=np.array([1.0, 2.0])))
    with pytest.raises(UsageError, match="head for tokens"):
        RowAdvantage()(turn_only)
    with pytest.raises(UsageError, match="turn"):
        TurnAdvantage()(replace(ROWS, values=Values(tokens=ROWS.values.tokens)))
    with pytest.raises(UsageError, match="values of a critic"):
        FusedAdvantage()(replace(ROWS, values=None))


def test_a_critic_is_there_exactly_if_the_credit_uses_one() -> None:
    with pytest.raises(UsageError, match="Expected a critic if the credit uses one"):
        replace(recipe("grpo"), critic=CriticSpec())
    with pytest.raises(UsageError, match="Expected a critic if the credit uses one"):
        replace(recipe("ppo"), critic=None)
    with pytest.raises(UsageError, match="one advantage per turn for agentopsd"):
        recipe("agentopsd+ppo")


def test_the_critic_of_factor_is_trained_towards_the_return_to_come() -> None:
    early = replace(ROWS, returns=[10.0, 10.0], rewards=[4.0, 6.0], invalid=[False, False])
    assert recipe("factor").credit.estimate(early).turn_targets.tolist() == [10.0, 6.0]
