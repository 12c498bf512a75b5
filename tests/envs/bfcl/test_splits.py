"""The splits: by task number without variants across splits, and HINT-SD's recipe with its leakage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentgym_hindsight.envs.bfcl.official.rows import CATEGORIES
from agentgym_hindsight.envs.bfcl.official.splits import NUMBERS, SPLITS, hint_sd, numbers_of
from agentgym_hindsight.tasks import content_hash
from tests.bfcl_packages import V3, V4, library

#: Split → hash of its task numbers: the published lists (docs/envs/bfcl.md).
LISTS = {"train": "d069f0385bb9a45f", "valid": "555c15217c6af120", "test": "524ed10b0781f4cc"}


def rows(split: str, recipe: str, category: str = "all") -> list[str]:
    opened = library(category=category, recipe=recipe)
    return [opened.task(split, index).locator.rpartition("/")[2] for index in range(opened.count(split))]


def test_the_lists_of_numbers_are_the_published_ones() -> None:
    found = {split: content_hash(*map(str, numbers_of(split))) for split in SPLITS}
    assert found == LISTS
    assert [len(numbers_of(split)) for split in SPLITS] == list(NUMBERS.values())
    assert sorted(number for split in SPLITS for number in numbers_of(split)) == list(range(200))


@pytest.mark.parametrize("version", [V4, V3])
def test_no_variant_of_a_task_is_in_two_splits(version: str) -> None:
    opened = library(version)
    numbers = {
        split: {opened.task(split, index).locator.rpartition("_")[2] for index in range(opened.count(split))}
        for split in SPLITS
    }
    assert {split: opened.count(split) for split in SPLITS} == {"train": 400, "valid": 80, "test": 320}
    assert not numbers["train"] & numbers["test"]
    assert not numbers["train"] & numbers["valid"]
    assert not numbers["valid"] & numbers["test"]
    assert {opened.task("test", index).category for index in range(320)} == set(CATEGORIES)


def test_the_recipe_of_hint_sd(shared: Path) -> None:
    path = shared / "data" / "bfcl" / "split_ids.json"
    if not path.is_file():
        pytest.skip(f"no recomputed ids of HINT-SD: {path} is not there (set AGENTGYM_HINDSIGHT_SHARED)")
    recomputed = json.loads(path.read_text(encoding="utf-8"))["multi_turn_base+multi_turn_long_context"]
    for split, name in (("train", "train"), ("valid", "eval"), ("test", "test")):
        assert rows(split, "hint-sd") == recomputed[name]


def test_the_recipe_of_hint_sd_leaks() -> None:
    ids = hint_sd(*([f"multi_turn_{name}_{number}" for number in range(200)] for name in ("base", "long_context")))
    assert {split: len(each) for split, each in ids.items()} == {"train": 200, "valid": 40, "test": 160}
    numbers = {split: {each.rpartition("_")[2] for each in ids[split]} for split in SPLITS}
    assert sum(each.rpartition("_")[2] in numbers["train"] for each in ids["test"]) == 71
    assert rows("test", "hint-sd", "base") == [each for each in ids["test"] if "base" in each]
    assert "(leaky)" in library(recipe="hint-sd").name
    assert "(leaky)" not in library().name
