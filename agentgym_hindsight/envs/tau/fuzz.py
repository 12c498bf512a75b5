"""Random calls and actions: odd values, wrong types, unknown names, broken notations. For tests and benchmarks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from agentgym_hindsight.envs.tau.desk import DOMAINS, Desk, parameters
from agentgym_hindsight.envs.tau.store import Database

__all__ = ["LONGEST_ANSWER", "fuzz_calls", "random_action", "random_call"]

#: Characters of an answer that a fuzzed call may get. A list of flights is the longest answer of a desk.
LONGEST_ANSWER = 200_000
_FRESH = 200  # calls on one database

_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    3.5,
    1e308,
    10**30,
    "",
    " ",
    "x" * 300,
    "\u0000",
    "Zoë 🛒",
    "123",
    "None",
    [],
    [None],
    ["a", "a"],
    {},
    {"a": 1},
    [[[[]]]],
)
_DEEP: Any = "deep"
for _ in range(30):
    _DEEP = [_DEEP]
_EXPRESSIONS = (
    "9**9**9**9",
    "(" * 150 + "1" + ")" * 150,
    "2" + "**9" * 300,
    "1" * 5_000,
    "9" * 4_000 + "*" + "9" * 4_000,
    "-" * 5_000 + "1",
    "1" + "+1" * 4_000,
    "(1)(2)(3)",
    "10**400/3",
    "0.1**-400",
    "()*99",
    "1/0",
)


def random_call(draw: Random, desk: Desk) -> tuple[str, dict[str, Any]]:
    """A call that is mostly plausible: keys of the records, and now and then a value that does not fit."""
    tools = DOMAINS[desk.domain]
    name = (
        draw.choice(list(tools)) if draw.random() < 0.97 else draw.choice(("", "respond_to", "calculáte", "__class__"))
    )
    names = parameters(tools[name]) if name in tools else ("x",)
    arguments = {each: _value(draw, desk, each) for each in names if draw.random() < 0.97}
    if draw.random() < 0.03:
        arguments[draw.choice(("self", "data", "notes", "kwargs"))] = draw.choice(_VALUES)
    return name, arguments


def random_action(draw: Random, desk: Desk) -> str:
    """A call as text, sometimes damaged, or a text that is no call."""
    name, arguments = random_call(draw, desk)
    text = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=draw.random() < 0.5)
    kind = draw.randrange(8)
    if kind == 0:
        text = f"<tool_call>{text}</tool_call>" * draw.randrange(1, 4)
    elif kind == 1:
        text = f"[{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})]"
    elif kind == 2:
        text = text[: draw.randrange(len(text))]
    elif kind == 3:
        text = '{"name": "think", "arguments": {"thought": ' + "[" * draw.choice((5, 500, 20_000))
    elif kind == 4:
        text = '{"name": "calculate", "arguments": {"expression": ' + "9" * draw.choice((50, 5_000, 90_000)) + "}}"
    elif kind == 5:
        place = draw.randrange(len(text))
        text = text[:place] + draw.choice(("<tool_call>", "</tool_call>", "\ud800", "\\", '"', "}")) + text[place:]
    return text


def fuzz_calls(desk: Desk, count: int, seed: int, check: Callable[[str, Mapping[str, Any], Any], None]) -> None:
    """Make ``count`` random calls under both rules. ``check`` gets the name, the arguments and the outcome of each."""
    draw = Random(seed)
    database, rules = Database(desk.initial), "official"
    for number in range(count):
        if number % _FRESH == 0:
            database, rules = Database(desk.initial), draw.choice(("official", "strict"))
        name, arguments = random_call(draw, desk)
        check(name, arguments, desk.call(database, name, arguments, rules))


def _value(draw: Random, desk: Desk, name: str) -> Any:
    if draw.random() < 0.05:
        return draw.choice(_VALUES) if draw.random() < 0.95 else _DEEP
    maker = _MAKERS.get(name)
    return draw.choice(_VALUES) if maker is None else maker(draw, desk)


def _key(table: str) -> Callable[[Random, Desk], Any]:
    def pick(draw: Random, desk: Desk) -> Any:
        keys = desk.initial.derived.setdefault(f"keys of {table}", list(desk.initial.tables.get(table, {"x": {}})))
        return draw.choice(keys)

    return pick


def _payment(draw: Random, desk: Desk) -> Any:
    return draw.choice(list(desk.initial.tables["users"][_key("users")(draw, desk)]["payment_methods"]))


def _items(draw: Random, desk: Desk) -> Any:
    order = desk.initial.tables["orders"][_key("orders")(draw, desk)]
    return [item["item_id"] for item in order["items"]][: draw.randrange(4)]


def _flights(draw: Random, desk: Desk) -> Any:
    return [{"flight_number": _key("flights")(draw, desk), "date": _date(draw, desk)} for _ in range(draw.randrange(3))]


def _date(draw: Random, desk: Desk) -> Any:
    return f"2024-05-{draw.randrange(1, 33):02d}"


def _expression(draw: Random, desk: Desk) -> Any:
    if draw.random() < 0.1:
        return draw.choice(_EXPRESSIONS)
    return "".join(draw.choice("0123456789+-*/(). ") for _ in range(draw.randrange(12)))


_MAKERS: Mapping[str, Callable[[Random, Desk], Any]] = {
    "order_id": _key("orders"),
    "product_id": _key("products"),
    "user_id": _key("users"),
    "reservation_id": _key("reservations"),
    "payment_method_id": _payment,
    "payment_id": _payment,
    "item_ids": _items,
    "new_item_ids": _items,
    "flights": _flights,
    "date": _date,
    "expression": _expression,
    "reason": lambda draw, desk: draw.choice(("no longer needed", "ordered by mistake", "x")),
    "cabin": lambda draw, desk: draw.choice(("basic_economy", "economy", "business", "first")),
    "flight_type": lambda draw, desk: draw.choice(("one_way", "round_trip")),
    "insurance": lambda draw, desk: draw.choice(("yes", "no")),
    "passengers": lambda draw, desk: [
        {"first_name": "A", "last_name": "B", "dob": "1990-01-01"} for _ in range(draw.randrange(4))
    ],
    "payment_methods": lambda draw, desk: [
        {"payment_id": _payment(draw, desk), "amount": draw.randrange(500)} for _ in range(draw.randrange(3))
    ],
    "amount": lambda draw, desk: draw.randrange(500),
    "total_baggages": lambda draw, desk: draw.randrange(6),
    "nonfree_baggages": lambda draw, desk: draw.randrange(6),
    "origin": lambda draw, desk: desk.initial.tables["flights"][_key("flights")(draw, desk)]["origin"],
    "destination": lambda draw, desk: desk.initial.tables["flights"][_key("flights")(draw, desk)]["destination"],
}
