"""A stack in which a wrapper would miss the changes of another is refused. The error gives the correct order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import pytest

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.wrappers import (
    ActionParser,
    InvalidActionPenalty,
    JudgeFeedback,
    PromptProtocol,
    RecordTrajectories,
    RewardProtocol,
)
from tests.toy import CorridorEnv


class Judge:
    def judge_trajectory(self, trajectory: Any, reference: Any = None) -> str:
        return "This rollout failed."


def judged(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    return JudgeFeedback(env, Judge())


CHANGING = [ActionParser, PromptProtocol, InvalidActionPenalty, lambda env: RewardProtocol(env, "10-won")]


@pytest.mark.parametrize("reader", [RecordTrajectories, judged])
@pytest.mark.parametrize("changing", CHANGING)
def test_wrappers_that_read_the_record_go_outside(reader: Callable[[Any], Any], changing: Callable[[Any], Any]) -> None:
    with pytest.raises(UsageError, match="outside of"):
        changing(reader(CorridorEnv()))
    reader(changing(CorridorEnv())).close()


@pytest.mark.parametrize("changing", CHANGING)
def test_a_second_wrapper_of_the_same_kind_is_refused(changing: Callable[[Any], Any]) -> None:
    with pytest.raises(UsageError, match="got two"):
        changing(changing(CorridorEnv()))


def test_an_env_of_another_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="HindsightEnv"):
        PromptProtocol(gym.make("CartPole-v1"))  # type: ignore[arg-type]
