"""The tasks of a desk, as the library's tasks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property

from agentgym_hindsight.envs.tau.desk import Desk, DeskTask
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.tasks import Task, content_hash

__all__ = ["GOALS", "DeskLibrary"]

#: What the agent is asked to do. The user's instruction is hidden: the agent has to ask.
GOALS: Mapping[str, str] = {
    "retail": "Help the customer of the shop, by the policy.",
    "airline": "Help the customer of the airline, by the policy.",
}


class DeskLibrary:
    """The tasks of one desk. ``kinds`` keeps only the tasks of these kinds.

    The user is part of the name, because a result with another user is another result.
    """

    def __init__(self, desk: Desk, rules: str, user: str, kinds: Sequence[str] | None = None) -> None:
        self.desk, self.rules = desk, rules
        self.name = f"{desk.engine}/{desk.domain}-{desk.source}/{rules}/user={user}"
        known = sorted({task.kind for tasks in desk.tasks.values() for task in tasks}) if kinds is not None else []
        if isinstance(kinds, str):
            raise UsageError(f"Expected a list of task kinds, got {kinds!r}; try kinds=[{kinds!r}].")
        for kind in kinds or ():
            if kind not in known:
                raise UnknownNameError("task kind", kind, known)
        self._kinds = None if kinds is None else frozenset(kinds)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits of the desk's data."""
        return tuple(self.desk.tasks)

    @cached_property
    def _indices(self) -> Mapping[str, Sequence[int]]:
        """The numbers of the chosen tasks of each split."""
        kinds = self._kinds
        return {
            split: range(len(tasks))
            if kinds is None
            else [number for number, task in enumerate(tasks) if task.kind in kinds]
            for split, tasks in self.desk.tasks.items()
        }

    @property
    def _ids(self) -> Mapping[str, Sequence[str]]:
        """The ids of all tasks. All libraries of a desk share them."""
        shared = self.desk.initial.derived
        if "task ids" not in shared:
            shared["task ids"] = _task_ids(self.desk)
            shared["task places"] = {
                task_id: (split, number)
                for split, ids in shared["task ids"].items()
                for number, task_id in enumerate(ids)
            }
        ids: Mapping[str, Sequence[str]] = shared["task ids"]
        return ids

    @property
    def _places(self) -> Mapping[str, tuple[str, int]]:
        _ = self._ids
        places: Mapping[str, tuple[str, int]] = self.desk.initial.derived["task places"]
        return places

    def count(self, split: str) -> int:
        if split not in self.desk.tasks:
            raise UnknownNameError(f"split of the {self.desk.source} {self.desk.domain} desk", split, self.splits)
        return len(self._indices[split])

    def task(self, split: str, index: int) -> Task:
        if not 0 <= index < self.count(split):
            raise UsageError(f"Expected an index below {self.count(split)} in {split}, got {index}.")
        return self._task(split, self._indices[split][index])

    def find(self, task_id: str) -> Task:
        if task_id not in self._places:
            raise UnknownNameError(f"task id of {self.name} (`agh data list` names them)", task_id, ())
        return self._task(*self._places[task_id])

    def _task(self, split: str, number: int) -> Task:
        desk = self.desk
        locator = f"{desk.domain}-{desk.source}/{split}/{number}"
        kind = desk.tasks[split][number].kind
        return Task(self._ids[split][number], "tau", split, kind, GOALS[desk.domain], locator, self.name)

    def desk_task(self, task: Task) -> DeskTask:
        """What the user of a task wants."""
        place = self._places.get(task.id)
        if place is None:
            raise UsageError(
                f"Expected a task of {self.name}, got {task.id} of {task.backend or 'another backend'}; "
                "try env.panel() of this env."
            )
        return self.desk.tasks[place[0]][place[1]]


def _task_ids(desk: Desk) -> dict[str, list[str]]:
    """A hash of the content of each task. Equal tasks of one split are numbered."""
    ids: dict[str, list[str]] = {}
    for split, tasks in desk.tasks.items():
        seen: dict[str, int] = {}
        ids[split] = []
        for task in tasks:
            content = json.dumps(
                ["tau", desk.domain, split, task.user_id, task.instruction, task.actions, task.outputs], sort_keys=True
            )
            seen[content] = seen.get(content, 0) + 1
            again = (str(seen[content]),) if seen[content] > 1 else ()
            ids[split].append(content_hash(content, *again))
    return ids
