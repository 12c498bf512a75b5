"""A corridor of rooms: a small world for tests that need no real backend."""

from __future__ import annotations

from typing import Any

from agentgym_hindsight.envs.base import Extra, HindsightEnv, Turn
from agentgym_hindsight.errors import UnknownNameError
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.tasks import Task, content_hash

ROOMS = 4
SIZES = {"train": 12, "valid": 5}


class CorridorBackend:
    """ "east" moves towards the last room, "west" back. Any other action does nothing and is invalid."""

    name = "corridor"

    def __init__(self) -> None:
        self.room = self.goal = 0
        self.closed = False

    def count(self, split: str) -> int:
        return SIZES[split]

    def task(self, split: str, index: int) -> Task:
        rooms = ROOMS + index % 3
        return Task(
            content_hash("corridor", split, str(index)),
            "Corridor-v0",
            split,
            f"rooms{rooms}",
            f"Reach room {rooms}.",
            f"{split}/{index}",
            self.name,
        )

    def find(self, task_id: str) -> Task:
        tasks = {self.task(split, index).id: (split, index) for split in SIZES for index in range(SIZES[split])}
        if task_id not in tasks:
            raise UnknownNameError("task id", task_id, tasks)
        return self.task(*tasks[task_id])

    def start(self, task: Task) -> Turn:
        self.room, self.goal = 0, int(task.category.removeprefix("rooms"))
        return self._turn(f"You are in a corridor. Your task is to: {task.goal}", valid=True)

    def act(self, action: str) -> Turn:
        if action == "crash":
            raise RuntimeError("the corridor collapsed")
        if action not in self._legal():
            return self._turn("Nothing happens.", valid=False, detail=f"There is no way {action!r} here.")
        self.room += 1 if action == "east" else -1
        return self._turn(f"You are in room {self.room}.", valid=True)

    def expert_action(self) -> str:
        return "east"

    def demonstration(self, task: Task) -> Trajectory | None:
        return None

    def close(self) -> None:
        self.closed = True

    def snapshot(self, turn: Turn) -> Any:
        return self.room, self.goal

    def restore(self, task: Task, world: Any, turn: Turn) -> Turn:
        self.room, self.goal = world
        return turn._replace(extra=self._turn("", valid=True).extra)

    def decode(self, task: Task, world: Any) -> Any:
        room, goal = world
        return int(room), int(goal)

    def _legal(self) -> tuple[str, ...]:
        return ("east",) if self.room == 0 else ("east", "west")

    def _turn(self, text: str, valid: bool, detail: str = "") -> Turn:
        won = self.room == self.goal
        return Turn(
            text,
            self._legal(),
            valid,
            won,
            float(won),
            float(won),
            won,
            content_hash(str(self.room)),
            detail,
            Extra(backend=self.name, room=self.room),
        )


class CorridorEnv(HindsightEnv):
    """The corridor as an env."""

    splits = ("train", "valid")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(CorridorBackend(), **kwargs)
