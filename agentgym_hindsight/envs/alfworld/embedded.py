"""The embedded library: generated houses. It needs no download and has the same games on every machine."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from agentgym_hindsight.envs.alfworld.houses import DIFFICULTIES, embedded_scene
from agentgym_hindsight.envs.alfworld.identity import scene_id, task_of
from agentgym_hindsight.envs.alfworld.library import HOUSE_CACHE_SIZE, check_task_types, check_unchanged
from agentgym_hindsight.envs.alfworld.native import House
from agentgym_hindsight.envs.alfworld.scene import TASK_TYPES, Scene
from agentgym_hindsight.envs.manifests import cached_rows
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.tasks import Task, content_hash

__all__ = ["SIZES", "EmbeddedLibrary"]

#: The number of tasks in each split. (The generator's sequence is endless.) ``valid_unseen`` has 200 games of each task
#: type: enough to compare policies that are trained on one type only.
SIZES = {"train": 2400, "valid_seen": 240, "valid_unseen": 1200}


@lru_cache(maxsize=HOUSE_CACHE_SIZE)
def _generated(split: str, position: int, difficulty: str) -> tuple[Task, Scene]:
    scene = embedded_scene(split, position, difficulty)
    return task_of(scene, split, f"embedded/{difficulty}/{split}/{position}", "embedded"), scene


@lru_cache(maxsize=HOUSE_CACHE_SIZE)
def _compiled(split: str, position: int, difficulty: str) -> House:
    """The house of a task that is played. A panel lists many tasks that are not."""
    return House(_generated(split, position, difficulty)[1])


class EmbeddedLibrary:
    """Generated houses of one difficulty, for all six task types or for some of them."""

    name = "embedded"

    def __init__(self, difficulty: str = "standard", task_types: Iterable[str] | None = None) -> None:
        if difficulty not in DIFFICULTIES:
            raise UnknownNameError("difficulty", difficulty, DIFFICULTIES)
        self.difficulty = difficulty
        self._types = [TASK_TYPES.index(name) for name in check_task_types(task_types)]
        self._positions: dict[str, tuple[str, int]] = {}  # task id -> (split, position), for the tasks listed so far
        self._all_listed = False

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that can be played."""
        return tuple(SIZES)

    def count(self, split: str) -> int:
        if split not in SIZES:
            raise UnknownNameError("split of the embedded houses", split, SIZES)
        return SIZES[split] // len(TASK_TYPES) * len(self._types)

    def task(self, split: str, index: int) -> Task:
        if not 0 <= index < self.count(split):
            raise UsageError(f"Expected an index from 0 to {self.count(split) - 1} in {split}, got {index}.")
        # The sequence cycles through the six types: a selection of types is a selection of positions in each cycle.
        cycle, offset = divmod(index, len(self._types))
        position = cycle * len(TASK_TYPES) + self._types[offset]
        task, _ = _generated(split, position, self.difficulty)
        self._positions[task.id] = split, position
        return task

    def find(self, task_id: str) -> Task:
        if task_id not in self._positions and not self._all_listed:
            self._list_all_ids()
        if task_id not in self._positions:
            raise UnknownNameError(
                f"task id of the embedded houses ({self.difficulty}; `agh data list` lists them)", task_id, ()
            )
        task, _ = _generated(*self._positions[task_id], self.difficulty)
        check_unchanged(task_id, task, "the cached list of the embedded houses is from another release; delete it")
        return task

    def house(self, task: Task) -> House:
        parts = task.locator.split("/")
        if len(parts) != 4 or parts[0] != "embedded" or not parts[3].isdecimal():
            raise UsageError(f"Expected a task of the embedded houses, got {task.locator!r}; try an env with its data.")
        _, difficulty, split, position = parts
        generated_task, _ = _generated(split, int(position), difficulty)
        check_unchanged(task.id, generated_task, "the generator of this release gives another house")
        return _compiled(split, int(position), difficulty)

    def path(self, task: Task) -> Path | None:
        return None

    def _list_all_ids(self) -> None:
        # Generating all houses takes a few seconds. It is only needed for an id that this process has not seen before.
        first_ids = [self.task(split, index).id for split in SIZES for index in range(len(self._types))]
        rows = cached_rows(f"alfworld-embedded-{self.difficulty}", content_hash(*first_ids, repr(SIZES)), self._rows)
        self._positions.update((task_id, (split, int(position))) for task_id, split, position in rows)
        self._all_listed = True

    def _rows(self) -> list[list[str]]:
        return [
            [scene_id(embedded_scene(split, position, self.difficulty)), split, str(position)]
            for split, size in SIZES.items()
            for position in range(size)
        ]
