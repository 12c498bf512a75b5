"""Snapshots of wrapped envs: the state of every wrapper is part of the value."""

from __future__ import annotations

import json
import random
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.wrappers import RecordEpisodeStatistics, TimeLimit

import agentgym_hindsight  # noqa: F401  # registers the ids
from agentgym_hindsight.errors import ResetNeededError, SchemaError, UsageError
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.wrappers import (
    ActionParser,
    InvalidActionPenalty,
    JudgeFeedback,
    PromptProtocol,
    RecordTrajectories,
    RewardProtocol,
    Snapshot,
    fork,
    restore_into,
    snapshot_of,
)
from tests.forks import any_action, check_restored, check_walks, in_words, walk


class Terse:
    """A judge without a model."""

    def judge_trajectory(self, trajectory: Trajectory, reference: Trajectory | None = None) -> str:
        return f"{len(trajectory)} turns."


def plain(**arguments: Any) -> gym.Env[Any, Any]:
    return gym.make("ALFWorld-Hindsight-v0", **{"data": "embedded", "max_steps": 12, **arguments})


def full_stack() -> gym.Env[Any, Any]:
    env: Any = PromptProtocol(RecordEpisodeStatistics(TimeLimit(plain(max_steps=50), 11)))
    env = InvalidActionPenalty(RewardProtocol(ActionParser(env), "10-won"))
    return RecordTrajectories(JudgeFeedback(env, Terse()))


def parser_inside() -> gym.Env[Any, Any]:
    env: Any = RewardProtocol(InvalidActionPenalty(ActionParser(plain(), parser="react-2022")), "10-won")
    return PromptProtocol(env, "react-2022", history=3)


def respond(rng: random.Random, info: dict[str, Any]) -> str:
    action = any_action(rng, info)
    return rng.choice([f"<think>so</think><action>{action}</action>", f"{action}", f"think: so\n> {action}"])


def without_time(result: Any) -> str:
    """A result without the seconds that Gymnasium's statistics have measured."""
    *rest, info = result
    if "episode" in info:
        info = {**info, "episode": {key: value for key, value in info["episode"].items() if key != "t"}}
    return in_words((*rest, info))


@pytest.mark.parametrize("make", [full_stack, parser_inside])
def test_what_follows_a_restored_moment_is_the_same(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.forks.in_words", without_time)
    assert check_walks(make, 16, choose=respond) == 16


@pytest.mark.parametrize("protocol", ["brief", "verl-agent-2025"])
def test_the_env_of_a_stage_is_restored(protocol: str) -> None:
    stage = Stage(settings={"data": "embedded", "max_steps": 10}, protocol=protocol)
    assert check_walks(lambda: stage.make("valid_unseen"), 10, choose=respond) == 10


def test_a_time_limit_goes_on_where_it_was() -> None:
    env, other = (TimeLimit(plain(max_steps=50), 5) for _ in range(2))
    env.reset(seed=0)
    for _ in range(3):
        env.step("look")
    snapshot = snapshot_of(env)
    for limited in (env, other):
        restore_into(limited, snapshot)
        assert [limited.step("look")[3] for _ in range(2)] == [False, True]


def test_an_env_that_was_never_reset_can_be_restored() -> None:
    env, other = plain(), plain()
    env.reset(seed=0)
    restore_into(other, snapshot_of(env))
    assert other.step("look")[0] == env.step("look")[0]
    with pytest.raises(ResetNeededError):
        snapshot_of(plain())


class Counting(gym.Wrapper[Any, Any, Any, Any]):
    """A wrapper with a state that nobody knows."""


class Saved(Counting):
    """The same, with the two methods."""

    count = 0

    def step(self, action: Any) -> Any:
        self.count += 1
        return self.env.step(action)

    def snapshot_state(self) -> Any:
        return self.count

    def restore_state(self, state: Any, restore_inner: Any) -> Any:
        self.count = state
        return restore_inner()


def test_a_wrapper_of_unknown_state_is_named() -> None:
    env = Counting(plain())
    env.reset(seed=0)
    with pytest.raises(UsageError, match="got Counting; try to add snapshot_state"):
        snapshot_of(env)
    with pytest.raises(UsageError, match="got Counting"):
        restore_into(env, env.unwrapped.snapshot())


def test_a_wrapper_of_ones_own_is_restored() -> None:
    env = Saved(plain())
    env.reset(seed=0)
    env.step("look")
    snapshot = Snapshot.from_bytes(snapshot_of(env).to_bytes())
    env.step("look")
    restore_into(env, snapshot)
    assert env.count == 1


def test_another_stack_is_refused() -> None:
    env = PromptProtocol(plain())
    env.reset(seed=0)
    snapshot = snapshot_of(env)
    with pytest.raises(UsageError, match="in no wrapper, got one of an env in PromptProtocol"):
        restore_into(plain(), snapshot)
    with pytest.raises(UsageError, match="protocol and history"):
        restore_into(PromptProtocol(plain(), history=1), snapshot)
    with pytest.raises(UsageError, match="that can be saved and restored, got CartPoleEnv"):
        snapshot_of(gym.make("CartPole-v1"))
    with pytest.raises(UsageError, match="Expected a Snapshot, got NoneType"):
        restore_into(env, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", [12, True, None])
def test_the_arguments_of_wrappers_must_be_equal(limit: Any) -> None:
    env = TimeLimit(plain(max_steps=50), 11)
    env.reset(seed=0)
    document = json.loads(snapshot_of(env).to_json())
    document["wrappers"][0][1][0] = limit
    with pytest.raises(UsageError, match="max_episode_steps=11"):
        restore_into(env, Snapshot.from_json(json.dumps(document)))


def test_the_state_of_loaded_wrappers_is_checked() -> None:
    env = full_stack()
    env.reset(seed=0)
    env.step("<action>look</action>")
    good = snapshot_of(env)
    for number in range(len(good.wrappers)):
        document = json.loads(good.to_json())
        if document["wrappers"][number][1] is None:
            continue
        document["wrappers"][number][1] = {"another": "shape"}
        with pytest.raises(SchemaError, match="Expected a list of"):
            restore_into(env, Snapshot.from_json(json.dumps(document)))
    document = json.loads(good.to_json())
    prompts = next(state for name, state in document["wrappers"] if name == "PromptProtocol")
    prompts[1] = prompts[1][:1]
    with pytest.raises(SchemaError, match="a prompt before and after each turn"):
        restore_into(env, Snapshot.from_json(json.dumps(document)))


def test_a_record_of_episodes_is_not_rewound() -> None:
    env = RecordTrajectories(plain(max_steps=2))
    env.reset(seed=0)
    env.step("look")
    snapshot = snapshot_of(env)
    env.step("look")
    restore_into(env, snapshot)
    env.step("inventory")
    restore_into(env, snapshot)
    env.step("help")
    env.reset()
    assert [trajectory.actions[-1] for trajectory in env.trajectories] == ["look", "inventory", "help"]
    assert [trajectory.origin is None for trajectory in env.trajectories] == [True, False, False]
    env.step("look")
    restore_into(env, snapshot)
    assert env.trajectories[-1].broken == "cut by restore"


def test_forks_share_nothing() -> None:
    env = full_stack()
    moments = walk(env, random.Random(0), respond, most=6)
    restore_into(env, moments[3].snapshot)
    forks = fork(env, 3, make=full_stack)
    for forked in forks:
        check_restored(forked, moments, 3, 2, stored=False)
    forks[0].close()
    assert in_words(env.step(moments[3].action)) == moments[3].result
    assert in_words(forks[1].step("<action>inventory</action>")) == in_words(
        forks[2].step("<action>inventory</action>")
    )


def test_forks_of_a_registered_env_have_its_wrappers() -> None:
    env = ActionParser(PromptProtocol(plain()))
    env.reset(seed=0)
    one, two = fork(env, 2)
    assert type(one) is ActionParser
    assert in_words(one.step("<action>look</action>")) == in_words(env.step("<action>look</action>"))
    assert two.unwrapped.trajectory().steps == ()


def test_forks_need_a_way_to_make_an_env() -> None:
    from agentgym_hindsight.envs.alfworld.env import ALFWorldEnv

    env = ALFWorldEnv(data="embedded")
    env.reset(seed=0)
    with pytest.raises(UsageError, match="make=lambda"):
        fork(env, 2)
    (made,) = fork(env, 1, make=lambda: ALFWorldEnv(data="embedded"))
    assert made.step("look")[0] == env.step("look")[0]
    for count in (0, True, "2"):
        with pytest.raises(UsageError, match="number of forks"):
            fork(env, count)  # type: ignore[arg-type]
