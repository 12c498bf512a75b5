"""A corridor that can fail in several ways, and wrappers that change its info."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from agentgym_hindsight.envs.base import HindsightEnv, Turn
from agentgym_hindsight.hindsight.sources import Feedback, Provenance
from agentgym_hindsight.hindsight.trajectory import Step, Trajectory
from agentgym_hindsight.tasks import Task
from tests.toy import CorridorBackend

#: Actions with which envs win, move back, fail or are truncated at different turns.
WORDS = ("east", "west", "east", "fly", "east", "east")


class StormyBackend(CorridorBackend):
    """Some actions cause a failure."""

    def start(self, task: Task) -> Turn:
        if task.goal == "collapse":
            raise OSError("no corridor here")
        if task.goal == "die":
            os._exit(5)
        return super().start(task)

    def act(self, action: str) -> Turn:
        if action == "hang":
            time.sleep(600)
        if action == "exit":
            os._exit(3)
        if action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if action == "quit":
            sys.exit("the simulator gave up")
        if action == "interrupt":
            os.kill(os.getppid(), signal.SIGINT)
            time.sleep(600)
        if action == "child":
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        turn = super().act(action)
        return turn._replace(extra=lambda: None) if action == "unpicklable" else turn  # type: ignore[arg-type]

    def demonstration(self, task: Task) -> Trajectory | None:
        rooms = int(task.category.removeprefix("rooms"))
        steps = tuple(Step(i, f"room {i}", "east", f"room {i + 1}", f"room {i + 1}") for i in range(rooms))
        return Trajectory(task.id, steps=steps, won=True, policy="expert")


class StormyEnv(HindsightEnv):
    """The failing corridor as an env."""

    splits = ("train", "valid")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(StormyBackend(), **kwargs)


class Judged(gym.Wrapper[str, str, str, str]):
    """Does what real wrappers do: replaces a source, adds a key, and changes the recorded steps."""

    def reset(self, **kwargs: Any) -> tuple[str, dict[str, Any]]:
        obs, info = self.env.reset(**kwargs)
        return obs, {**info, "penalty": 0.0}

    def step(self, action: str) -> tuple[str, Any, bool, bool, dict[str, Any]]:
        obs, reward, terminated, truncated, info = self.env.step(action)
        praise = Feedback(f"Judge: {action}!", Provenance.JUDGE, info["step"] - 1)
        info["hindsight"] = info["hindsight"].replace(immediate_feedback=praise)
        info["penalty"] = 0.5 * (not info["action_valid"])
        return obs, float(reward) - info["penalty"], terminated, truncated, info

    def trajectory(self) -> Trajectory:
        whole: Trajectory = self.env.get_wrapper_attr("trajectory")()
        return whole.replace(
            steps=tuple(
                Step(
                    s.index,
                    s.observation,
                    s.action,
                    s.feedback,
                    s.next_observation,
                    response=f"{s.action} of {len(whole)}",
                )
                for s in whole.steps
            )
        )


class Late(gym.Wrapper[str, str, str, str]):
    """Adds a key that is missing on reset."""

    def step(self, action: str) -> tuple[str, Any, bool, bool, dict[str, Any]]:
        obs, reward, terminated, truncated, info = self.env.step(action)
        return obs, reward, terminated, truncated, {**info, "length": float(len(action))}


class Fickle(gym.Wrapper[str, str, str, str]):
    """Returns a number that changes from int to float after "west", which the standard forbids."""

    def reset(self, **kwargs: Any) -> tuple[str, dict[str, Any]]:
        obs, info = self.env.reset(**kwargs)
        return obs, {**info, "bonus": 0}

    def step(self, action: str) -> tuple[str, Any, bool, bool, dict[str, Any]]:
        obs, reward, terminated, truncated, info = self.env.step(action)
        return obs, reward, terminated, truncated, {**info, "bonus": 0.5 if action == "west" else 1}


def words(turn: int, count: int, vocabulary: Sequence[str] = WORDS) -> list[str | None]:
    """The action of each env in a turn."""
    return [vocabulary[(turn * (env + 1) + env) % len(vocabulary)] for env in range(count)]


#: Processes from before the test: shared workers, and the resource tracker that multiprocessing leaves in other tests.
OTHERS: set[int] = set()


def children() -> set[int]:
    """The processes that this test has started and that still exist, zombies included."""
    with open(f"/proc/{os.getpid()}/task/{os.getpid()}/children") as file:
        return set(map(int, file.read().split())) - OTHERS


def same(left: Any, right: Any) -> bool:
    """Equality inside tuples, dicts and arrays, types included."""
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and same(left.tolist(), right.tolist())
    if isinstance(left, (list, tuple)):
        return type(left) is type(right) and len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    return type(left) is type(right) and bool(left == right)
