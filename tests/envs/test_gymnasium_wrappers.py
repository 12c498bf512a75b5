"""Gymnasium's wrappers for single envs, over text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import pytest
from gymnasium import wrappers
from gymnasium.wrappers.utils import create_zero_array

from agentgym_hindsight.spaces import UnicodeText

TURNS = 4


def make(**arguments: Any) -> gym.Env[str, str]:
    return gym.make("ALFWorld-Hindsight-v0", data="embedded", difficulty="bare", max_episode_steps=TURNS, **arguments)


WRAPPED: dict[str, Callable[[], gym.Env[Any, Any]]] = {
    "TimeLimit": lambda: wrappers.TimeLimit(make(), TURNS + 5),
    "OrderEnforcing": lambda: wrappers.OrderEnforcing(make()),
    "PassiveEnvChecker": lambda: wrappers.PassiveEnvChecker(make()),
    "RecordEpisodeStatistics": lambda: wrappers.RecordEpisodeStatistics(make()),
    "Autoreset": lambda: wrappers.Autoreset(make()),
    "TransformObservation": lambda: wrappers.TransformObservation(make(), str.upper, UnicodeText()),
    "TimeAwareObservation": lambda: wrappers.TimeAwareObservation(make(), flatten=False),
    "FrameStackObservation": lambda: wrappers.FrameStackObservation(make(), 3),
    "FrameStackObservation, zero": lambda: wrappers.FrameStackObservation(make(), 3, padding_type="zero"),
    "FrameStackObservation, custom": lambda: wrappers.FrameStackObservation(make(), 3, padding_type="(none)"),
    "DelayObservation": lambda: wrappers.DelayObservation(make(), 2),
    "TransformReward": lambda: wrappers.TransformReward(make(), lambda reward: 2 * float(reward)),
    "ClipReward": lambda: wrappers.ClipReward(make(), 0, 1),
    "NormalizeReward": lambda: wrappers.NormalizeReward(make()),
    "TransformAction": lambda: wrappers.TransformAction(make(), str.lower, UnicodeText()),
    "StickyAction": lambda: wrappers.StickyAction(make(), 0.5),
    "RenderCollection": lambda: wrappers.RenderCollection(make(render_mode="ansi")),
    "ansi_list": lambda: make(render_mode="ansi_list"),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_wrappers(name: str) -> None:
    env = WRAPPED[name]()
    for _ in range(2):
        observation, info = env.reset(seed=0)
        for turn in range(1, TURNS + 1):
            assert observation in env.observation_space
            observation, _, terminated, truncated, info = env.step("look")
            assert (terminated, truncated) == (False, turn == TURNS)
        assert len(info["hindsight"].episode) == TURNS
    if name == "RecordEpisodeStatistics":
        assert info["episode"]["l"] == TURNS
    if name in ("RenderCollection", "ansi_list"):
        assert all("turn " in text for text in env.render())  # type: ignore[union-attr]
    if name == "Autoreset":
        _, _, _, truncated, info = env.step("look")
        assert (truncated, info["step"]) == (False, 0)
    env.close()


def test_stacked_and_delayed_texts() -> None:
    first = make().reset(seed=0)[0]
    stacked, _ = wrappers.FrameStackObservation(make(), 3, padding_type="zero").reset(seed=0)
    assert stacked == ("", "", first)
    stacked, _ = wrappers.FrameStackObservation(make(), 2).reset(seed=0)
    assert stacked == (first, first)
    delayed = wrappers.DelayObservation(make(), 1)
    assert delayed.reset(seed=0)[0] == ""
    assert delayed.step("look")[0] == first


def test_the_empty_text_is_in_the_space() -> None:
    assert create_zero_array(UnicodeText()) == "" in UnicodeText()
