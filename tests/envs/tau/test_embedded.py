"""The embedded desks: how many tasks, that references solve them, and that wrong work is refused."""

from __future__ import annotations

import copy
import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from agentgym_hindsight.envs.tau.desk import DOMAINS, Desk, DeskTask
from agentgym_hindsight.envs.tau.embedded import embedded_desk
from agentgym_hindsight.envs.tau.embedded.shop_tasks import SHOP_KINDS
from agentgym_hindsight.envs.tau.embedded.travel_tasks import TRAVEL_KINDS
from agentgym_hindsight.envs.tau.rewards import evaluate
from agentgym_hindsight.envs.tau.store import Database

KINDS = {"retail": SHOP_KINDS, "airline": TRAVEL_KINDS}
WRITES = ("cancel", "modify", "exchange", "return", "book", "update", "send")
Calls = list[tuple[str, dict[str, Any]]]


def played(desk: Desk, task: DeskTask, calls: Any, said: list[str], rules: str) -> float:
    database = Database(desk.initial)
    for name, arguments in calls:
        desk.call(database, name, arguments, rules)
    return evaluate(desk, task, database, said, rules).reward


def wrong_variants(desk: Desk, task: DeskTask) -> Iterator[tuple[str, Calls, list[str]]]:
    """Ways to fail a task: a missing write, each argument of each write changed, damage beside it, nothing said."""
    calls, said = [(name, dict(arguments)) for name, arguments in task.actions], [" ".join(task.outputs)]
    for number, (name, arguments) in enumerate(calls):
        if not name.startswith(WRITES):
            continue
        yield f"without {name}", calls[:number] + calls[number + 1 :], said
        for argument, value in arguments.items():
            for other in others(desk, argument, value):
                yield f"{name} with another {argument}", replaced(calls, number, argument, other), said
    if task.outputs:
        yield "silent", calls, []
        yield "wrong answer", calls, ["1234567"]
        yield "nearly the answer", calls, [output[:-1] + "~" for output in task.outputs]
    yield "damage", [*calls, damage(desk, task)], said


def replaced(calls: Calls, number: int, argument: str, value: Any) -> Calls:
    made = copy.deepcopy(calls)
    made[number][1][argument] = value
    return made


def others(desk: Desk, argument: str, value: Any) -> Iterator[Any]:
    tables = desk.initial.tables
    if argument == "reason":
        yield "no longer needed" if value != "no longer needed" else "ordered by mistake"
    elif argument == "order_id":
        yield from [key for key in tables["orders"] if key != value][:1]
    elif argument == "reservation_id":
        yield from [key for key in tables["reservations"] if key != value][:1]
    elif argument == "user_id":
        yield from [key for key in tables["users"] if key != value][:1]
    elif argument in ("total_baggages", "nonfree_baggages", "amount"):
        yield value + 1
        yield float(value)
    elif isinstance(value, str) and argument in ("address1", "address2", "city", "state", "country", "zip"):
        yield value + "x"
    elif argument in ("item_ids", "new_item_ids", "flights", "passengers"):
        yield value[:-1]
        if argument == "flights":
            yield [{**each, "date": "2024-05-16"} for each in value]
        if argument == "passengers":
            yield [{**each, "last_name": "Nobody"} for each in value]


def damage(desk: Desk, task: DeskTask) -> tuple[str, dict[str, Any]]:
    if desk.domain == "airline":
        other = next(
            key for key, each in desk.initial.tables["reservations"].items() if each["user_id"] != task.user_id
        )
        return "cancel_reservation", {"reservation_id": other}
    order = next(
        key
        for key, each in desk.initial.tables["orders"].items()
        if each["user_id"] != task.user_id and each["status"] == "pending"
    )
    return "cancel_pending_order", {"order_id": order, "reason": "no longer needed"}


@pytest.mark.parametrize("domain", DOMAINS)
def test_there_are_enough_tasks_and_no_split_shares_one(domain: str) -> None:
    desk = embedded_desk(domain, 0)
    counts = {split: len(tasks) for split, tasks in desk.tasks.items()}
    assert sum(counts.values()) >= 500
    assert min(counts.values()) >= 150
    people = {split: {task.user_id for task in tasks} for split, tasks in desk.tasks.items()}
    assert not people["train"] & people["valid"] | people["train"] & people["test"] | people["valid"] & people["test"]
    for tasks in desk.tasks.values():
        assert {task.kind for task in tasks} == set(KINDS[domain])
        assert len({(task.instruction, str(task.actions)) for task in tasks}) == len(tasks)


@pytest.mark.parametrize("rules", ["official", "strict"])
@pytest.mark.parametrize("domain", DOMAINS)
def test_every_reference_solves_its_task_without_a_failing_call(domain: str, rules: str) -> None:
    desk = embedded_desk(domain, 0)
    for tasks in desk.tasks.values():
        for task in tasks if rules == "official" else tasks[::4]:
            database = Database(desk.initial)
            for name, arguments in task.actions:
                assert not desk.call(database, name, arguments, rules).failed, (task.kind, name)
            assert evaluate(desk, task, database, [" ".join(task.outputs)], rules).reward == 1.0


@pytest.mark.parametrize("domain", DOMAINS)
def test_wrong_variants_of_every_kind_are_refused(domain: str) -> None:
    desk = embedded_desk(domain, 0)
    refused: dict[str, set[str]] = defaultdict(set)
    count = 0
    for task in desk.tasks["train"][::9]:
        for name, calls, said in wrong_variants(desk, task):
            assert played(desk, task, calls, said, "strict") == 0.0, (task.kind, name)
            refused[task.kind].add(name)
            count += 1
    assert set(refused) == set(KINDS[domain])
    assert min(map(len, refused.values())) >= 3, refused
    assert count > 500


def test_a_seed_makes_the_same_desk_and_another_seed_another() -> None:
    embedded_desk.cache_clear()
    one = embedded_desk("retail", 0)
    first_hash = one.initial.hash
    embedded_desk.cache_clear()
    assert embedded_desk("retail", 0).initial.hash == first_hash
    assert embedded_desk("retail", 1).initial.hash != first_hash
    assert embedded_desk("retail", 1).source == "embedded-1"


@pytest.mark.parametrize("domain", DOMAINS)
def test_nothing_of_the_benchmarks_data_is_in_the_embedded_desks(domain: str) -> None:
    text = json.dumps(embedded_desk(domain, 0).initial.tables)
    assert not any(name in text for name in ("HAT0", "example.com", "New York", "USA", "sara_doe", "JFK"))
