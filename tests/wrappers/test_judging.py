from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.envs.classic_control import CartPoleEnv

from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.hindsight.judge import JudgeClient, Judgement
from agentgym_hindsight.hindsight.sources import Hindsight, Provenance
from agentgym_hindsight.wrappers import JudgeFeedback, PromptProtocol, RecordTrajectories
from tests.wrappers.stack import Judge, make

ARGUMENTS = {"base_url": "http://localhost:9/v1", "model": "judge"}


def end(env: gym.Env[str, str], action: str = "fly") -> dict[str, Any]:
    env.reset(seed=0)
    over = False
    while not over:
        _, _, terminated, truncated, info = env.step(action)
        over = terminated or truncated
    return info


def test_the_judge_is_called_at_the_end() -> None:
    judge = Judge()
    env = RecordTrajectories(JudgeFeedback(make(max_steps=3), judge))
    env.reset(seed=0)
    *_, info = env.step("fly")
    assert judge.calls == 0
    assert info["hindsight"].current_trajectory.provenance is Provenance.ENVIRONMENT
    env.step("fly")
    *_, info = env.step("fly")
    assert judge.calls == 1
    hindsight: Hindsight = info["hindsight"]
    assert hindsight.current_trajectory is not None
    assert hindsight.current_trajectory.provenance is Provenance.JUDGE
    assert len(hindsight.episode) == 3
    for index, each in enumerate(hindsight.episode):
        assert each.current_trajectory is not None
        assert each.current_trajectory.text == "This rollout failed."
        assert each.current_trajectory.step == index
        assert each.future_trajectory is not None
        assert each.future_trajectory.provenance is Provenance.ENVIRONMENT
    assert env.trajectories[0].steps[-1].extra == {"judge": "This rollout failed."}


@pytest.mark.parametrize(
    ("every", "action", "calls"), [("episode", "east", 1), ("failure", "east", 0), ("failure", "fly", 1)]
)
def test_every_selects_the_episodes(every: str, action: str, calls: int) -> None:
    judge = Judge()
    end(JudgeFeedback(make(max_steps=9), judge, every), action)
    assert judge.calls == calls


class Answers:
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def judge_trajectory(self, trajectory: Any, reference: Any = None) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "failures"),
    [(RuntimeError("no"), 1), (3, 1), (Judgement(None, "busy"), 1), (None, 0), ("  ", 0), (Judgement(None), 0)],
)
def test_a_judge_never_breaks_an_episode(answer: Any, failures: int) -> None:
    env = JudgeFeedback(make(max_steps=2), Answers(answer))
    info = end(env)
    assert env.failures == failures
    assert info["hindsight"] == end(make(max_steps=2))["hindsight"]
    assert len(info["hindsight"].episode) == 2


def test_a_judgement_is_accepted() -> None:
    info = end(JudgeFeedback(make(max_steps=1), Answers(Judgement(" It failed. "))))
    assert info["hindsight"].current_trajectory.text == "It failed."


def test_prompts_are_kept() -> None:
    info = end(JudgeFeedback(PromptProtocol(make(max_steps=3)), Judge()))
    assert info["hindsight"].next_observation.text == info["prompt"]
    assert all(each.current_trajectory.text == "This rollout failed." for each in info["hindsight"].episode)


def test_a_time_limit_also_gives_the_episode() -> None:
    info = end(JudgeFeedback(gym.make("WrappedCorridor-v0", max_episode_steps=3), Judge()))
    assert [each.current_trajectory.text for each in info["hindsight"].episode] == ["This rollout failed."] * 3


def test_client_arguments_can_be_written_as_json() -> None:
    env = JudgeFeedback(make(), {**ARGUMENTS, "retries": 0})
    assert isinstance(env.client, JudgeClient)
    assert env.spec is not None
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert isinstance(again, JudgeFeedback)
    assert again.client.model == "judge"  # type: ignore[attr-defined]
    assert json.loads(env.spec.to_json())
    moved = pickle.loads(pickle.dumps(env))
    assert moved.client.model == "judge"


def test_a_client_with_a_lock_survives_the_spec() -> None:
    judge = JudgeClient(**ARGUMENTS)
    # The spec of the outer wrapper copies the arguments of the inner one.
    env = RecordTrajectories(JudgeFeedback(make(), judge))
    assert env.spec is not None
    again = gym.make(env.spec)
    assert again.get_wrapper_attr("client") is judge
    assert copy.deepcopy(env.spec) == env.spec


def test_bad_arguments() -> None:
    with pytest.raises(UnknownNameError):
        JudgeFeedback(make(), Judge(), "step")
    with pytest.raises(UsageError, match="judge_trajectory"):
        JudgeFeedback(make(), object())
    with pytest.raises(UsageError, match="arguments of JudgeClient"):
        JudgeFeedback(make(), {"modle": "x"})
    with pytest.raises(UsageError, match="records its episode"):
        JudgeFeedback(CartPoleEnv(), Judge())  # type: ignore[arg-type]
