from __future__ import annotations

import math

import pytest

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.wrappers import ActionParser, InvalidActionPenalty
from tests.wrappers.stack import make, tagged


def test_the_penalty_is_subtracted() -> None:
    env = InvalidActionPenalty(make(), 0.25)
    _, info = env.reset(seed=0)
    assert info["raw_reward"] == 0.0
    rewards = []
    for action in ("fly", "east", "fly"):
        _, reward, *_, info = env.step(action)
        rewards.append(reward)
        assert type(info["raw_reward"]) is type(reward) is float
        assert info["raw_reward"] == 0.0
    assert rewards == [-0.25, 0.0, -0.25]
    assert [step.reward for step in env.unwrapped.trajectory().steps] == rewards
    assert env.unwrapped.trajectory().total_reward == -0.5


def test_the_parser_decides_validity() -> None:
    env = InvalidActionPenalty(ActionParser(make()))
    env.reset(seed=0)
    assert env.step(tagged("fly"))[1] == 0.0  # the format is valid
    assert env.step("east")[1] == -0.1


@pytest.mark.parametrize("penalty", [-0.1, math.inf, math.nan, "0.1", True, None])
def test_bad_arguments(penalty: object) -> None:
    with pytest.raises(UsageError, match="penalty ≥ 0"):
        InvalidActionPenalty(make(), penalty)  # type: ignore[arg-type]
