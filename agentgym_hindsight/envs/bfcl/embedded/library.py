"""The tasks of the embedded world."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache

from agentgym_hindsight.envs.bfcl.embedded.episode import EmbeddedEpisode
from agentgym_hindsight.envs.bfcl.embedded.names import SPLITS
from agentgym_hindsight.envs.bfcl.embedded.recipes import DIFFICULTIES, RECIPES
from agentgym_hindsight.envs.bfcl.embedded.tasks import CATEGORIES, MadeTask, Place, is_possible, make_task
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.tasks import Task, content_hash

__all__ = ["GOAL", "EmbeddedLibrary"]

GOAL = "Do what the user asks for in each turn by calling functions; write a message when the turn is done."
#: Tasks of each kind and category in a split. The plain easy kinds are also those that small policies learn.
_ROUNDS: Mapping[str, int] = {"train": 12, "valid": 4, "test": 4}
_EASY_ROUNDS: Mapping[str, int] = {"train": 48, "valid": 12, "test": 12}
_MOST_KEPT = 512


@lru_cache(maxsize=1)
def _all_kinds() -> tuple[tuple[str, str], ...]:
    """The possible pairs of recipe and category, the easiest first."""
    return tuple((name, category) for category in CATEGORIES for name in RECIPES if is_possible(name, category))


class EmbeddedLibrary:
    """The tasks of a seed. ``kinds`` keeps those that fit one of its entries.

    An entry is a kind such as ``switch``, a category (``base``, ``miss_func``, ``miss_param``, ``long_context``), a
    difficulty (``easy``, ``medium``, ``hard``), or several of them joined by ``+``, which all have to fit.
    """

    splits: tuple[str, ...] = SPLITS

    def __init__(self, seed: int = 0, kinds: Sequence[str] | None = None) -> None:
        if isinstance(kinds, str):
            raise UsageError(f"Expected a list of task kinds, got {kinds!r}; try kinds=[{kinds!r}].")
        self.seed = seed
        self.name = "embedded" if seed == 0 else f"embedded-{seed}"
        self._wishes = None if kinds is None else [_parts(kind) for kind in kinds]
        self._made: OrderedDict[str, MadeTask] = OrderedDict()
        self._known: dict[str, Place] = {}

    @cached_property
    def kinds(self) -> tuple[tuple[str, str], ...]:
        """The chosen pairs of kind and category."""
        wishes = self._wishes
        if wishes is None:
            return _all_kinds()
        return tuple(
            (name, category)
            for name, category in _all_kinds()
            if any(wish <= {name, category, RECIPES[name].difficulty} for wish in wishes)
        )

    @cached_property
    def _places(self) -> Mapping[str, Sequence[Place]]:
        """The places of each split, kinds in turn."""
        return {split: tuple(_in_turn(self.seed, split, self.kinds)) for split in SPLITS}

    def count(self, split: str) -> int:
        """The number of tasks in a split."""
        if split not in self._places:
            raise UnknownNameError("split of the embedded world", split, SPLITS)
        return len(self._places[split])

    def task(self, split: str, index: int) -> Task:
        """The task at an index of a split."""
        if not 0 <= index < self.count(split):
            raise UsageError(f"Expected an index below {self.count(split)} in {split}, got {index}.")
        return self._task(self._places[split][index])

    def find(self, task_id: str) -> Task:
        """The task with this id, among all tasks of the seed."""
        place = self._known.get(task_id)
        if place is not None:
            return self._task(place)
        for place in self._all_places():
            task = self._task(place)
            if task.id == task_id:
                return task
        raise UnknownNameError(f"task id of {self.name} (`agh data list` names them)", task_id, ())

    def start(self, task: Task) -> EmbeddedEpisode:
        """A new conversation about a task."""
        place = self._known.get(task.id)
        if place is None:
            place = self._known[self.find(task.id).id]
        return EmbeddedEpisode(self._make(place))

    def made(self, task: Task) -> MadeTask:
        """The task with its world and what is wanted."""
        return self._make(self._known[self.find(task.id).id])

    def _all_places(self) -> Iterator[Place]:
        for split in SPLITS:
            yield from self._places[split]
        chosen = set(self.kinds)
        others = tuple(pair for pair in _all_kinds() if pair not in chosen)
        for split in SPLITS:
            yield from _in_turn(self.seed, split, others)

    def _task(self, place: Place) -> Task:
        task_id = self._id(place)
        self._known[task_id] = place
        return Task(task_id, "bfcl", place.split, place.kind, GOAL, f"embedded/{place.text}", self.name)

    def _id(self, place: Place) -> str:
        made = self._make(place).task
        calls = [[[call.name, call.arguments] for call in turn] for turn in made.reference]
        return content_hash("bfcl/embedded", place.text, json.dumps([made.messages, calls]))

    def _make(self, place: Place) -> MadeTask:
        made = self._made.get(place.text)
        if made is None:
            made = self._made[place.text] = make_task(place)
            if len(self._made) > _MOST_KEPT:
                self._made.popitem(last=False)
        return made


def _in_turn(seed: int, split: str, kinds: Sequence[tuple[str, str]]) -> Iterator[Place]:
    for number in range(max(_ROUNDS[split], _EASY_ROUNDS[split])):
        for name, category in kinds:
            is_easy = category == "base" and RECIPES[name].difficulty == "easy"
            if number < (_EASY_ROUNDS if is_easy else _ROUNDS)[split]:
                yield Place(seed, split, name, category, number)


def _parts(kind: str) -> frozenset[str]:
    """The parts of an entry of ``kinds``."""
    parts = kind.split("+") if isinstance(kind, str) else [str(kind)]
    known = (*RECIPES, *CATEGORIES, *DIFFICULTIES)
    for part in parts:
        if part not in known:
            raise UnknownNameError("task kind", part, known)
    return frozenset(parts)
