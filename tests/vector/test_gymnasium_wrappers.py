"""Gymnasium's own vector wrappers and vectorization modes over these envs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import wrappers as single
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv
from gymnasium.vector.utils import batch_space
from gymnasium.wrappers import vector as wrappers

from agentgym_hindsight.errors import ResetNeededError, UsageError
from agentgym_hindsight.spaces import UnicodeText
from agentgym_hindsight.vector import HindsightVectorEnv
from tests.toy import SIZES, CorridorBackend, CorridorEnv

ID = "Test/Corridor-Wrappers-v0"
TASKS = [CorridorBackend().task("train", index) for index in range(SIZES["train"])]


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    entry = "agentgym_hindsight.vector:make_Test_Corridor_Wrappers_v0"
    gym.register(ID, "tests.toy:CorridorEnv", vector_entry_point=entry, order_enforce=False, kwargs={"max_steps": 7})
    yield
    del gym.registry[ID]


def actions(infos: dict[str, Any], turn: int) -> list[str]:
    """Env i goes east in most turns, so that episodes end at different times: by a win, or by the limit."""
    return ["west" if turn % (index + 2) == 1 else "east" for index in range(len(infos["step"]))]


def statistics(venv: Any) -> tuple[list[int], list[float]]:
    return [int(length) for length in venv.length_queue], [float(total) for total in venv.return_queue]


@pytest.mark.parametrize("workers", [0, 2])
def test_episode_statistics_when_ended_envs_are_reset_by_mask(workers: int) -> None:
    venv: Any = wrappers.RecordEpisodeStatistics(HindsightVectorEnv(CorridorEnv, 4, workers=workers, max_steps=9))
    _, infos = venv.reset(seed=0)
    expected: list[tuple[int, float]] = []
    ends_of_a_turn: set[int] = set()
    for turn in range(60):
        _, _, terminations, truncations, infos = venv.step(actions(infos, turn))
        ended = terminations | truncations
        if ended.any():
            ends_of_a_turn.add(int(ended.sum()))
            finished = [venv.env.trajectories()[index] for index in ended.nonzero()[0]]
            expected += [(len(each), sum(step.reward for step in each.steps)) for each in finished]
            assert list(infos["_episode"]) == list(ended)
            assert [int(length) for length in infos["episode"]["l"][ended]] == [len(each) for each in finished]
            _, infos = venv.reset(options={"reset_mask": ended})
    assert len(expected) > 20
    assert 1 in ends_of_a_turn, "episodes end at different times"
    assert len({length for length, _ in expected}) > 1
    assert {total for _, total in expected} == {0.0, 1.0}
    assert statistics(venv) == tuple(map(list, zip(*expected, strict=True)))
    assert venv.episode_count == len(expected)
    venv.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_episode_statistics_when_all_envs_are_reset_together(workers: int) -> None:
    """The usual loop of this library: ended envs wait, and must not be counted again."""
    inner = HindsightVectorEnv(CorridorEnv, 4, workers=workers, max_steps=9)
    venv: Any = wrappers.RecordEpisodeStatistics(inner)
    expected: list[tuple[int, float]] = []
    for tasks in (TASKS[:4], TASKS[4:8], TASKS[8:11]):  # in the last batch one env is idle
        _, infos = venv.reset(options={"tasks": tasks})
        turn = 0
        while inner.active.any():
            _, _, terminations, truncations, infos = venv.step(actions(infos, turn))
            turn += 1
            for index in (terminations | truncations).nonzero()[0]:
                trajectory = inner.trajectories()[index]
                expected.append((len(trajectory), sum(step.reward for step in trajectory.steps)))
    assert len(expected) == 11
    assert statistics(venv) == tuple(map(list, zip(*expected, strict=True)))
    assert venv.episode_count == 11
    venv.close()


def test_a_loop_that_waits_for_flags_of_all_envs_gets_an_error_with_the_fix() -> None:
    venv = HindsightVectorEnv(CorridorEnv, 2)
    venv.reset(tasks=TASKS[:2])  # the first needs four turns, the second five
    for _ in range(5):
        _, _, terminations, truncations, _ = venv.step(["east", "east"])
        assert not (terminations | truncations).all()
    with pytest.raises(ResetNeededError, match=r"while venv\.active\.any\(\)"):
        venv.step(["east", "east"])


def flat(infos: Any) -> list[dict[str, Any]]:
    return infos if isinstance(infos, list) else [{"hindsight": each} for each in infos["hindsight"]]


WRAPPED: dict[str, Callable[[HindsightVectorEnv], Any]] = {
    "RecordEpisodeStatistics": wrappers.RecordEpisodeStatistics,
    "DictInfoToList": wrappers.DictInfoToList,
    "both": lambda venv: wrappers.DictInfoToList(wrappers.RecordEpisodeStatistics(venv)),
    "TransformReward": lambda venv: wrappers.TransformReward(venv, lambda rewards: rewards + 0),
    "VectorizeTransformReward": lambda venv: wrappers.VectorizeTransformReward(
        venv, single.TransformReward, func=lambda reward: reward
    ),
    "ClipReward": lambda venv: wrappers.ClipReward(venv, 0, 1),
    "NormalizeReward": wrappers.NormalizeReward,
    "TransformObservation": lambda venv: wrappers.TransformObservation(
        venv, lambda texts: tuple(text.upper() for text in texts), observation_space=batch_space(UnicodeText(), 3)
    ),
    "VectorizeTransformObservation": lambda venv: wrappers.VectorizeTransformObservation(
        venv, single.TransformObservation, func=str.upper, observation_space=UnicodeText()
    ),
    "TransformAction": lambda venv: wrappers.TransformAction(
        venv, lambda texts: [text.lower() for text in texts], action_space=venv.action_space
    ),
    "VectorizeTransformAction": lambda venv: wrappers.VectorizeTransformAction(
        venv, single.TransformAction, func=str.lower, action_space=venv.single_action_space
    ),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_vector_wrappers(name: str) -> None:
    if name == "both":
        pytest.importorskip("gymnasium", "1.4", reason="older releases of DictInfoToList do not know nested infos")
    venv = WRAPPED[name](HindsightVectorEnv(CorridorEnv, 3, max_steps=4))
    observations, _ = venv.reset(seed=0)
    for _ in range(4):
        assert observations in venv.observation_space
        assert "Observation" not in name or observations[0].isupper()
        observations, _, _, truncations, infos = venv.step(["FLY"] * 3)
    assert truncations.all()
    assert [len(info["hindsight"].episode) for info in flat(infos)] == [4] * 3
    if name == "both":
        assert [info["episode"]["l"] for info in infos] == [4] * 3
    venv.reset(options={"reset_mask": np.array([True, False, True])})
    assert list(venv.unwrapped.active) == [True, False, True]
    venv.close()


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({}, HindsightVectorEnv),
        ({"vectorization_mode": "vector_entry_point", "workers": 2}, HindsightVectorEnv),
        ({"vectorization_mode": "sync"}, SyncVectorEnv),
        ({"vectorization_mode": "async", "vector_kwargs": {"shared_memory": False}}, AsyncVectorEnv),
    ],
)
@pytest.mark.parametrize("limit", [3, None])
def test_modes_of_make_vec(arguments: dict[str, Any], kind: type, limit: int | None) -> None:
    venv: Any = gym.make_vec(ID, num_envs=2, max_episode_steps=limit, **arguments)
    assert isinstance(venv, kind)
    for _ in range(2 if kind is HindsightVectorEnv else 1):  # the others reset ended envs themselves
        observations, _ = venv.reset(seed=0)
        for turn in range(1, (limit or 7) + 1):
            assert observations in venv.observation_space
            observations, _, terminations, truncations, infos = venv.step(["fly", "fly"])
            assert list(truncations) == [turn == (limit or 7)] * 2
        assert not terminations.any()
        assert [len(each.episode) for each in infos["hindsight"]] == [limit or 7] * 2, "the last hindsight is final"
    again: Any = gym.make_vec(venv.spec)
    assert isinstance(again, kind)
    again.close()
    venv.close()


def test_the_error_of_shared_memory_names_the_argument_of_make_vec() -> None:
    with pytest.raises(UsageError, match=r"vector_kwargs=\{'shared_memory': False\}"):
        gym.make_vec(ID, num_envs=2, vectorization_mode="async")


def test_a_win_on_the_last_turn_is_not_truncated() -> None:
    """A ``TimeLimit`` reports both; the record has one end."""
    venv = HindsightVectorEnv(ID, 1, max_episode_steps=4)
    venv.reset(tasks=TASKS[:1])
    for _ in range(4):
        _, _, terminations, truncations, _ = venv.step(["east"])
    assert (terminations[0], truncations[0]) == (True, False)
    assert venv.trajectories()[0].won
    assert not venv.trajectories()[0].truncated


@pytest.mark.parametrize("workers", [0, 2])
def test_rendering_before_the_first_reset(workers: int) -> None:
    venv = HindsightVectorEnv(CorridorEnv, 2, workers=workers, render_mode="ansi")
    assert venv.render() == ("", "")
    venv.close()


def test_one_seed_draws_the_order_of_all_tasks() -> None:
    venv = HindsightVectorEnv(CorridorEnv, 2)
    with pytest.raises(UsageError, match=r"one seed.*got \[1, 2\]; try seed=0"):
        venv.reset(seed=[1, 2])  # type: ignore[arg-type]
    assert list(venv.reset(seed=np.int64(3))[1]["task_id"]) == list(venv.reset(seed=3)[1]["task_id"])
