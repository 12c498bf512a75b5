"""Ways to fail a task of a desk."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from agentgym_hindsight.envs.tau.desk import Desk, DeskTask
from agentgym_hindsight.envs.tau.rewards import evaluate
from agentgym_hindsight.envs.tau.store import Database

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
