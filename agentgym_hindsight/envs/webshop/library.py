"""Where shops come from: our own embedded catalogue, a folder of official files, or a recording of the original.

Opened once a process and shared by every env that asks for the same.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from agentgym_hindsight.envs.webshop.cached_goals import cached_flags, cached_human_goals
from agentgym_hindsight.envs.webshop.catalogue import embedded_products, human_record
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

__all__ = ["GOAL_KINDS", "Library", "data_folder", "open_library", "shop_for"]

#: What kind of goals to play; a path plays the goals and prices of a recording.
GOAL_KINDS = ("auto", "human", "synthetic")
_FULL = 1500  # human goals from which on the official order leaves some for training


class Library:
    """A shop's goals as tasks, by split. The split of a goal never depends on who loads it."""

    def __init__(self, shop: Shop, rules: str, kind: str, places: dict[str, tuple[int, ...]]) -> None:
        self.shop, self.rules, self.kind = shop, rules, kind
        self.name = f"native/{shop.name}/{rules}"
        self.ids = goal_ids(shop.goals)
        self._places = places
        self._found: dict[str, tuple[str, int]] | None = None

    def count(self, split: str) -> int:
        """How many tasks a split has."""
        if split not in SPLITS:
            raise UnknownNameError("split", split, SPLITS)
        count = len(self._places[split])
        if not count:
            sizes = ", ".join(f"{name} {len(places)}" for name, places in self._places.items())
            raise UsageError(
                f"Expected {self.kind} goals in split {split!r} of {self.shop.name}, got none ({sizes}); "
                "try another split, or goals='synthetic'."
            )
        return count

    def task(self, split: str, index: int) -> Task:
        """A task by its place in a split."""
        if not 0 <= index < self.count(split):
            raise UsageError(f"Expected an index below {self.count(split)} in {split}, got {index}.")
        return self._task(split, self._places[split][index])

    def find(self, task_id: str) -> Task:
        """A task by its content id."""
        if self._found is None:
            self._found = {self.ids[n]: (split, n) for split, places in self._places.items() for n in places}
        if task_id not in self._found:
            raise UnknownNameError(f"task id of {self.name} ({self.kind} goals)", task_id, ())
        return self._task(*self._found[task_id])

    def goal(self, task: Task) -> Goal:
        """What a task asks for; hidden from the agent."""
        number = task.locator.rpartition("/")[2]
        if not number.isdecimal() or int(number) >= len(self.ids) or self.ids[int(number)] != task.id:
            task = self.find(task.id)
            number = task.locator.rpartition("/")[2]
        return self.shop.goals[int(number)]

    def _task(self, split: str, number: int) -> Task:
        goal = self.shop.goals[number]
        locator = f"{self.shop.name}/{self.kind}/{number}"
        return Task(self.ids[number], "webshop", split, goal.category, goal.instruction, locator, self.shop.name)


class _Stock(NamedTuple):
    """What is sold where, before anybody wants it. Equal stocks are opened once a process."""

    data: str  # "embedded", or a folder
    products: int
    seed: int
    tag: str | None
    fingerprint: str  # of the folder's files
    recording: str  # a path, or ""


def open_library(
    data: str | os.PathLike[str] = "auto",
    *,
    rules: str = "strict",
    goals: str | os.PathLike[str] = "auto",
    products: int = 1000,
    seed: int = 0,
    tag: str | None = None,
) -> Library:
    """The shop ``data`` asks for: "auto", "embedded", "official" ($WEBSHOP_DATA), or a folder of official files.

    ``products`` is the size of the embedded catalogue, ``tag`` one of several catalogues in a folder ("1000"),
    ``seed`` what prices and caps are drawn from.
    """
    if rules not in RULES:
        raise UnknownNameError("rule set", rules, RULES)
    asked, wanted = os.fspath(data), os.fspath(goals)
    if wanted not in GOAL_KINDS and not wanted.endswith((".json", ".json.gz")):
        raise UnknownNameError("kind of goals (or a recording's goals_prices.json.gz)", wanted, GOAL_KINDS)
    if asked == "auto":
        asked = "embedded"
        if os.environ.get("WEBSHOP_DATA"):
            try:
                find_catalogue(data_folder(), tag)
                asked = "official"
            except MissingDataError as missing:  # whoever names a folder expects official products
                warnings.warn(f"Playing the embedded shop instead of the official one. {missing}", stacklevel=2)
    if asked == "embedded":
        if wanted not in GOAL_KINDS:
            raise UsageError(f"Expected official data for the recording {wanted}, got data='embedded'; try data=DIR.")
        return _library(_Stock(asked, products, seed, None, "", ""), wanted, rules)
    folder = str(data_folder() if asked == "official" else Path(asked).expanduser())
    recording = "" if wanted in GOAL_KINDS else str(Path(wanted).expanduser())
    return _library(_Stock(folder, 0, seed, tag, find_catalogue(folder, tag).fingerprint, recording), wanted, rules)


def shop_for(data: str | os.PathLike[str] = "auto", **choices: object) -> Shop:
    """The shop of :func:`open_library`: products, index and goals, shared in this process."""
    return open_library(data, **choices).shop  # type: ignore[arg-type]


def data_folder() -> Path:
    """The folder $WEBSHOP_DATA names."""
    told = os.environ.get("WEBSHOP_DATA")
    if not told:
        raise MissingDataError(
            "Expected the official WebShop files, found no WEBSHOP_DATA in the environment; "
            "try WEBSHOP_DATA=DIR, data=DIR, or data='embedded'."
        )
    return Path(told).expanduser()


class _Opened(NamedTuple):
    name: str
    products: Sequence[Product]
    engine: SearchEngine
    annotations: dict[str, tuple[Annotation, ...]]
    recorded: tuple[Goal, ...]


@lru_cache(maxsize=4)
def _stocked(stock: _Stock) -> _Opened:
    if stock.data == "embedded":
        products = embedded_products(stock.products, stock.seed)
        records = (human_record(stock.seed, index) for index in range(stock.products))
        annotations = load_annotations({listed[0]["asin"]: listed for listed in records if listed})
        return _Opened("embedded", products, index_for(products), annotations, ())
    recording = recorded_goals(stock.recording) if stock.recording else None
    catalogue = read_catalogue(
        stock.data, tag=stock.tag, seed=stock.seed, prices=recording.prices if recording else None
    )
    return _Opened(
        f"official-{catalogue.files.tag or 'full'}",
        catalogue.products,
        index_for(catalogue.products),
        dict(catalogue.annotations),
        recording.goals if recording else (),
    )


@lru_cache(maxsize=8)
def _library(stock: _Stock, goals: str, rules: str) -> Library:
    opened = _stocked(stock)
    kind = goals if goals in GOAL_KINDS else "recorded"
    if kind == "auto":
        # The full catalogue's benchmark is its human goals; a smaller one has too few of them.
        kind = "human" if opened.name == "official-full" and opened.annotations else "synthetic"
    shop = _shop(stock, kind)
    return Library(shop, rules, kind, _splits(shop, rules, kind))


@lru_cache(maxsize=8)
def _shop(stock: _Stock, kind: str) -> Shop:
    opened = _stocked(stock)
    goals = opened.recorded
    if kind == "human":
        goals = cached_human_goals(opened.products, opened.annotations, stock.seed)
    elif kind == "synthetic":
        goals = synthetic_goals(opened.products, stock.seed)
    return Shop(opened.products, opened.engine, goals, name=opened.name)


def _splits(shop: Shop, rules: str, kind: str) -> dict[str, tuple[int, ...]]:
    by_order = rules == "official" or (kind == "human" and len(shop.goals) > _FULL)
    places: dict[str, list[int]] = {split: [] for split in SPLITS}
    reachable = cached_flags(shop, "reachable-1", lambda: _all_reachable(shop)) if rules == "strict" else None
    for number, goal in enumerate(shop.goals):
        if reachable is not None and not reachable[number]:
            continue  # a goal that nothing fulfils teaches nothing; its number, and so its split, stays its own
        places[official_split(number) if by_order else split_by_product(goal.asin)].append(number)
    return {split: tuple(numbers) for split, numbers in places.items()}


def _all_reachable(shop: Shop) -> list[bool]:
    known: dict[tuple[str, tuple[str, ...]], bool] = {}
    return [_reachable(shop, goal, known) for goal in shop.goals]


def _reachable(shop: Shop, goal: Goal, known: dict[tuple[str, tuple[str, ...]], bool]) -> bool:
    """Whether buying the goal's own product with its options earns 1."""
    if goal.asin not in shop.position:
        return False
    product = shop.product(goal.asin)
    everything = {value for values in product.options.values() for value in values}
    for axis, value in goal.options:
        if option_value(value) not in (product.options.get(axis, ()) if axis else everything):
            return False
    key = (goal.asin, goal.attributes)
    if key not in known:  # options apart, the goals of a product are judged alike
        parts = score(product, {}, goal, "strict")
        known[key] = parts.r_type == 1.0 and parts.r_att == 1.0
    return known[key] and product.price <= goal.price_cap and _choosable(goal, product)


def _choosable(goal: Goal, product: Product) -> bool:
    """Whether the values of a goal that names no axes fit on different axes."""
    if not goal.human or len(goal.options) < 2:
        return True
    return all(match.matched for match in option_matches(best_options(product, goal, "strict"), goal, "strict"))
