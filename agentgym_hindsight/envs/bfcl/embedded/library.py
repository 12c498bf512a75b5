"""The tasks of the embedded world."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, lru_cache

from agentgym_hindsight.envs.bfcl.embedded.episode import EmbeddedEpisode
from agentgym_hindsight.envs.bfcl.embedded.names import SPLITS, WorldDraws
from agentgym_hindsight.envs.bfcl.embedded.recipes import DIFFICULTIES, RECIPES
from agentgym_hindsight.envs.bfcl.embedded.tasks import CATEGORIES, MadeTask, Place, is_possible, make_task
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.short_repr import short_repr
from agentgym_hindsight.tasks import Task, content_hash

__all__ = ["EmbeddedLibrary"]

#: Tasks of each kind and category in a split. The plain easy kinds are also those that small policies learn.
_ROUNDS: Mapping[str, int] = {"train": 12, "valid": 4, "test": 4}
_EASY_ROUNDS: Mapping[str, int] = {"train": 48, "valid": 12, "test": 12}
_WORLD = "embedded"
#: Places of the task ids used so far in this process.
_KNOWN: dict[str, Place] = {}


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

    def counts(self, split: str) -> Mapping[tuple[str, str], int]:
        """The number of tasks of each kind and category, in the order of their first tasks. No task is made."""
        self.count(split)  # for the error of an unknown split
        return Counter((place.recipe, place.category) for place in self._places[split])

    def task(self, split: str, index: int) -> Task:
        """The task at an index of a split."""
        if not 0 <= index < self.count(split):
            raise UsageError(f"Expected an index below {self.count(split)} in {split}, got {index}.")
        return self._task(self._places[split][index])

    def find(self, task_id: str) -> Task:
        """The task with this id, among all tasks of the seed."""
        place = _KNOWN.get(task_id)
        if place is None or place.seed != self.seed:
            for split in SPLITS:
                _KNOWN.update((_id(each), each) for each in _in_turn(self.seed, split, _all_kinds()))
            place = _KNOWN.get(task_id)
        if place is None or place.seed != self.seed:
            raise UnknownNameError(f"task id of {self.name} (`agh data list` names them)", task_id, ())
        return self._task(place)

    def start(self, task: Task) -> EmbeddedEpisode:
        """A new conversation about a task."""
        return EmbeddedEpisode(self.made(task))

    def made(self, task: Task) -> MadeTask:
        """The task with its world and what is wanted."""
        world, _, text = task.locator.partition("/")
        place = _place(text) if world == _WORLD else None
        if place is None:
            raise UsageError(f"Expected a task of {self.name}, got {task.locator!r}; try env.panel() of this env.")
        found = _id(place)
        if found != task.id:
            raise UsageError(
                f"Expected task {task.id} at {task.locator}, got {found}; try the release that made the task."
            )
        return _made(place)

    def _task(self, place: Place) -> Task:
        task_id, goal = _id(place), _made(place).task.messages[0]
        _KNOWN[task_id] = place
        return Task(task_id, "bfcl", place.split, place.kind, goal, f"{_WORLD}/{place.text}", self.name)


_made = lru_cache(maxsize=512)(make_task)


def _id(place: Place) -> str:
    """The id of a task. The edition and the place determine its content: a test pins the content of the edition."""
    return content_hash("bfcl/embedded", WorldDraws.edition, place.text)


def _place(text: str) -> Place:
    """The place of a locator. Raises :class:`UsageError`."""
    parts = text.split("/")
    if len(parts) == 5 and parts[1] in SPLITS and (parts[2], parts[3]) in _all_kinds():
        number = parts[4]
        if number.isdecimal() and number.isascii() and int(number) < _rounds(parts[1], parts[2], parts[3]):
            with suppress(ValueError):
                return Place(int(parts[0]), parts[1], parts[2], parts[3], int(number))
    raise UsageError(f"Expected the place of a task of the embedded world, got {short_repr(text, 80)}.")


def _rounds(split: str, name: str, category: str) -> int:
    is_easy = category == "base" and RECIPES[name].difficulty == "easy"
    return (_EASY_ROUNDS if is_easy else _ROUNDS)[split]


def _in_turn(seed: int, split: str, kinds: Sequence[tuple[str, str]]) -> Iterator[Place]:
    for number in range(max(_ROUNDS[split], _EASY_ROUNDS[split])):
        for name, category in kinds:
            if number < _rounds(split, name, category):
                yield Place(seed, split, name, category, number)


def _parts(kind: str) -> frozenset[str]:
    """The parts of an entry of ``kinds``."""
    parts = kind.split("+") if isinstance(kind, str) else [str(kind)]
    known = (*RECIPES, *CATEGORIES, *DIFFICULTIES)
    for part in parts:
        if part not in known:
            raise UnknownNameError("task kind", part, known)
    return frozenset(parts)
