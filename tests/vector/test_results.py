"""The same actions give the same results in this process and in workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agentgym_hindsight import resolve
from agentgym_hindsight.hindsight.resolve import resolve_episode
from agentgym_hindsight.hindsight.sources import Provenance
from agentgym_hindsight.hindsight.trajectory import Group
from agentgym_hindsight.vector import HindsightVectorEnv
from tests.toy import CorridorEnv
from tests.vector.simulated import SimulatedTransport
from tests.vector.worlds import Judged, StormyEnv, same, words

Record = list[Any]


def play(venv: HindsightVectorEnv, seed: int, vocabulary: tuple[str, ...]) -> Record:
    record: Record = [venv.reset(seed=seed)]
    turn = 0
    while venv.active.any():
        record += [venv.step(words(turn, venv.num_envs, vocabulary)), venv.active]
        turn += 1
    record.append(venv.trajectories())
    record.append(venv.reset())
    record.append(venv.step(["east"] * venv.num_envs))
    record.append(venv.trajectories())
    return record


def hindsights(record: Record) -> list[Any]:
    return [list(call[-1]["hindsight"]) for call in record if isinstance(call, tuple)]


SETTINGS: dict[str, tuple[type[Any], dict[str, Any], tuple[str, ...]]] = {
    "plain": (CorridorEnv, {"max_steps": 9}, ("east", "west", "east", "fly", "east")),
    "crashes": (CorridorEnv, {"max_steps": 9}, ("east", "east", "west", "crash", "east", "fly", "east")),
    "expert": (StormyEnv, {"max_steps": 8, "expert": True, "split": "valid"}, ("east", "west", "east")),
    "wrapped": (StormyEnv, {"max_steps": 8, "wrappers": (Judged,)}, ("east", "fly", "east", "quit", "east")),
    "text anchors": (StormyEnv, {"max_steps": 6, "anchor": "observation", "group_size": 3}, ("east", "west")),
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_results_do_not_depend_on_workers(setting: str) -> None:
    factory, kwargs, vocabulary = SETTINGS[setting]
    kwargs = {"group_size": 2, **kwargs}
    with_workers: dict[int, Record] = {}
    # One setting with real processes; the others run the same protocol in this process, which is quicker.
    real = setting == "wrapped"
    counts = (0, 1, 2, 4) if real else (0, 2)
    for workers in counts:
        transport = None if real or not workers else SimulatedTransport()
        venv = HindsightVectorEnv(factory, 6, workers=workers, transport=transport, **kwargs)
        assert venv.workers == workers
        with_workers[workers] = play(venv, 7, vocabulary)
        if workers == 0:
            assert same(play(venv, 7, vocabulary), with_workers[0]), "the same seed gives the same results"
        venv.close()
    for workers in counts[1:]:
        assert same(with_workers[0], with_workers[workers])
        for local, in_workers in zip(hindsights(with_workers[0]), hindsights(with_workers[workers]), strict=True):
            assert local == in_workers
            assert [hindsight.episode for hindsight in local] == [hindsight.episode for hindsight in in_workers]
    if "crash" in vocabulary or "quit" in vocabulary:
        assert any(trajectory.broken for trajectory in with_workers[0][-4])


@pytest.mark.parametrize("workers", [0, 2])
def test_hindsight_equals_that_of_the_bare_env(workers: int) -> None:
    venv = HindsightVectorEnv(StormyEnv, 2, workers=workers, max_steps=5, expert=True)
    _, infos = venv.reset(seed=1)
    env = StormyEnv(max_steps=5, expert=True)
    _, info = env.reset(options={"task_id": infos["task_id"][1]})
    early: list[Any] = []
    for action in ("east", "west", "fly", "east", "east"):
        *_, infos = venv.step([action, action])
        *_, info = env.step(action)
        assert infos["hindsight"][1] == info["hindsight"]
        early.append(infos["hindsight"][1])
    assert infos["hindsight"][1].episode == info["hindsight"].episode
    assert infos["hindsight"][1].episode[0].successful_trajectory.provenance is Provenance.EXPERT
    venv.reset(seed=2)
    venv.step(["fly", "fly"])
    assert early[1].current_trajectory.text.count("Action:") == 2, "a hindsight does not change with the next rollout"
    venv.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_trajectories_can_be_grouped(shared_env: Callable[..., HindsightVectorEnv], workers: int) -> None:
    venv = shared_env(StormyEnv, 4, workers=workers, group_size=2)
    venv.reset(seed=0)
    while venv.active.any():
        venv.step(["east", "east", "east", "crash"])
    trajectories = venv.trajectories()
    assert [trajectory.sibling for trajectory in trajectories] == [0, 1, 0, 1]
    assert trajectories[3].broken == "RuntimeError: the corridor collapsed"
    group = Group(trajectories[:2])
    assert group.success_rate == 1
    assert resolve(group)[0][0].successful_trajectory is not None
    assert resolve_episode(trajectories[0].steps)[0].future_trajectory is not None
    assert trajectories[0].seed == trajectories[1].seed != trajectories[2].seed
