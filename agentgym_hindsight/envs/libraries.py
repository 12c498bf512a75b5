"""The base class of backends that take their tasks from a library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from agentgym_hindsight.hindsight.trajectory import Step, Trajectory
from agentgym_hindsight.tasks import Task

__all__ = ["LibraryBackend", "TaskLibrary"]


class TaskLibrary(Protocol):
    """A source of tasks."""

    @property
    def name(self) -> str: ...  # "embedded", "official", …: part of the backend's name in every result

    def count(self, split: str) -> int: ...
    def task(self, split: str, index: int) -> Task: ...
    def find(self, task_id: str) -> Task: ...


class LibraryBackend:
    """The methods of a backend that need only its library."""

    library: TaskLibrary

    @property
    def name(self) -> str:
        """The engine and the data, as they appear in results."""
        return self.library.name

    def count(self, split: str) -> int:
        """The number of tasks in a split."""
        return self.library.count(split)

    def task(self, split: str, index: int) -> Task:
        """The task at an index of a split."""
        return self.library.task(split, index)

    def tasks(self, split: str, indices: Sequence[int]) -> list[Task]:
        """The tasks at several indices of a split. A library may make them in less time than one by one."""
        together = getattr(self.library, "tasks", None)
        if together is not None:
            made: list[Task] = together(split, indices)
            return made
        return [self.library.task(split, index) for index in indices]

    def find(self, task_id: str) -> Task:
        """The task with this content id."""
        return self.library.find(task_id)

    def solved(self, task: Task, steps: list[Step], final_observation: str) -> Trajectory:
        """The expert's successful rollout, from its steps."""
        return Trajectory(
            task_id=task.id,
            backend=self.name,
            goal=task.goal,
            category=task.category,
            split=task.split,
            steps=tuple(steps),
            won=True,
            score=1.0,
            policy="expert",
            final_observation=final_observation,
        )
