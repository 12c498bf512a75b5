"""Failures in one rollout are recorded as data, and do not affect the other rollouts."""

from __future__ import annotations

import os
import queue
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

from agentgym_hindsight.errors import BackendError, UsageError, WorkerError
from agentgym_hindsight.tasks import Task
from agentgym_hindsight.vector import HindsightVectorEnv
from agentgym_hindsight.vector.pool import WorkerEnvs
from tests.toy import CorridorBackend, CorridorEnv
from tests.vector.worlds import StormyEnv, children, same

KILLED = "WorkerError: the worker process was killed by SIGKILL, and this rollout with it"
SharedEnv = Callable[..., HindsightVectorEnv]


def processes(venv: HindsightVectorEnv) -> list[Any]:
    assert isinstance(venv._pool, WorkerEnvs)
    return [worker.process for worker in venv._pool._workers if worker is not None]  # type: ignore[attr-defined]


def pids(venv: HindsightVectorEnv) -> list[int]:
    return [process.pid for process in processes(venv)]


def task(goal: str) -> Task:
    return Task(goal, "Corridor-v0", "train", "rooms4", goal)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("word", "why"), [("crash", "RuntimeError: the corridor collapsed"), ("quit", "SystemExit: the simulator gave up")]
)
def test_an_exception_breaks_one_rollout(shared_env: SharedEnv, workers: int, word: str, why: str) -> None:
    venv = shared_env(StormyEnv, 4, workers=workers, group_size=2)
    venv.reset(seed=0)
    venv.step(["east"] * 4)
    observations, rewards, terminations, truncations, infos = venv.step(["east", word, "east", "east"])
    assert list(infos["broken"]) == ["", why, "", ""]
    assert observations[1] == "You are in room 1."
    assert (rewards[1], terminations[1], truncations[1]) == (0, False, True)
    assert list(venv.active) == [True, False, True, True]
    venv.step(["east", None, "east", "east"])
    trajectories = venv.trajectories()
    assert [len(trajectory) for trajectory in trajectories] == [3, 1, 3, 3]
    assert [trajectory.broken for trajectory in trajectories] == ["", why, "", ""]
    assert trajectories[1].truncated
    _, infos = venv.reset(seed=0)
    assert not any(infos["broken"])
    assert venv.active.all()
    venv.step(["east"] * 4)


@pytest.mark.parametrize(("word", "how"), [("kill", "was killed by SIGKILL"), ("exit", "exited with status 3")])
def test_a_dead_worker_breaks_only_its_own_rollouts(shared_env: SharedEnv, word: str, how: str) -> None:
    venv = shared_env(StormyEnv, 6, workers=3)
    _, infos = venv.reset(seed=0)
    ids = list(infos["task_id"])
    before = set(pids(venv))
    venv.step(["east"] * 6)
    _, rewards, terminations, truncations, infos = venv.step(["east", "east", "east", word, "east", "east"])
    assert list(truncations) == [False, False, True, True, False, False]
    assert not terminations.any()
    assert not rewards.any()
    why = f"WorkerError: the worker process {how}, and this rollout with it"
    assert list(infos["broken"]) == ["", "", why, why, "", ""]
    assert len(set(pids(venv)) - before) == 1, "the worker is replaced"
    venv.step(["east", "east", None, None, "east", "east"])
    trajectories = venv.trajectories()
    # Env 2 had answered its second turn before the action of env 3 ended their worker.
    assert [len(trajectory) for trajectory in trajectories] == [3, 3, 2, 1, 3, 3]
    assert [trajectory.task_id for trajectory in trajectories] == ids
    assert trajectories[3].broken == why
    assert not any(venv.reset(seed=0)[1]["broken"])
    while venv.active.any():
        venv.step(["east"] * 6)
    assert all(trajectory.won for trajectory in venv.trajectories())


def test_a_finished_rollout_survives_its_worker(shared_env: SharedEnv) -> None:
    venv = shared_env(StormyEnv, 2, workers=1)
    venv.reset(tasks=[CorridorBackend().task("train", 0), CorridorBackend().task("train", 1)])
    for _ in range(4):
        _, _, terminations, _, _ = venv.step(["east", "west"])
    assert list(terminations) == [True, False]
    _, _, terminations, truncations, infos = venv.step([None, "kill"])
    assert list(terminations) == [False, False], "the end of an episode is reported once"
    assert list(truncations) == [False, True]
    assert list(infos["broken"]) == ["", KILLED]
    assert venv.trajectories()[0].won
    assert not venv.trajectories()[0].broken


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_failed_reset_breaks_one_rollout(shared_env: SharedEnv, workers: int) -> None:
    venv = shared_env(StormyEnv, 2, workers=workers)
    venv.reset(seed=0)
    observations, infos = venv.reset(tasks=[task("collapse"), CorridorBackend().task("train", 0)])
    assert list(infos["broken"]) == ["OSError: no corridor here", ""]
    assert list(infos["_broken"]) == [True, True]
    assert list(venv.active) == [False, True]
    assert observations[0] == ""
    _, rewards, terminations, truncations, _ = venv.step([None, "east"])
    assert (rewards[0], terminations[0], truncations[0]) == (0, False, True)
    assert not venv.step([None, "east"])[3].any(), "the end is reported once"
    broken, whole = venv.trajectories()
    assert (broken.task_id, broken.broken, len(broken), len(whole)) == ("collapse", "OSError: no corridor here", 0, 2)
    assert broken.seed is not None
    assert not any(venv.reset(seed=0)[1]["broken"])


def test_a_reset_that_ends_the_worker_breaks_only_its_rollouts(shared_env: SharedEnv) -> None:
    venv = shared_env(StormyEnv, 4, workers=2, group_size=2)
    _, infos = venv.reset(tasks=[task("die"), CorridorBackend().task("train", 0)])
    assert [bool(why) for why in infos["broken"]] == [True, True, False, False]
    assert "exited with status 5" in infos["broken"][0]
    assert [trajectory.task_id for trajectory in venv.trajectories()[:2]] == ["die", "die"]
    assert not any(venv.reset(seed=0)[1]["broken"])


@pytest.mark.parametrize("dead", [False, True])
def test_a_worker_lost_between_rollouts_breaks_nothing(shared_env: SharedEnv, dead: bool) -> None:
    venv = shared_env(StormyEnv, 4, workers=2, group_size=2)
    venv.reset(seed=0)
    for pid in pids(venv):
        os.kill(pid, 9)
        if dead:  # else the reset may still reach the dying process
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert not any(venv.reset(seed=0)[1]["broken"])


@pytest.mark.parametrize("workers", [1, 2])
def test_an_info_that_cannot_be_pickled_breaks_the_rollout(shared_env: SharedEnv, workers: int) -> None:
    venv = shared_env(StormyEnv, 2, workers=workers)
    venv.reset(seed=0)
    _, _, _, truncations, infos = venv.step(["unpicklable", "east"])
    assert list(truncations) == [True, False]
    assert "lambda" in infos["broken"][0]
    assert [len(trajectory) for trajectory in venv.trajectories()] == [1, 1]


@pytest.mark.slow
def test_sigkill_under_load_leaves_all_other_rollouts_intact() -> None:
    """Kill workers at random turns. Every rollout that is not marked as broken equals that of an undisturbed run."""
    rng = random.Random(4)
    undisturbed = HindsightVectorEnv(StormyEnv, 12, max_steps=30)
    venv = HindsightVectorEnv(StormyEnv, 12, max_steps=30, workers=3)
    victims: queue.Queue[Any] = queue.Queue()

    def kill() -> None:
        while (process := victims.get()) is not None:
            process.kill()

    actions = [[rng.choice(["west", "fly", "west"]) for _ in range(12)] for _ in range(30)]
    killer = threading.Thread(target=kill)
    killer.start()
    broken = intact = 0
    try:
        for seed in range(60):
            undisturbed.reset(seed=seed)
            venv.reset(seed=seed)
            for turn in actions:
                undisturbed.step(turn)
                if venv.active.any():
                    if rng.random() < 0.04:  # the thread kills the process while the step is running
                        victims.put(rng.choice(processes(venv)))
                    venv.step(turn)
            for truth, rollout in zip(undisturbed.trajectories(), venv.trajectories(), strict=True):
                if rollout.broken:
                    broken += 1
                    assert rollout.broken.startswith("WorkerError"), rollout.broken
                    assert rollout.steps == truth.steps[: len(rollout)]
                else:
                    intact += 1
                    assert same(rollout, truth)
            if broken >= 6 and intact >= 12:
                break
    finally:
        victims.put(None)
        killer.join()
    assert broken >= 6
    assert intact >= 12
    venv.reset(seed=0)
    venv.close()
    assert not children()


def no_env(**kwargs: Any) -> CorridorEnv:
    raise BackendError("the engine is not installed")


@pytest.mark.parametrize("workers", [0, 2])
def test_an_env_that_cannot_be_made_raises(workers: int) -> None:
    with pytest.raises(BackendError, match="the engine is not installed"):
        HindsightVectorEnv(no_env, 2, workers=workers)
    with pytest.raises(UsageError, match="Expected a HindsightEnv, got object"):
        HindsightVectorEnv(object, 1, workers=min(workers, 1))  # type: ignore[arg-type]
    assert not children()


def test_a_factory_that_cannot_be_pickled_raises() -> None:
    lock = threading.Lock()
    with pytest.raises(UsageError, match="can be sent to a worker process, got TypeError"):
        HindsightVectorEnv(lambda: lock and CorridorEnv(), 2, workers=1)
    assert not children()


class Odd(Exception):
    """Cannot be unpickled: its message is not its argument."""

    def __init__(self, left: str, right: str) -> None:
        super().__init__(f"{left} and {right}")


def odd_env(**kwargs: Any) -> CorridorEnv:
    raise Odd("this", "that")


def test_an_error_that_cannot_be_unpickled_becomes_a_worker_error() -> None:
    with pytest.raises(WorkerError, match="Odd: this and that"):
        HindsightVectorEnv(odd_env, 2, workers=1)


def test_a_lambda_and_an_infinite_time_limit_are_allowed() -> None:
    venv = HindsightVectorEnv(lambda **kwargs: CorridorEnv(**kwargs), 2, workers=1, timeout_s=float("inf"))
    venv.reset(seed=0)
    venv.step(["east", "east"])
    venv.close()


def fatal_env(**kwargs: Any) -> CorridorEnv:
    os._exit(7)


def test_a_worker_that_dies_while_it_starts_raises() -> None:
    with pytest.raises(WorkerError, match="exited with status 7"):
        HindsightVectorEnv(fatal_env, 2, workers=2)
    assert not children()


class Mortal(StormyEnv):
    """Can be made only once in a process."""

    made = 0

    def __init__(self, **kwargs: Any) -> None:
        Mortal.made += 1
        if Mortal.made > 1:
            raise BackendError("licence already used")
        super().__init__(**kwargs)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_env_that_cannot_be_made_again_breaks_its_next_rollout(workers: int) -> None:
    Mortal.made = 0
    venv = HindsightVectorEnv(Mortal, 1, workers=workers)
    venv.reset(seed=0)
    venv.step(["crash"])
    _, infos = venv.reset()
    assert list(infos["broken"]) == ["BackendError: licence already used"]
    assert len(venv.trajectories()) == 1
    venv.close()
