"""``gymnasium.make(…, max_episode_steps=k)``: the env ends the episode itself, with the final hindsight."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import pytest

from agentgym_hindsight.errors import ResetNeededError
from agentgym_hindsight.registration import ENVS
from tests.toy import CorridorEnv

ID = "TimeLimitCorridor-v0"
WORLDS = {entry.id: {} if entry.id.startswith("AppWorld") else {"data": "embedded"} for entry in ENVS}


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    gym.register(ID, entry_point="tests.toy:CorridorEnv")
    gym.register("Limited" + ID, entry_point="tests.toy:CorridorEnv", max_episode_steps=3)
    gym.register("Short" + ID, entry_point="tests.toy:CorridorEnv", max_episode_steps=9, kwargs={"max_steps": 4})
    yield
    for prefix in ("", "Limited", "Short"):
        del gym.registry[prefix + ID]


def play(env: gym.Env[Any, Any], action: str = "fly") -> tuple[int, bool, bool, dict[str, Any]]:
    """The number of turns of an episode, its flags, and its last info."""
    env.reset(seed=0)
    turns = 0
    while True:
        turns += 1
        _, _, terminated, truncated, info = env.step(action)
        if terminated or truncated:
            return turns, terminated, truncated, info


@pytest.mark.parametrize(
    ("prefix", "arguments", "expected"),
    [
        ("", {"max_episode_steps": 2}, 2),
        ("", {"max_episode_steps": 70}, 70),  # replaces the default of 50
        ("", {"max_episode_steps": 6, "max_steps": 3}, 3),  # both given: the smaller one
        ("", {"max_episode_steps": 3, "max_steps": 6}, 3),
        ("", {"max_episode_steps": -1, "max_steps": 6}, 6),  # -1: no TimeLimit
        ("", {}, 50),
        ("Limited", {}, 3),
        ("Limited", {"max_episode_steps": 5}, 5),
        ("Limited", {"max_episode_steps": -1}, 50),
        ("Short", {}, 4),
        ("Short", {"max_episode_steps": 2}, 2),
    ],
)
def test_the_limit_of_make(prefix: str, arguments: dict[str, Any], expected: int) -> None:
    env = gym.make(prefix + ID, **arguments)
    for made in (env, gym.make(env.spec)):  # type: ignore[arg-type]
        turns, terminated, truncated, info = play(made)
        assert (turns, terminated, truncated) == (expected, False, True)
        assert info["hindsight"].is_final
        assert len(info["hindsight"].episode) == expected
        assert made.unwrapped.trajectory().truncated  # type: ignore[attr-defined]
        with pytest.raises(ResetNeededError, match="after the episode had ended"):
            made.step("fly")
        assert play(made)[0] == expected, "the next episode has the same limit"


@pytest.mark.parametrize("env_id", WORLDS)
def test_the_limit_of_make_in_every_world(env_id: str) -> None:
    env = gym.make(env_id, max_episode_steps=2, render_mode="ansi", **WORLDS[env_id])
    turns, _, truncated, info = play(env, "nonsense (")
    assert (turns, truncated) == (2, True)
    assert len(info["hindsight"].episode) == 2
    assert "turn 2/2" in str(env.render())
    env.close()


def test_an_env_that_was_not_made_by_gymnasium_keeps_its_limit() -> None:
    env = CorridorEnv(max_steps=5)
    env.spec = gym.spec("Limited" + ID)
    assert env.spec is not None
    assert play(env)[0] == 5
    assert CorridorEnv().spec is None


def test_copies_keep_the_limit() -> None:
    env = gym.make(ID, max_episode_steps=3)
    assert play(copy.deepcopy(env))[0] == 3
    assert play(pickle.loads(pickle.dumps(env)))[0] == 3


def test_an_env_inside_another_one_has_its_own_limit() -> None:
    class Outer(CorridorEnv):
        def __init__(self) -> None:
            self.inner = gym.make(ID, max_episode_steps=2)
            super().__init__()

    gym.register("Outer" + ID, entry_point=Outer, order_enforce=False)
    env: Any = gym.make("Outer" + ID, max_episode_steps=4)
    del gym.registry["Outer" + ID]
    assert play(env)[0] == 4
    assert play(env.unwrapped.inner)[0] == 2


@pytest.mark.parametrize("limit", [0, "3", 2.5])
def test_gymnasium_refuses_other_limits(limit: Any) -> None:
    with pytest.raises((ValueError, TypeError, AssertionError), match="max_episode_steps"):  # depends on the release
        gym.make(ID, max_episode_steps=limit)
