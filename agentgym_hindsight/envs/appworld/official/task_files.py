"""AppWorld's tasks by split, read from its data files without the ``appworld`` package."""

from __future__ import annotations

import json
from pathlib import Path

from agentgym_hindsight.errors import DamagedDataError, MissingDataError, UnknownNameError
from agentgym_hindsight.files import read_text
from agentgym_hindsight.tasks import Task, content_hash

__all__ = ["SPLITS", "OfficialTasks", "task_name"]

SPLITS = ("train", "dev", "test_normal", "test_challenge")


def task_name(task: Task) -> str:
    """AppWorld's own id of a task."""
    return task.locator.rpartition("/")[2]


class OfficialTasks:
    """The tasks below one root."""

    def __init__(self, root: Path, name: str = "official") -> None:
        self.root, self.name = root, name
        self._names: dict[str, tuple[str, ...]] = {}
        self._tasks: dict[tuple[str, str], Task] = {}

    def names(self, split: str) -> tuple[str, ...]:
        """AppWorld's ids of a split, sorted: the order in the file must not affect which tasks a seed selects."""
        if split not in SPLITS:
            raise UnknownNameError("split of AppWorld", split, SPLITS)
        if split not in self._names:
            path = self._path(split)
            try:
                lines = read_text(path).splitlines()
            except OSError as error:
                raise MissingDataError(
                    f"Expected the list of {split} at {path}, found none; try `agh data install appworld`."
                ) from error
            found = {line.split(":")[0].strip() for line in lines}  # a tag may follow the id
            self._names[split] = tuple(sorted(found - {""}))
        return self._names[split]

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have tasks here."""
        present = (split for split in SPLITS if self._path(split).is_file())
        return tuple(split for split in present if self.names(split))

    def count(self, split: str) -> int:
        """How many tasks a split has."""
        return len(self.names(split))

    def task(self, split: str, index: int) -> Task:
        """The task at an index of a split."""
        return self._read(split, self.names(split)[index])

    def find(self, task_id: str) -> Task:
        """Find a task by its content id or by AppWorld's id."""
        for split in self.splits:
            if task_id in self.names(split):
                return self._read(split, task_id)
        for split in self.splits:
            for name in self.names(split):
                task = self._read(split, name)
                if task.id == task_id:
                    return task
        raise UnknownNameError("task id of AppWorld", task_id, ())

    def _path(self, split: str) -> Path:
        return self.root / "data" / "datasets" / f"{split}.txt"

    def _read(self, split: str, name: str) -> Task:
        key = split, name
        if key not in self._tasks:
            folder = self.root / "data" / "tasks" / name
            try:
                specs = json.loads(read_text(folder / "specs.json"))
                goal = str(specs["instruction"])
            except (OSError, ValueError, LookupError, TypeError) as error:
                raise DamagedDataError(
                    f"Expected the task {name} of {split} in {folder}, got {type(error).__name__}; "
                    "try `agh data install appworld`."
                ) from error
            identity = content_hash("appworld", name, goal)
            self._tasks[key] = Task(
                identity, "appworld", split, _difficulty(folder), goal, f"{split}/{name}", self.name
            )
        return self._tasks[key]


def _difficulty(folder: Path) -> str:
    """The difficulty label. It is the only ground truth that is read for the test splits too."""
    try:
        metadata = json.loads(read_text(folder / "ground_truth" / "metadata.json"))
        return f"difficulty-{int(metadata['difficulty'])}"
    except (OSError, ValueError, LookupError, TypeError):
        return "difficulty-unknown"
