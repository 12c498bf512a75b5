"""Open shops: the embedded catalogue, a folder of official files, or a recording of the original.

A shop is opened once per process and shared by all envs with the same arguments.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from agentgym_hindsight.envs.webshop.cached_goals import cached_flags, cached_human_goals
from agentgym_hindsight.envs.webshop.catalogue import DIFFICULTIES, embedded_products, human_record
from agentgym_hindsight.envs.webshop.goals import (
    goal_ids,
    official_split,
    recorded_goals,
    split_by_product,
    synthetic_goals,
)
from agentgym_hindsight.envs.webshop.index_store import index_for
from agentgym_hindsight.envs.webshop.loading import Annotation, load_annotations, option_value
from agentgym_hindsight.envs.webshop.official_files import find_catalogue, read_catalogue
from agentgym_hindsight.envs.webshop.oracle import best_options
from agentgym_hindsight.envs.webshop.reward import option_matches, score
from agentgym_hindsight.envs.webshop.shop import Shop
from agentgym_hindsight.envs.webshop.shop_types import RULES, SPLITS, Goal, Product, SearchEngine
from agentgym_hindsight.errors import MissingDataError, UnknownNameError, UsageError
from agentgym_hindsight.tasks import Task

__all__ = ["GOAL_KINDS", "Library", "data_folder", "open_library"]

#: The kinds of goals. A path instead of a kind plays the goals and prices of a recording.
GOAL_KINDS = ("auto", "human", "synthetic")
_MANY_HUMAN_GOALS = 1500  # only with more human goals than this does the official order have goals for training


class Library:
    """The goals of a shop as tasks, by split."""

    def __init__(self, shop: Shop, rules: str, kind: str, goal_numbers: dict[str, tuple[int, ...]]) -> None:
        self.shop, self.rules, self.kind = shop, rules, kind
        self.name = f"native/{shop.name}/{rules}"
        self.ids = goal_ids(shop.goals)
        self._goal_numbers = goal_numbers
        self._by_id: dict[str, tuple[str, int]] | None = None

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have goals."""
        return tuple(split for split in SPLITS if self._goal_numbers[split])

    def count(self, split: str) -> int:
        """The number of tasks of a split. Raises :class:`UsageError` if it is 0."""
        if split not in SPLITS:
            raise UnknownNameError("split", split, SPLITS)
        count = len(self._goal_numbers[split])
        if not count:
            sizes = ", ".join(f"{name} {len(goal_numbers)}" for name, goal_numbers in self._goal_numbers.items())
            raise UsageError(
                f"Expected {self.kind} goals in split {split!r} of {self.shop.name}, got none ({sizes}); "
                "try another split, or goals='synthetic'."
            )
        return count

    def task(self, split: str, index: int) -> Task:
        """A task by its position in a split."""
        if not 0 <= index < self.count(split):
            raise UsageError(f"Expected an index below {self.count(split)} in split {split!r}, got {index}; try 0.")
        return self._task(split, self._goal_numbers[split][index])

    def find(self, task_id: str) -> Task:
        """A task by its content id."""
        if self._by_id is None:
            self._by_id = {
                self.ids[n]: (split, n) for split, goal_numbers in self._goal_numbers.items() for n in goal_numbers
            }
        if task_id not in self._by_id:
            raise UnknownNameError(f"task id of {self.name} ({self.kind} goals)", task_id, ())
        return self._task(*self._by_id[task_id])

    def goal(self, task: Task) -> Goal:
        """The goal of a task, which is hidden from the agent."""
        number = task.locator.rpartition("/")[2]
        if not number.isdecimal() or int(number) >= len(self.ids) or self.ids[int(number)] != task.id:
            task = self.find(task.id)
            number = task.locator.rpartition("/")[2]
        return self.shop.goals[int(number)]

    def _task(self, split: str, number: int) -> Task:
        goal = self.shop.goals[number]
        locator = f"{self.shop.name}/{self.kind}/{number}"
        return Task(self.ids[number], "webshop", split, goal.category, goal.instruction, locator, self.shop.name)


class _Source(NamedTuple):
    """The source of a catalogue. Each source is opened once per process."""

    data: str  # "embedded", or a folder
    products: int
    seed: int
    tag: str | None
    fingerprint: str  # of the folder's files
    recording: str  # a path, or ""
    difficulty: str = "standard"  # of the embedded catalogue


def open_library(
    data: str | os.PathLike[str] = "auto",
    *,
    rules: str = "strict",
    goals: str | os.PathLike[str] = "auto",
    products: int = 1000,
    seed: int = 0,
    tag: str | None = None,
    difficulty: str = "standard",
) -> Library:
    """The library for ``data``: "auto", "embedded", "official" ($WEBSHOP_DATA), or a folder of official files.

    ``products`` and ``difficulty`` are those of the embedded catalogue, ``tag`` one of several catalogues in a folder
    ("1000"), and ``seed`` the seed of prices and price caps.
    """
    if rules not in RULES:
        raise UnknownNameError("rule set", rules, RULES)
    if difficulty not in DIFFICULTIES:
        raise UnknownNameError("difficulty", difficulty, DIFFICULTIES)
    source, goal_kind = os.fspath(data), os.fspath(goals)
    if goal_kind not in GOAL_KINDS and not goal_kind.endswith((".json", ".json.gz")):
        raise UnknownNameError("kind of goals (or a recording's goals_prices.json.gz)", goal_kind, GOAL_KINDS)
    if source == "auto":
        source = "embedded"
        if os.environ.get("WEBSHOP_DATA"):
            try:
                find_catalogue(data_folder(), tag)
                source = "official"
            except MissingDataError as missing:  # a user who sets the variable expects official products
                warnings.warn(f"Playing the embedded shop instead of the official one. {missing}", stacklevel=2)
    if source == "embedded":
        if goal_kind not in GOAL_KINDS:
            raise UsageError(
                f"Expected official data for the recording {goal_kind}, got data='embedded'; try data=DIR."
            )
        if difficulty != "standard" and goal_kind == "human":
            raise UsageError(f"Expected synthetic goals for difficulty={difficulty!r}, got goals='human'; try 'auto'.")
        return _library(_Source(source, products, seed, None, "", "", difficulty), goal_kind, rules)
    if difficulty != "standard":
        raise UsageError(
            f"Expected the embedded shop for difficulty={difficulty!r}, got official data, which have no difficulty; "
            "try data='embedded'."
        )
    folder = str(data_folder() if source == "official" else Path(source).expanduser())
    recording = "" if goal_kind in GOAL_KINDS else str(Path(goal_kind).expanduser())
    return _library(_Source(folder, 0, seed, tag, find_catalogue(folder, tag).fingerprint, recording), goal_kind, rules)


def data_folder() -> Path:
    """The folder in $WEBSHOP_DATA."""
    folder = os.environ.get("WEBSHOP_DATA")
    if not folder:
        raise MissingDataError(
            "Expected the official WebShop files, found no WEBSHOP_DATA in the environment; "
            "try WEBSHOP_DATA=DIR, data=DIR, or data='embedded'."
        )
    return Path(folder).expanduser()


class _ShopData(NamedTuple):
    name: str
    products: Sequence[Product]
    engine: SearchEngine
    annotations: dict[str, tuple[Annotation, ...]]
    recorded: tuple[Goal, ...]


@lru_cache(maxsize=4)
def _shop_data(source: _Source) -> _ShopData:
    if source.data == "embedded":
        products = embedded_products(source.products, source.seed, source.difficulty)
        if source.difficulty != "standard":
            return _ShopData(f"embedded-{source.difficulty}", products, index_for(products), {}, ())
        records = (human_record(source.seed, index) for index in range(source.products))
        annotations = load_annotations({listed[0]["asin"]: listed for listed in records if listed})
        return _ShopData("embedded", products, index_for(products), annotations, ())
    recording = recorded_goals(source.recording) if source.recording else None
    catalogue = read_catalogue(
        source.data, tag=source.tag, seed=source.seed, prices=recording.prices if recording else None
    )
    return _ShopData(
        f"official-{catalogue.files.tag or 'full'}",
        catalogue.products,
        index_for(catalogue.products),
        dict(catalogue.annotations),
        recording.goals if recording else (),
    )


@lru_cache(maxsize=8)
def _library(source: _Source, goals: str, rules: str) -> Library:
    data = _shop_data(source)
    kind = goals if goals in GOAL_KINDS else "recorded"
    if kind == "auto":
        # The benchmark on the full catalogue uses its human goals. A smaller catalogue has too few of them.
        kind = "human" if data.name == "official-full" and data.annotations else "synthetic"
    shop = _shop(source, kind)
    return Library(shop, rules, kind, _splits(shop, rules, kind))


@lru_cache(maxsize=8)
def _shop(source: _Source, kind: str) -> Shop:
    data = _shop_data(source)
    goals = data.recorded
    if kind == "human":
        goals = cached_human_goals(data.products, data.annotations, source.seed)
    elif kind == "synthetic":
        goals = synthetic_goals(data.products, source.seed)
    return Shop(data.products, data.engine, goals, name=data.name)


def _splits(shop: Shop, rules: str, kind: str) -> dict[str, tuple[int, ...]]:
    by_order = rules == "official" or (kind == "human" and len(shop.goals) > _MANY_HUMAN_GOALS)
    goal_numbers: dict[str, list[int]] = {split: [] for split in SPLITS}
    reachable = cached_flags(shop, "reachable-1", lambda: _all_reachable(shop)) if rules == "strict" else None
    for number, goal in enumerate(shop.goals):
        if reachable is not None and not reachable[number]:
            continue  # unreachable goals are left out; the others keep their numbers and therefore their splits
        goal_numbers[official_split(number) if by_order else split_by_product(goal.asin)].append(number)
    return {split: tuple(numbers) for split, numbers in goal_numbers.items()}


def _all_reachable(shop: Shop) -> list[bool]:
    type_and_attributes: dict[tuple[str, tuple[str, ...]], bool] = {}
    return [_reachable(shop, goal, type_and_attributes) for goal in shop.goals]


def _reachable(shop: Shop, goal: Goal, type_and_attributes: dict[tuple[str, tuple[str, ...]], bool]) -> bool:
    """Whether the purchase of the goal's own product with its options earns 1."""
    if goal.asin not in shop.position:
        return False
    product = shop.product(goal.asin)
    all_values = {value for values in product.options.values() for value in values}
    for axis, value in goal.options:
        if option_value(value) not in (product.options.get(axis, ()) if axis else all_values):
            return False
    key = (goal.asin, goal.attributes)
    if key not in type_and_attributes:  # type and attributes do not depend on the options of a goal
        parts = score(product, {}, goal, "strict")
        type_and_attributes[key] = parts.r_type == 1.0 and parts.r_att == 1.0
    return type_and_attributes[key] and product.price <= goal.price_cap and _choosable(goal, product)


def _choosable(goal: Goal, product: Product) -> bool:
    """Whether the values of a goal without axes can be chosen on different axes."""
    if not goal.human or len(goal.options) < 2:
        return True
    return all(match.matched for match in option_matches(best_options(product, goal, "strict"), goal, "strict"))
