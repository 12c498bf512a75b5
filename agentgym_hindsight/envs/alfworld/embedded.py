"""The embedded library: generated houses, nothing to download, the same games on every machine."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from agentgym_hindsight.envs.alfworld.houses import DIFFICULTIES, embedded_scene
from agentgym_hindsight.envs.alfworld.identity import scene_id, task_of
from agentgym_hindsight.envs.alfworld.library import HOUSES_KEPT, check_task_types, check_unchanged
from agentgym_hindsight.envs.alfworld.native import House
from agentgym_hindsight.envs.alfworld.scene import TASK_TYPES
from agentgym_hindsight.envs.manifests import cached_rows
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.tasks import Task, content_hash

__all__ = ["SIZES", "EmbeddedLibrary"]

#: Tasks in each split. The generator knows no end; a panel needs one. Unseen games of one task type are 200, so that a
#: policy which learns that type alone can be told from another.
SIZES = {"train": 2400, "valid_seen": 240, "valid_unseen": 1200}


@lru_cache(maxsize=HOUSES_KEPT)
def _made(split: str, position: int, difficulty: str) -> tuple[Task, House]:
    scene = embedded_scene(split, position, difficulty)
    return task_of(scene, split, f"embedded/{difficulty}/{split}/{position}", "embedded"), House(scene)


class EmbeddedLibrary:
    """Generated houses of one difficulty, possibly of some task types only."""

    name = "embedded"

    def __init__(self, difficulty: str = "standard", task_types: Iterable[str] | None = None) -> None:
        if difficulty not in DIFFICULTIES:
            raise UnknownNameError("difficulty", difficulty, DIFFICULTIES)
        self.difficulty = difficulty
        self._types = [TASK_TYPES.index(name) for name in check_task_types(task_types)]
        self._positions: dict[str, tuple[str, int]] = {}  # ids met so far, and where they are
        self._listed = False

    def count(self, split: str) -> int:
        if split not in SIZES:
            raise UnknownNameError("split of the embedded houses", split, SIZES)
        return SIZES[split] // len(TASK_TYPES) * len(self._types)

    def task(self, split: str, index: int) -> Task:
        if not 0 <= index < self.count(split):
            raise UsageError(f"Expected an index below {self.count(split)} in {split}, got {index}.")
        # The sequence cycles through the six types, so some of the types are some of the places in each round.
        turn, place = divmod(index, len(self._types))
        position = turn * len(TASK_TYPES) + self._types[place]
        task, _ = _made(split, position, self.difficulty)
        self._positions[task.id] = split, position
        return task

    def find(self, task_id: str) -> Task:
        if task_id not in self._positions and not self._listed:
            self._list()
        if task_id not in self._positions:
            raise UnknownNameError(
                f"task id of the embedded houses ({self.difficulty}; `agh data list` names them)", task_id, ()
            )
        task, _ = _made(*self._positions[task_id], self.difficulty)
        check_unchanged(task_id, task, "the cached list of the embedded houses is of another release; delete it")
        return task

    def house(self, task: Task) -> House:
        parts = task.locator.split("/")
        if len(parts) != 4 or parts[0] != "embedded" or not parts[3].isdecimal():
            raise UsageError(
                f"Expected a task of the embedded houses, got {task.locator!r}; try an env made for its data."
            )
        _, difficulty, split, position = parts
        found, house = _made(split, int(position), difficulty)
        check_unchanged(task.id, found, "the generator of this release makes another house there")
        return house

    def path(self, task: Task) -> Path | None:
        return None

    def _list(self) -> None:
        # Some thousand houses, a few seconds: only ever done for an id nobody has met in this process.
        first = [self.task(split, index).id for split in SIZES for index in range(len(self._types))]
        rows = cached_rows(f"alfworld-embedded-{self.difficulty}", content_hash(*first, repr(SIZES)), self._rows)
        self._positions.update((task_id, (split, int(position))) for task_id, split, position in rows)
        self._listed = True

    def _rows(self) -> list[list[str]]:
        return [
            [scene_id(embedded_scene(split, position, self.difficulty)), split, str(position)]
            for split, size in SIZES.items()
            for position in range(size)
        ]
