"""``reset(options={"reset_mask": …})`` starts rollouts in some envs while the others go on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.vector import HindsightVectorEnv, unstack
from tests.toy import SIZES, CorridorBackend, CorridorEnv
from tests.vector.worlds import WORDS, StormyEnv, same

SharedEnv = Callable[..., HindsightVectorEnv]
TASKS = [CorridorBackend().task("train", index) for index in range(SIZES["train"])]


def mask(*flags: int) -> np.ndarray[Any, Any]:
    return np.array(flags, dtype=bool)


def start(venv: HindsightVectorEnv, *flags: int, **more: Any) -> tuple[Any, dict[str, Any]]:
    return venv.reset(options={"reset_mask": mask(*flags)}, **more)


@pytest.mark.parametrize("workers", [0, 2])
def test_only_the_named_envs_start_again(shared_env: SharedEnv, workers: int) -> None:
    venv = shared_env(StormyEnv, 4, workers=workers)
    venv.reset(seed=0)
    before = venv.step(["east"] * 4)
    observations, infos = start(venv, 0, 1, 0, 1)
    assert [observations[index] for index in (0, 2)] == [before[0][index] for index in (0, 2)]
    assert all("Your task is to" in observations[index] for index in (1, 3))
    assert list(infos["step"]) == [1, 0, 1, 0]
    assert list(infos["_step"]) == [False, True, False, True]
    assert venv.active.all()
    *_, infos = venv.step(["east"] * 4)
    assert list(infos["step"]) == [2, 1, 2, 1]
    assert [len(trajectory) for trajectory in venv.trajectories()] == [2, 1, 2, 1]


def test_the_order_of_tasks_goes_on() -> None:
    whole, parts = HindsightVectorEnv(CorridorEnv, 4), HindsightVectorEnv(CorridorEnv, 4)
    expected = [*whole.reset(seed=3)[1]["task_id"], *whole.reset()[1]["task_id"], *whole.reset()[1]["task_id"]]
    drawn = list(parts.reset(seed=3)[1]["task_id"])
    for flags in ((0, 1, 0, 0), (1, 0, 0, 1), (0, 0, 1, 0), (1, 1, 1, 1)):
        _, infos = start(parts, *flags)
        drawn += [task_id for task_id, started in zip(infos["task_id"], flags, strict=True) if started]
    assert drawn == expected, "each task comes once before any is repeated"
    _, infos = start(parts, 0, 1, 1, 0, seed=3)
    assert list(infos["task_id"][1:3]) == expected[:2], "a seed starts the order again"


def test_groups_start_together() -> None:
    venv = HindsightVectorEnv(CorridorEnv, 6, group_size=2)
    _, first = venv.reset(seed=0)
    _, infos = start(venv, 1, 1, 0, 0, 1, 1)
    ids = infos["task_id"]
    assert ids[0] == ids[1] != ids[4] == ids[5]
    assert ids[2] == ids[3] == first["task_id"][2]
    with pytest.raises(UsageError, match=r"whole groups of 2.*group_size=1"):
        start(venv, 1, 0, 0, 0, 0, 0)


def test_given_tasks_are_for_the_named_envs() -> None:
    venv = HindsightVectorEnv(CorridorEnv, 4, group_size=2)
    venv.reset(seed=0)
    for tasks in ([TASKS[5]], [TASKS[5].id] * 2):
        _, infos = start(venv, 0, 0, 1, 1, tasks=tasks)
        assert list(infos["task_id"][2:]) == [TASKS[5].id] * 2
    _, infos = venv.reset(options={"reset_mask": mask(1, 1, 0, 0), "tasks": [TASKS[7]]})
    assert list(infos["task_id"]) == [TASKS[7].id] * 2 + [TASKS[5].id] * 2
    _, infos = venv.reset(options={"reset_mask": mask(0, 0, 1, 1), "task_id": TASKS[1].id})
    assert infos["task_id"][3] == TASKS[1].id
    with pytest.raises(UsageError, match=r"each of the 4 envs in the reset_mask \(2 groups\), got 1 tasks"):
        start(venv, 1, 1, 1, 1, tasks=[TASKS[0]])


def test_idle_envs_can_start_later() -> None:
    venv = HindsightVectorEnv(CorridorEnv, 4)
    venv.reset(tasks=TASKS[:2])
    _, infos = start(venv, 0, 0, 0, 1, tasks=[TASKS[3]])
    assert list(venv.active) == [True, True, False, True]
    assert infos["task_id"][3] == TASKS[3].id
    assert [trajectory.task_id for trajectory in venv.trajectories()] == [TASKS[0].id, TASKS[1].id, TASKS[3].id]
    new = HindsightVectorEnv(CorridorEnv, 2)
    start(new, 0, 1, seed=0)
    assert list(new.active) == [False, True]


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ([True, False], "got list"),
        (np.array([1, 0]), r"got int64 of shape \(2,\)"),
        (np.array([True]), r"got bool of shape \(1,\)"),
        (np.array([False, False]), "got none"),
    ],
)
def test_a_wrong_mask_changes_nothing(given: Any, cause: str) -> None:
    venv = HindsightVectorEnv(CorridorEnv, 2)
    venv.reset(seed=0)
    venv.step(["east", "east"])
    with pytest.raises(UsageError, match=cause):
        venv.reset(options={"reset_mask": given})
    assert list(venv.step(["east", "east"])[4]["step"]) == [2, 2]


def test_the_options_of_the_caller_are_not_changed() -> None:
    """Gymnasium's own vector envs remove the mask, and wrappers around them do not see it any more."""
    venv = HindsightVectorEnv(CorridorEnv, 2)
    venv.reset(seed=0)
    options = {"reset_mask": mask(1, 0)}
    venv.reset(options=options)
    assert list(options) == ["reset_mask"]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_unknown_task_ends_only_the_named_envs(shared_env: SharedEnv, workers: int) -> None:
    venv = shared_env(StormyEnv, 4, workers=workers)
    venv.reset(seed=0)
    venv.step(["east"] * 4)
    with pytest.raises(UsageError, match="no-such-task"):
        start(venv, 1, 0, 1, 0, tasks=[TASKS[0], "no-such-task"])
    assert list(venv.active) == [False, True, False, True]
    assert [len(trajectory) for trajectory in venv.trajectories()] == [1, 1]
    *_, infos = venv.step([None, "east", None, "east"])
    assert list(infos["step"][[1, 3]]) == [2, 2]


def test_rollouts_that_go_on_break_with_their_worker(shared_env: SharedEnv) -> None:
    venv = shared_env(StormyEnv, 4, workers=2)
    venv.reset(seed=0)
    venv.step(["east"] * 4)
    worker = venv._pool._workers[0]  # type: ignore[attr-defined]
    os.kill(worker.process.pid, signal.SIGKILL)
    worker.process.wait()
    _, infos = start(venv, 0, 1, 0, 0)
    assert infos["broken"][0].startswith("WorkerError: the worker process was killed by SIGKILL")
    assert list(infos["_broken"]) == [True, True, False, False]
    assert list(venv.active) == [False, True, True, True]
    _, _, terminations, truncations, _ = venv.step([None, "east", "east", "east"])
    assert list(truncations) == [True, False, False, False], "the first step after the reset reports the end"
    assert not terminations.any()
    assert [len(trajectory) for trajectory in venv.trajectories()] == [1, 1, 2, 2]
    assert not any(venv.reset(seed=0)[1]["broken"])


def test_a_reset_that_ends_the_worker_breaks_the_rollouts_that_go_on(shared_env: SharedEnv) -> None:
    venv = shared_env(StormyEnv, 4, workers=2)
    venv.reset(seed=0)
    deadly = TASKS[0].__class__("die", "Corridor-v0", "train", "rooms4", "die")
    _, infos = start(venv, 0, 1, 0, 0, tasks=[deadly])
    assert [bool(why) for why in infos["broken"]] == [True, True, False, False]
    assert list(venv.active) == [False, False, True, True]
    assert list(venv.step([None, None, "east", "east"])[3]) == [True, True, False, False]
    assert not any(venv.reset(seed=0)[1]["broken"])


@pytest.mark.parametrize("workers", [0, 2])
def test_gymnasiums_sync_vector_env_gives_the_same_turns(shared_env: SharedEnv, workers: int) -> None:
    """The same tasks and actions, for 40 turns; ended episodes are reset by mask, as the mode DISABLED asks."""
    ours = shared_env(StormyEnv, 3, workers=workers)
    theirs = gym.vector.SyncVectorEnv([StormyEnv] * 3, autoreset_mode=AutoresetMode.DISABLED)
    ours.reset(tasks=TASKS[:3])
    their_observations = theirs.reset(seed=0)[0]
    due = list(TASKS)

    def restart(ended: np.ndarray[Any, Any]) -> None:
        nonlocal their_observations
        tasks = [due.pop(0) for _ in range(int(ended.sum()))]
        due.extend(tasks)
        observations, infos = ours.reset(options={"reset_mask": ended, "tasks": tasks})
        for index, task in zip(ended.nonzero()[0], tasks, strict=True):  # one mask per task
            only = np.arange(3) == index
            their_observations, their_infos = theirs.reset(options={"reset_mask": only, "task": task})
            check(infos, their_infos, only)
        assert observations == their_observations

    def check(infos: dict[str, Any], their_infos: dict[str, Any], played: np.ndarray[Any, Any]) -> None:
        for key in their_infos:
            if not key.startswith("_") and key != "extra":
                assert same(infos[key][played], their_infos[key][played]), key
                assert infos[f"_{key}"][played].all()

    restart(np.ones(3, dtype=bool))
    ends = 0
    for turn in range(40):
        actions = [WORDS[(turn + 2 * index) % len(WORDS)] for index in range(3)]
        observations, *results, infos = ours.step(actions)
        their_observations, *their_results, their_infos = theirs.step(actions)
        assert observations == their_observations
        assert all(same(result, expected) for result, expected in zip(results, their_results, strict=True))
        check(infos, their_infos, np.ones(3, dtype=bool))
        assert all(info is not None for info in unstack(infos))
        ended = results[1] | results[2]
        if ended.any():
            ends += int(ended.sum())
            restart(ended)
    assert ends >= 6
    theirs.close()
