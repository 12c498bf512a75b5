"""Helpers of the wrapper tests: the corridor under an id, a judge, responses."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from agentgym_hindsight.hindsight.trajectory import Trajectory
from tests.toy import CorridorEnv

ENV_ID = "WrappedCorridor-v0"
if ENV_ID not in gym.registry:
    gym.register(ENV_ID, entry_point="tests.toy:CorridorEnv", order_enforce=False)


class ShopCorridorEnv(CorridorEnv):
    """The corridor with the prompt variant of a web shop."""

    prompt_world = "webshop"


class HouseCorridorEnv(CorridorEnv):
    """The corridor with the prompt variant of a household."""

    prompt_world = "alfworld"


def make(**kwargs: Any) -> gym.Env[str, str]:
    return gym.make(ENV_ID, **kwargs)


def tagged(action: str, thought: str = "Hm.") -> str:
    """A response in the verl-agent format."""
    return f"<think>{thought}</think><action>{action}</action>"


class Judge:
    """A judge that states the outcome and counts its calls."""

    def __init__(self, answer: str | None = "") -> None:
        self.answer, self.calls = answer, 0

    def judge_trajectory(self, trajectory: Trajectory, reference: Trajectory | None = None) -> str | None:
        self.calls += 1
        if self.answer != "":
            return self.answer
        return f"This rollout {'succeeded' if trajectory.won else 'failed'}."
