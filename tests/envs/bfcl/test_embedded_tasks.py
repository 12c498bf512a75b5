"""The embedded world's tasks: how many, that references solve them, that wrong work is refused, and the splits."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict

import pytest

from agentgym_hindsight.envs.bfcl.embedded import embedded_library
from agentgym_hindsight.envs.bfcl.embedded import library as library_module
from agentgym_hindsight.envs.bfcl.embedded.names import SPLITS, WorldDraws, split_of
from agentgym_hindsight.envs.bfcl.embedded.recipes import DIFFICULTIES, ERRANDS, RECIPES
from agentgym_hindsight.envs.bfcl.embedded.tasks import CATEGORIES, MadeTask, Place, is_possible, make_task
from agentgym_hindsight.envs.invented import FIRST_NAMES, LAST_NAMES
from agentgym_hindsight.envs.tools import ToolCall
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.tasks import content_hash
from tests.envs.bfcl.embedded_plays import effects, failures, reference, wrong_variants

Made = dict[str, list[MadeTask]]


@pytest.fixture(scope="module")
def made() -> Made:
    """A part of each split that has every kind and category."""
    library = embedded_library(0)
    chosen = {split: (*places[:338], *places[338::12]) for split, places in library._places.items()}
    return {split: [make_task(place) for place in places] for split, places in chosen.items()}


def test_there_are_enough_tasks_of_every_category() -> None:
    library = embedded_library(0)
    assert {split: library.count(split) for split in SPLITS} == {"train": 6756, "valid": 1952, "test": 1952}
    counts = library.counts("valid")
    assert (sum(counts.values()), counts["read_file", "base"], counts["read_file", "long_context"]) == (1952, 12, 4)
    first, *_ = counts
    assert (first, library.task("valid", 0).category) == (("add_card", "base"), "add_card")
    categories = Counter(category for _, category in library.kinds)
    assert set(categories) == set(CATEGORIES)
    assert min(categories.values()) >= 70
    assert len(RECIPES) >= 90
    assert {recipe.difficulty for recipe in RECIPES.values()} == set(DIFFICULTIES)


def test_every_reference_passes_every_turn_without_a_failing_call(made: Made) -> None:
    kinds = set()
    for tasks in made.values():
        for task in tasks:
            calls = list(effects(task))  # asserts that the calls succeed and the turns pass
            assert calls
            assert 1 <= len(task.task.messages) <= 6
            kinds.add(task.task.kind)
    assert len(kinds) == len(embedded_library(0).kinds) == 338


@pytest.mark.slow
def test_every_task_of_every_split_passes_and_no_message_is_in_two_splits() -> None:
    library = embedded_library(0)
    messages: dict[str, set[tuple[str, ...]]] = {}
    for split in SPLITS:
        messages[split] = set()
        for place in library._places[split]:
            task = make_task(place)
            assert failures(task, reference(task)) == [], place
            messages[split].add(task.task.messages)
    assert not messages["train"] & messages["valid"]
    assert not messages["train"] & messages["test"]
    assert not messages["valid"] & messages["test"]


def test_wrong_variants_of_every_kind_are_refused() -> None:
    refused: dict[str, set[str]] = defaultdict(set)
    count = 0
    for name, category in embedded_library(0).kinds:
        task = make_task(Place(0, "train", name, category, 1))
        for wrong, turns in wrong_variants(task):
            assert failures(task, turns), (task.task.name, wrong)
            refused[task.task.kind].add(repr(turns))
            count += 1
    assert len(refused) == 338
    assert min(map(len, refused.values())) >= 3, [kind for kind, each in refused.items() if len(each) < 3]
    assert count > 2900


def test_calls_that_change_nothing_public_are_not_punished() -> None:
    library = embedded_library(0, kinds=["drive_session+base"])
    for index in range(10):
        task = library.made(library.task("train", index))
        turns = reference(task)
        looks = [
            ToolCall("open_folder", {"path": "/"}),
            ToolCall("list_folder"),
            ToolCall("read_file", {"path": "nowhere"}),
            ToolCall("no_such_function"),
        ]
        assert failures(task, [[*looks, *calls] for calls in turns]) == []


def test_no_person_or_thing_is_in_two_splits(made: Made) -> None:
    people = re.compile(rf"\b({'|'.join(FIRST_NAMES)}) ({'|'.join(LAST_NAMES)})\b")
    for split, tasks in made.items():
        for task in tasks[::3]:
            text = "\n".join(task.task.messages) + json.dumps(task.tables)
            assert {split_of(match[0]) for match in people.finditer(text)} <= {split}, task.task.name
    messages = {split: {task.task.messages for task in tasks} for split, tasks in made.items()}
    things = {split: {name for task in tasks for name in names_in(task)} for split, tasks in made.items()}
    for first, second in (("train", "valid"), ("train", "test"), ("valid", "test")):
        assert not messages[first] & messages[second]
        assert not things[first] & things[second], sorted(things[first] & things[second])[:5]
    assert min(map(len, things.values())) > 400


def names_in(task: MadeTask) -> set[str]:
    """Names of the devices, rooms, articles, inns, events, cards, folders and files of a world."""
    found = set()
    for table, rows in task.tables.items():
        for key, record in rows.items():
            if table in ("house.devices", "house.rooms", "house.doors", "drive.items"):
                found.add(key.rsplit("/", 1)[-1])
            found |= {record[field] for field in ("title", "text") if field in record and "\n" not in record[field]}
            if table in ("stock.articles", "trips.inns"):
                found.add(record["name"])
            if table == "trips.trains":
                found.add(f"{record['origin']}|{record['destination']}")
    return found - {""}


def test_a_late_function_is_offered_a_turn_later_at_the_end_of_the_list() -> None:
    library = embedded_library(0, kinds=["miss_func"])
    for index in range(0, 72, 3):
        task = library.made(library.task("test", index)).task
        empty = task.reference.index(())
        before, after = task.functions[empty], task.functions[empty + 1]
        assert list(after[: len(before)]) == list(before)
        late = {schema["function"]["name"] for schema in after[len(before) :]}
        assert late
        assert late <= {call.name for call in task.reference[empty + 1]}
        assert not late & {call.name for calls in task.reference[:empty] for call in calls}
        assert all(functions == before for functions in task.functions[:empty])
        assert all(functions == after for functions in task.functions[empty + 1 :])


def test_a_forgotten_value_comes_a_turn_later() -> None:
    library = embedded_library(0, kinds=["easy+miss_param"])
    for index in range(library.count("test") // 4):
        task = library.made(library.task("test", index)).task
        assert task.reference[0] == ()
        given = [value for value in task.reference[1][-1].arguments.values() if isinstance(value, str)]
        first, second = task.messages
        assert all(value not in first for value in given) or any(value in second for value in given) or second != first


def test_long_worlds_have_much_in_them() -> None:
    library = embedded_library(0, kinds=["long_context"])
    for index in range(library.count("test") // 8):
        tables = library.made(library.task("test", index)).tables
        assert sum(map(len, tables.values())) >= 60


def test_kinds_select_by_kind_category_and_difficulty() -> None:
    assert {name for name, _ in embedded_library(0, kinds=["switch", "trip+base"]).kinds} == {"switch", "trip"}
    easy = embedded_library(0, kinds=["easy+base"])
    assert {RECIPES[name].difficulty for name, _ in easy.kinds} == {"easy"}
    assert {category for _, category in easy.kinds} == {"base"}
    assert len(easy.kinds) == sum(map(len, ERRANDS.values()))
    hard = embedded_library(0, kinds=["hard"])
    assert {hard.task("valid", index).category.split("+")[-1] for index in range(hard.count("valid"))} > {"trip"}
    with pytest.raises(UnknownNameError, match="switsh"):
        embedded_library(0, kinds=["switsh"])
    with pytest.raises(UsageError, match="list of task kinds"):
        embedded_library(0, kinds="switch")


def test_the_impossible_kinds_are_the_declared_ones() -> None:
    for name, recipe in RECIPES.items():
        for category in ("miss_func", "miss_param"):
            if recipe.difficulty != "easy" and is_possible(name, category):
                assert () in make_task(Place(3, "valid", name, category, 0)).task.reference


def test_tasks_are_found_by_id_and_by_locator(monkeypatch: pytest.MonkeyPatch) -> None:
    library = embedded_library(0, kinds=["switch"])
    task = library.task("train", 2)
    assert library.find(task.id) == task
    monkeypatch.setattr(library_module, "_KNOWN", {})
    assert library.find(task.id) == task
    assert library.start(task).task.name == task.locator.partition("/")[2]
    with pytest.raises(UnknownNameError, match="0000"):
        library.find("0000")
    with pytest.raises(UsageError, match="release that made"):
        library.made(type(task)(**{**task.to_dict(), "id": "0" * 16}))
    for locator in ("", "official/x", "embedded/0/train/switch/base/99999", "embedded/x/train/switch/base/0"):
        with pytest.raises(UsageError, match="Expected"):
            library.made(type(task)(**{**task.to_dict(), "locator": locator}))


def test_the_content_of_the_edition_does_not_change() -> None:
    """The ids contain the edition and not the content. If this fails, give ``WorldDraws`` another edition."""
    library = embedded_library(0)
    made = [library.made(library.task(split, index)) for split in SPLITS for index in range(0, 338, 13)]
    content = [
        [
            each.task.messages,
            [[[call.name, call.arguments] for call in calls] for calls in each.task.reference],
            each.tables,
        ]
        for each in made
    ]
    assert WorldDraws.edition == "agentgym-hindsight/apis-1"
    assert content_hash(json.dumps(content)) == "765eaf46f178c3c3"


def test_a_seed_makes_the_same_tasks_in_every_process_and_another_seed_others() -> None:
    code = (
        "from agentgym_hindsight.envs.bfcl.embedded import embedded_library as e\n"
        "library = e(0)\n"
        "from hashlib import md5\n"
        "made = [library.made(library.task(s, i)) for s in library.splits for i in range(0, 330, 33)]\n"
        "print(*(md5(repr((m.task.messages, m.task.reference, m.tables)).encode()).hexdigest() for m in made))"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]
    ids = runs[0].split()
    assert len(set(ids)) == len(ids) == 30
    assert embedded_library(7).name == "embedded-7"
    assert embedded_library(7).task("train", 0).id != embedded_library(0).task("train", 0).id
