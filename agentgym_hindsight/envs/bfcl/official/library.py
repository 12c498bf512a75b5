"""The benchmark's tasks as a library of conversations."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache

from agentgym_hindsight.envs.bfcl.official.episode import OfficialEpisode
from agentgym_hindsight.envs.bfcl.official.expressions import read_call
from agentgym_hindsight.envs.bfcl.official.package import Package, find_package
from agentgym_hindsight.envs.bfcl.official.rows import CATEGORIES, Entry, read_entries, read_schemas
from agentgym_hindsight.envs.bfcl.official.splits import LEAKY, RECIPES, SPLITS, hint_sd, numbers_of
from agentgym_hindsight.envs.bfcl.world import ApiTask
from agentgym_hindsight.envs.tools.schemas import FunctionSchema
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.tasks import Task, content_hash

__all__ = ["OfficialLibrary", "official_library"]


def official_library(
    folder: str | os.PathLike[str] | None = None,
    version: str | None = None,
    category: str | Sequence[str] = "all",
    recipe: str = "number",
) -> OfficialLibrary:
    """The tasks of some categories (``all``, one, or a sequence) of a package. See :func:`find_package`."""
    names = CATEGORIES if category == "all" else (category,) if isinstance(category, str) else tuple(category)
    for name in names:
        if name not in CATEGORIES:
            raise UnknownNameError("category", name, (*CATEGORIES, "all"))
    if not names:
        raise UsageError(f"Expected one category or more, got none; try {CATEGORIES[0]!r}.")
    if recipe not in RECIPES:
        raise UnknownNameError("recipe of splits", recipe, RECIPES)
    return OfficialLibrary(_contents(find_package(folder, version)), tuple(dict.fromkeys(names)), recipe)


class Contents:
    """What a package contains, read once and shared by all libraries of this package."""

    def __init__(self, package: Package) -> None:
        self.package = package
        self._entries: dict[str, tuple[Entry, ...]] = {}
        self._ids: dict[str, str] = {}
        self._schemas: dict[str, tuple[FunctionSchema, ...]] = {}

    def entries(self, category: str) -> tuple[Entry, ...]:
        """The rows of a category."""
        if category not in self._entries:
            self._entries[category] = read_entries(self.package, category)
        return self._entries[category]

    def task_id(self, entry: Entry) -> str:
        """A hash of the content of a row and its answer."""
        if entry.id not in self._ids:
            held_out = sorted(entry.held_out.items())
            content = [entry.messages, entry.initial_config, entry.classes, held_out, entry.answer]
            self._ids[entry.id] = content_hash("bfcl", entry.category, json.dumps(content, sort_keys=True))
        return self._ids[entry.id]

    def schemas(self, class_name: str) -> tuple[FunctionSchema, ...]:
        """The schemas of a class's functions."""
        if class_name not in self._schemas:
            self._schemas[class_name] = read_schemas(self.package, class_name)
        return self._schemas[class_name]

    def functions(self, entry: Entry) -> tuple[tuple[FunctionSchema, ...], ...]:
        """The functions that are offered in each turn: held-out ones from their turn on, at the end.

        The rows' ``excluded_function`` is ignored, as the package does.
        """
        everything = [schema for name in entry.classes for schema in self.schemas(name)]
        later = {name for names in entry.held_out.values() for name in names}
        offered = [schema for schema in everything if schema["function"]["name"] not in later]
        turns = []
        for turn in range(len(entry.messages)):
            added = entry.held_out.get(turn, ())
            offered = offered + [schema for schema in everything if schema["function"]["name"] in added]
            turns.append(tuple(offered))
        return tuple(turns)

    @lru_cache(maxsize=1024)  # noqa: B019  # contents live as long as the process
    def api_task(self, entry: Entry) -> ApiTask:
        """The conversation of a row."""
        modules = self.package.modules()

        def parameters(name: str) -> tuple[str, ...]:
            methods = (getattr(modules.classes[each], name, None) for each in entry.classes)
            method = next((each for each in methods if each is not None), None)
            return () if method is None else tuple(inspect.signature(method).parameters)[1:]

        reference = tuple(tuple(read_call(text, parameters) for text in turn) for turn in entry.answer)
        return ApiTask(entry.id, entry.category, entry.messages, self.functions(entry), reference)


@lru_cache(maxsize=8)
def _contents(package: Package) -> Contents:
    return Contents(package)


class OfficialLibrary:
    """See :class:`~agentgym_hindsight.envs.bfcl.world.ApiLibrary`."""

    splits = SPLITS

    def __init__(self, contents: Contents, categories: tuple[str, ...], recipe: str) -> None:
        self.contents, self.categories, self.recipe = contents, categories, recipe
        chosen = "all" if set(categories) == set(CATEGORIES) else "+".join(categories)
        leak = f"/{recipe} splits (leaky)" if recipe in LEAKY else ""
        self.name = f"official/{contents.package.name}/{chosen}{leak}"

    @cached_property
    def _members(self) -> Mapping[str, Sequence[Entry]]:
        """The rows of each split."""
        chosen = [entry for category in self.categories for entry in self.contents.entries(category)]
        if self.recipe == "number":
            numbers = {split: frozenset(numbers_of(split)) for split in SPLITS}
            return {split: [entry for entry in chosen if entry.number in numbers[split]] for split in SPLITS}
        ids = hint_sd(*([entry.id for entry in self.contents.entries(each)] for each in ("base", "long_context")))
        by_id = {entry.id: entry for entry in chosen}
        return {split: [by_id[each] for each in ids[split] if each in by_id] for split in SPLITS}

    @cached_property
    def _places(self) -> Mapping[str, tuple[str, Entry]]:
        return {
            self.contents.task_id(entry): (split, entry)
            for split, members in self._members.items()
            for entry in members
        }

    def count(self, split: str) -> int:
        """The number of tasks in a split."""
        if split not in SPLITS:
            raise UnknownNameError("split of BFCL", split, SPLITS)
        return len(self._members[split])

    def task(self, split: str, index: int) -> Task:
        """The task at an index of a split."""
        if not 0 <= index < self.count(split):
            raise UsageError(f"Expected an index below {self.count(split)} in {split}, got {index}.")
        return self._task(split, self._members[split][index])

    def find(self, task_id: str) -> Task:
        """The task with this content id."""
        if task_id not in self._places:
            raise UnknownNameError(f"task id of {self.name} (`agh data list` names them)", task_id, ())
        return self._task(*self._places[task_id])

    def start(self, task: Task) -> OfficialEpisode:
        """A conversation with API objects of its own."""
        place = self._places.get(task.id)
        if place is None:
            raise UsageError(
                f"Expected a task of {self.name}, got {task.id} of {task.backend or 'another backend'}; "
                "try env.panel() of this env."
            )
        return self.open(place[1])

    def open(self, entry: Entry) -> OfficialEpisode:
        """A conversation about a row."""
        return OfficialEpisode(self.contents.package.modules(), entry, self.contents.api_task(entry))

    def entry(self, identifier: str) -> Entry:
        """The row with this id, such as ``multi_turn_base_0``."""
        for category in self.categories:
            for entry in self.contents.entries(category):
                if entry.id == identifier:
                    return entry
        raise UnknownNameError(f"row of {self.name}", identifier, ())

    def _task(self, split: str, entry: Entry) -> Task:
        locator = f"{self.contents.package.name}/{entry.id}"
        return Task(self.contents.task_id(entry), "bfcl", split, entry.category, entry.messages[0], locator, self.name)
