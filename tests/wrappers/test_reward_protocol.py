from __future__ import annotations

from typing import Any

import gymnasium as gym
import pytest

from agentgym_hindsight.envs.base import Turn
from agentgym_hindsight.errors import UnknownNameError
from agentgym_hindsight.wrappers import InvalidActionPenalty, RewardProtocol
from tests.toy import CorridorBackend
from tests.wrappers.stack import ShopCorridorEnv, make


def play(env: gym.Env[str, str], actions: list[str]) -> tuple[list[float], dict[str, Any]]:
    env.reset(seed=0)
    rewards, info = [], {}
    for action in actions:
        _, reward, terminated, _, info = env.step(action)
        rewards.append(float(reward))
        if terminated:
            break
    return rewards, info


def test_native() -> None:
    rewards, info = play(RewardProtocol(make()), ["east"] * 9)
    assert rewards == [0.0] * (len(rewards) - 1) + [1.0]
    assert info["won"]


def test_ten_won() -> None:
    env = RewardProtocol(make(), "10-won")
    rewards, info = play(env, ["fly"] + ["east"] * 9)
    assert rewards == [0.0] * (len(rewards) - 1) + [10.0]
    assert info["score"] == 1.0
    assert env.unwrapped.trajectory().total_reward == 10.0
    assert sum(play(env, ["east"] * 9)[0]) == 10.0  # again after a reset


class HalfScoreBackend(CorridorBackend):
    """A shop that ends with won=True at a score of 0.5."""

    def act(self, action: str) -> Turn:
        turn = super().act(action)
        return turn._replace(score=0.5) if turn.won else turn


def test_a_shop_needs_the_full_score() -> None:
    full, half = ShopCorridorEnv(), ShopCorridorEnv()
    half.backend = HalfScoreBackend()
    assert play(RewardProtocol(full, "10-won"), ["east"] * 9)[0][-1] == 10.0
    rewards, info = play(RewardProtocol(half, "10-won"), ["east"] * 9)
    assert rewards[-1] == 0.0
    assert info["score"] == 0.5


def test_inside_and_outside_of_the_penalty() -> None:
    actions = ["fly", "east", "fly"] + ["east"] * 9
    penalty_outside = play(InvalidActionPenalty(RewardProtocol(make(), "10-won")), actions)
    penalty_inside = play(RewardProtocol(InvalidActionPenalty(make()), "10-won"), actions)
    assert penalty_outside[0] == pytest.approx(penalty_inside[0])
    assert penalty_outside[0][:3] == [-0.1, 0.0, -0.1]
    assert penalty_outside[0][-1] == 10.0
    assert penalty_outside[1]["raw_reward"] == penalty_inside[1]["raw_reward"] == 10.0


def test_bad_arguments() -> None:
    with pytest.raises(UnknownNameError, match="did you mean '10-won'"):
        RewardProtocol(make(), "10won")
