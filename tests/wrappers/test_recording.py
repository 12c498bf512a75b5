from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import pytest
from gymnasium.envs.classic_control import CartPoleEnv

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.jsonl import read_jsonl
from agentgym_hindsight.wrappers import ActionParser, InvalidActionPenalty, PromptProtocol, RecordTrajectories
from tests.wrappers.stack import make, tagged


def test_finished_episodes_are_recorded(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "rollouts.jsonl"
    env = RecordTrajectories(InvalidActionPenalty(ActionParser(PromptProtocol(make(max_steps=3)))), path, policy="me")
    prompt, info = env.reset(seed=3)
    first_prompt = prompt
    for response in (tagged("east"), "fly", tagged("west")):
        prompt, *_ = env.step(response)
    (trajectory,) = env.trajectories
    assert trajectory.truncated
    assert not trajectory.broken
    assert (trajectory.policy, trajectory.task_id, trajectory.seed) == ("me", info["task_id"], 3)
    assert [step.response for step in trajectory.steps] == [tagged("east"), "fly", tagged("west")]
    assert [step.reward for step in trajectory.steps] == [0.0, -0.1, 0.0]
    assert [step.action_span is None for step in trajectory.steps] == [False, True, False]
    assert trajectory.steps[0].prompt == first_prompt
    assert trajectory.steps[-1].next_observation == prompt
    assert read_jsonl(path).trajectories == (trajectory,)


def test_cut_episodes_are_recorded_as_broken(tmp_path: Path) -> None:
    path = tmp_path / "rollouts.jsonl"
    env = RecordTrajectories(make(), path)
    env.reset(seed=0)
    env.reset(seed=0)  # no step was played, so nothing is recorded
    env.step("east")
    env.reset(seed=1)
    env.step("fly")
    env.close()
    env.close()
    assert [trajectory.broken for trajectory in env.trajectories] == ["cut by reset", "cut by close"]
    assert [trajectory.actions for trajectory in env.trajectories] == [("east",), ("fly",)]
    assert read_jsonl(path).trajectories == env.trajectories


def test_an_error_in_the_env_is_recorded_as_broken() -> None:
    env = RecordTrajectories(make())
    env.reset(seed=0)
    env.step("east")
    with pytest.raises(RuntimeError, match="collapsed"):
        env.step("crash")
    assert env.trajectories[0].broken == "RuntimeError: the corridor collapsed"
    env.reset(seed=0)
    assert len(env.trajectories) == 1


def test_a_time_limit_below_marks_the_rollout_as_truncated() -> None:
    env = RecordTrajectories(gym.make("WrappedCorridor-v0", max_episode_steps=2))
    env.reset(seed=0)
    env.step("fly")
    env.step("fly")
    assert env.trajectories[0].truncated
    assert not env.trajectories[0].broken


@pytest.mark.parametrize(("keep", "count"), [(None, 3), (2, 2), (0, 0)])
def test_keep(keep: int | None, count: int) -> None:
    env = RecordTrajectories(make(max_steps=1), keep=keep)
    for seed in range(3):
        env.reset(seed=seed)
        env.step("fly")
    assert [trajectory.seed for trajectory in env.trajectories] == list(range(3))[3 - count :]


def test_bad_arguments() -> None:
    with pytest.raises(UsageError, match="a path"):
        RecordTrajectories(make(), 3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="keep"):
        RecordTrajectories(make(), keep=-1)
    with pytest.raises(UsageError, match="records its episode"):
        RecordTrajectories(CartPoleEnv())  # type: ignore[arg-type]
