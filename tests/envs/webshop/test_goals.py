"""Goals: order, price caps, splits and ids."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from agentgym_hindsight.envs.webshop.goals import (
    goal_ids,
    human_goals,
    official_order,
    official_split,
    price_cap,
    recorded_goals,
    split_by_product,
    synthetic_goals,
)
from agentgym_hindsight.envs.webshop.library import open_library
from agentgym_hindsight.envs.webshop.loading import load_annotations, load_products
from agentgym_hindsight.envs.webshop.official_files import read_catalogue
from agentgym_hindsight.envs.webshop.shop_types import NO_CAP
from agentgym_hindsight.errors import DamagedDataError, UnknownNameError, UsageError
from tests.envs.webshop.tiny_shop import ATTRIBUTES, ITEMS, goal_for, tiny_shop


def test_synthetic_goals_are_all_combinations_of_options() -> None:
    goals = synthetic_goals(load_products(ITEMS, ATTRIBUTES))
    assert len(goals) == 3 * 2 + 3
    goal = next(goal for goal in goals if goal.options == (("color", "dark green"), ("size", "large")))
    start = "Find me lead free, dishwasher safe mugs with color: dark green, and size: large, and price lower than "
    assert goal.instruction == f"{start}{goal.price_cap:.2f} dollars"
    assert goal.weight == pytest.approx(1 / 6)  # six goals have each of its attributes
    assert not goal.human


def test_human_goals_have_values_without_axes() -> None:
    used = {
        "instruction": "i want a green mug..",
        "instruction_attributes": ["lead free"],
        "instruction_options": ["dark green"],
    }
    skipped = {**used, "instruction_attributes": []}
    goals = human_goals(load_products(ITEMS, ATTRIBUTES), load_annotations({"T000000001": [used, skipped]}))
    assert len(goals) == 1
    assert goals[0].instruction.startswith("i want a green mug, and price lower than ")
    assert goals[0].options == (("", "dark green"),)
    assert (goals[0].weight, goals[0].human) == (1.0, True)


def test_the_order_is_the_originals_and_the_global_random_state_does_not_change() -> None:
    goals = [goal_for(load_products(ITEMS)[0], instruction=str(n)) for n in range(100)]
    random.seed(5)
    before = random.getstate()
    ordered = official_order(goals)
    assert random.getstate() == before
    random.seed(233)
    random.shuffle(goals)
    assert list(ordered) == goals


@pytest.mark.parametrize(
    ("price", "possible"),
    [(12.5, {30.0, 40.0, 50.0}), (20.0, {40.0, 50.0, 60.0}), (970.0, {990.0}), (980.0, {NO_CAP}), (2000.0, {NO_CAP})],
)
def test_a_cap_is_one_of_the_next_tens(price: float, possible: set[float]) -> None:
    drawn = {price_cap(price, seed) for seed in range(60)}
    assert {cap for cap, _ in drawn} == possible
    for cap, text in drawn:
        assert text == ("" if cap == NO_CAP else f", and price lower than {cap:.2f} dollars")
    assert price_cap(price, 1, "a") == price_cap(price, 1, "a")


def test_price_caps_have_the_distribution_of_the_original() -> None:
    caps = [price_cap(5.0, seed)[0] for seed in range(6000)]
    assert [caps.count(cap) / 6000 for cap in (20.0, 30.0, 40.0)] == pytest.approx([1 / 6, 1 / 3, 1 / 2], abs=0.03)


def test_splits() -> None:
    assert [official_split(n) for n in (0, 499, 500, 1499, 1500)] == ["test", "test", "eval", "eval", "train"]
    drawn = [split_by_product(f"B{n:09}") for n in range(5000)]
    assert [drawn.count(name) / 5000 for name in ("test", "eval", "train")] == pytest.approx([0.1, 0.2, 0.7], abs=0.03)


def test_no_product_is_in_two_splits_under_strict_rules() -> None:
    library = open_library("embedded", products=120)
    of = {
        split: {library.goal(library.task(split, n)).asin for n in range(library.count(split))}
        for split in ("train", "eval", "test")
    }
    assert not (of["train"] & of["eval"] | of["train"] & of["test"] | of["eval"] & of["test"])


def test_official_rules_keep_the_official_ranges() -> None:
    library = open_library("embedded", products=600, rules="official")
    assert (library.count("test"), library.count("eval")) == (500, 1000)
    assert library.goal(library.task("test", 3)) == library.shop.goals[3]


def test_ids_are_content_hashes_and_copies_have_different_ids() -> None:
    goals = synthetic_goals(load_products(ITEMS, ATTRIBUTES))
    ids = goal_ids(goals)
    assert len(set(ids)) == len(ids)
    assert dict(zip(reversed(goals), goal_ids(goals[::-1]), strict=True)) == dict(
        zip(goals[::-1], ids[::-1], strict=True)
    )
    assert len(set(goal_ids([goals[0], goals[0]]))) == 2


def test_tasks_are_found_by_their_id() -> None:
    library = open_library("embedded", products=120)
    task = library.task("eval", 1)
    assert library.find(task.id) == task
    assert library.goal(task).instruction == task.goal
    with pytest.raises(UnknownNameError):
        library.find("no such id")
    with pytest.raises(UsageError):
        library.task("eval", 10**6)
    with pytest.raises(UnknownNameError):
        library.count("trian")


def test_shops_are_shared_in_a_process() -> None:
    strict, official = (open_library("embedded", products=120, rules=rules) for rules in ("strict", "official"))
    assert strict.shop is official.shop is open_library("embedded", products=120).shop


def test_recorded_goals(tmp_path: Path) -> None:
    record = {
        "asin": "T000000001",
        "category": "garden",
        "query": "mugs",
        "name": "Tall Clay Mug",
        "product_category": "Home › Kitchen",
        "instruction_text": "a mug",
        "attributes": ["lead free"],
        "price_upper": 30.0,
        "goal_options": {"size": "large"},
        "weight": 0.5,
    }
    path = tmp_path / "goals.json"
    path.write_text(json.dumps({"goals": [record, {**record, "goal_options": ["large"]}], "prices": {"T000000001": 3}}))
    found = recorded_goals(path)
    assert [goal.options for goal in found.goals] == [(("size", "large"),), (("", "large"),)]
    assert [goal.human for goal in found.goals] == [False, True]
    assert found.prices == {"T000000001": 3.0}
    for broken in ({**record, "price_upper": 0}, {"asin": "X"}, 7):
        path.write_text(json.dumps({"goals": [record, broken], "prices": {}}))
        with pytest.raises(DamagedDataError, match=r"record 1 of .*goals\.json"):
            recorded_goals(path)
    path.write_text("[]")
    with pytest.raises(DamagedDataError, match="'goals' and 'prices'"):
        recorded_goals(path)


def test_the_tiny_shop_has_nine_goals() -> None:
    assert len(tiny_shop().goals) == 9


def test_official_goals_come_in_the_recorded_order(shared: Path) -> None:
    folder = shared / "data" / "webshop"
    if not folder.is_dir():
        pytest.skip(f"no official WebShop files: {folder} is not there (set AGENTGYM_HINDSIGHT_SHARED)")
    recorded = recorded_goals(folder / "goals_prices.json.gz").goals
    ours = synthetic_goals(read_catalogue(folder).products)
    assert len(ours) == len(recorded) == 6910
    for our_goal, recorded_goal in zip(ours, recorded, strict=True):
        assert our_goal._replace(price_cap=0.0, instruction="") == recorded_goal._replace(price_cap=0.0, instruction="")
        assert our_goal.instruction.split(", and price")[0] == recorded_goal.instruction.split(", and price")[0]
