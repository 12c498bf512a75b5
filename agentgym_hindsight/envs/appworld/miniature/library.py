"""Access to the tasks of Hamlet by split and index, and by id."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from agentgym_hindsight.envs.appworld.miniature.tasks import (
    PER_TEMPLATE,
    SPLITS,
    Announced,
    Made,
    announce,
    make,
    templates,
)
from agentgym_hindsight.envs.manifests import cached_rows
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.tasks import Task, content_hash

__all__ = ["MiniatureLibrary"]


#: The world's name in locators of tasks.
_WORLD = "miniature/hamlet"
#: What the held-out splits contain that the training split does not: templates, or tasks of the training templates.
HELD_OUT: tuple[str, ...] = ("templates", "tasks")
#: With ``held_out="tasks"``: the numbers of the tasks of each split. Template and world are those of the train split.
_NUMBERS = {"train": range(60), "dev": range(0), "test": range(60, PER_TEMPLATE["train"])}

#: Task ids used so far in this process, with template name and number.
_TASK_KEYS: dict[str, tuple[str, int]] = {}


class MiniatureLibrary:
    """All tasks, or only those of the given ``templates`` or ``difficulty`` (1 to 3).

    ``held_out="tasks"``: the test split has other tasks of the training templates, in towns of the training split. It
    is easier than other templates in other towns, so the name of the library says it.
    """

    def __init__(
        self, templates: Iterable[str] | None = None, difficulty: int | None = None, held_out: str = "templates"
    ) -> None:
        if held_out not in HELD_OUT:
            raise UnknownNameError("value of held_out", held_out, HELD_OUT)
        self.held_out = held_out
        self.name = _WORLD if held_out == "templates" else f"{_WORLD}-known-templates"
        known = _names()
        if isinstance(templates, str):
            raise UsageError(f"Expected a list of templates, got {templates!r}; try templates=[{templates!r}].")
        for name in (selected := known if templates is None else list(templates)):
            if name not in known:
                raise UnknownNameError("task template", name, known)
        if difficulty not in (None, 1, 2, 3):
            raise UsageError(f"Expected difficulty as 1, 2, 3 or None, got {difficulty!r}.")
        self._templates = {
            split: [name for name in sorted(selected) if known[name] in ((split, difficulty or known[name][1]),)]
            for split in SPLITS
        }
        self._numbers = {split: range(PER_TEMPLATE[split]) for split in SPLITS}
        if held_out == "tasks":
            self._templates = dict.fromkeys(SPLITS, self._templates["train"])
            self._numbers = dict(_NUMBERS)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have tasks of the chosen templates."""
        return tuple(split for split in SPLITS if self._templates[split] and self._numbers[split])

    def count(self, split: str) -> int:
        if split not in SPLITS:
            raise UnknownNameError("split of the miniature world", split, SPLITS)
        return len(self._templates[split]) * len(self._numbers[split])

    def task(self, split: str, index: int) -> Task:
        made = make(*self._key(split, index))
        return self._task(Announced(made.id, made.template, made.number, made.job.instruction))

    def tasks(self, split: str, indices: Iterable[int]) -> list[Task]:
        """Several tasks of a split, in less time than one by one."""
        return [self._task(each) for each in announce(self._key(split, index) for index in indices)]

    def _key(self, split: str, index: int) -> tuple[str, int]:
        """Template and number of the task at an index. Any prefix of a split has equal shares of the templates."""
        if not 0 <= index < self.count(split):
            raise UsageError(f"Expected an index below {self.count(split)} in {split}, got {index}.")
        number, offset = divmod(index, len(self._templates[split]))
        return self._templates[split][offset], self._numbers[split][number]

    def find(self, task_id: str) -> Task:
        if task_id not in _TASK_KEYS:
            rows = cached_rows("appworld-hamlet", _edition(), _list)
            _TASK_KEYS.update((row[0], (row[1], int(row[2]))) for row in rows)
        if task_id not in _TASK_KEYS:
            raise UnknownNameError("task id of the miniature world (`agh data list` names them)", task_id, ())
        made = make(*_TASK_KEYS[task_id])
        return self._task(Announced(made.id, made.template, made.number, made.job.instruction))

    def made(self, task: Task) -> Made:
        """Return the task with its world and goal."""
        *world, name, number = task.locator.split("/")
        if "/".join(world) != _WORLD or not number.isdecimal():
            raise UsageError(f"Expected a task of {self.name}, got {task.locator!r}; try another backend.")
        generated = make(name, int(number))
        if generated.id != task.id:
            raise UsageError(
                f"Expected task {task.id} at {task.locator}, got {generated.id}; try the release that made the task."
            )
        return generated

    def _task(self, announced: Announced) -> Task:
        task_id, kind, number, instruction = announced
        _TASK_KEYS[task_id] = kind.name, number
        split = kind.split
        if self.held_out == "tasks" and split == "train":
            split = next((name for name, numbers in self._numbers.items() if number in numbers), split)
        return Task(task_id, "appworld", split, kind.name, instruction, f"{_WORLD}/{kind.name}/{number}", _WORLD)


def _names() -> dict[str, tuple[str, int]]:
    return {each.name: (each.split, each.difficulty) for each in templates()}


def _list() -> list[list[str]]:
    """List every task's id, template and number. This takes some seconds, so the caller caches the result."""
    return [
        [each.id, each.template.name, str(each.number)]
        for each in announce((kind.name, number) for kind in templates() for number in range(PER_TEMPLATE[kind.split]))
    ]


def _edition() -> str:
    """A hash of the code that makes worlds and tasks, because changed code can make other tasks."""
    files = sorted(Path(__file__).parent.rglob("*.py"))
    return content_hash(*(file.read_bytes() for file in files))
