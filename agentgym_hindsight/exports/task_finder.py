"""The tasks of a stage by split and index, for servers whose clients name them so."""

from __future__ import annotations

from threading import Lock
from typing import Any

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.tasks import Task

__all__ = ["TaskFinder"]


class TaskFinder:
    """Finds tasks with an env of its own, which is made at the first question and plays nothing.

    Every method can be called from several threads, and none lists a whole split, which takes seconds.

    >>> import agentgym_hindsight
    >>> finder = TaskFinder(Stage(settings={"data": "embedded"}, protocol="plain"), "train")
    >>> finder.count("train"), finder.task("train", 3).split
    (2400, 'train')
    """

    def __init__(self, stage: Stage, split: str) -> None:
        self._stage, self._split = stage, split
        self._env: Any = None
        self._lock = Lock()

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits of the env."""
        with self._lock:
            return tuple(self._unwrapped().splits)

    def count(self, split: str) -> int:
        """The number of tasks of a split."""
        with self._lock:
            return self._count(split)

    def task(self, split: str, index: int) -> Task:
        """The task at an index of a split."""
        with self._lock:
            size = self._count(split)
            if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < size:
                raise IndexError(f"Expected an index from 0 to {size - 1} of {split}, got {str(index)[:60]}; try 0.")
            task: Task = self._unwrapped().backend.task(split, index)
            return task

    def _count(self, split: str) -> int:
        splits = tuple(self._unwrapped().splits)
        if split not in splits:
            raise UsageError(f"Expected a split of {', '.join(splits)}, got {str(split)[:60]!r}; try {splits[0]}.")
        return int(self._unwrapped().backend.count(split))

    def _unwrapped(self) -> Any:
        if self._env is None:
            self._env = self._stage.make(self._split).unwrapped
        return self._env
