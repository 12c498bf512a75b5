"""Copy-on-write records: the hash, the delta, the anchor, and the initial state that nothing changes."""

from __future__ import annotations

import copy
import time
from hashlib import sha256
from typing import Any

import pytest

from agentgym_hindsight.envs.tau.binding import ArgumentsError, bind
from agentgym_hindsight.envs.tau.store import Database, InitialState

TABLES: dict[str, dict[str, dict[str, Any]]] = {
    "users": {"b": {"n": 1, "tags": ["x"]}, "a": {"n": 2.0, "é": None}},
    "orders": {"#1": {"status": "pending", "items": []}},
}


def plain_hash(tables: Any) -> str:
    """The documented hash, without any caching."""

    def converted(value: Any) -> Any:
        if isinstance(value, dict):
            return tuple(sorted((key, converted(inner)) for key, inner in value.items()))
        if isinstance(value, list):
            return tuple(converted(inner) for inner in value)
        return value

    return sha256(str(converted(tables)).encode()).hexdigest()


@pytest.fixture
def initial() -> InitialState:
    return InitialState(copy.deepcopy(TABLES))


def test_the_hash_of_the_initial_state(initial: InitialState) -> None:
    assert initial.hash == plain_hash(TABLES)


def test_edits_change_the_hash_and_the_anchor_and_not_the_initial_state(initial: InitialState) -> None:
    database, other = Database(initial), Database(initial)
    start = database.anchor
    database["users"].edit("b")["tags"].append("y")
    database["users"].insert("c", {"n": True})
    expected = copy.deepcopy(TABLES)
    expected["users"]["b"]["tags"].append("y")
    expected["users"]["c"] = {"n": True}
    assert database.hash() == plain_hash(expected)
    assert set(database.delta) == {("users", "b"), ("users", "c")}
    assert database.anchor != start == other.anchor
    assert other.hash() == initial.hash == plain_hash(initial.tables) == plain_hash(TABLES)
    assert list(database["users"]) == ["b", "a", "c"]
    assert len(database["users"]) == 3


def test_an_undone_change_is_no_change(initial: InitialState) -> None:
    database = Database(initial)
    start = database.anchor
    record = database["orders"].edit("#1")
    record["status"] = "cancelled"
    assert database.anchor != start
    database["orders"].edit("#1")["status"] = "pending"
    assert database.anchor == start
    assert database.hash() == initial.hash


def test_numbers_of_other_types_are_other_states(initial: InitialState) -> None:
    states = set()
    for value in (1, 1.0, True):
        database = Database(initial)
        database["users"].edit("b")["n"] = value
        states.add((database.hash(), database.anchor))
    assert len(states) == 3


def test_half_characters_can_be_hashed(initial: InitialState) -> None:
    database = Database(initial)
    database["users"].edit("b")["n"] = "\ud800"
    assert database.hash() != initial.hash
    assert database.anchor


def test_the_anchor_of_an_unchanged_state_costs_almost_nothing(initial: InitialState) -> None:
    database = Database(initial)
    started = time.process_time()
    for _ in range(10_000):
        _ = database.anchor
    assert (time.process_time() - started) / 10_000 < 1e-4


class Tool:
    @staticmethod
    def invoke(data: Any, one: Any, two: Any, three: Any) -> None:
        """A method with the parameters of a tool, whose errors Python words."""


@pytest.mark.parametrize(
    "arguments",
    [{}, {"one": 1}, {"one": 1, "two": 2}, {"one": 1, "two": 2, "three": 3, "four": 4}, {"self": 1}, {"a": 1, "b": 2}],
)
def test_errors_of_arguments_are_pythons(arguments: dict[str, Any]) -> None:
    with pytest.raises(TypeError) as expected:
        Tool.invoke(data=None, **arguments)
    with pytest.raises(ArgumentsError) as raised:
        bind("tool", "retail", ("one", "two", "three"), arguments)
    assert str(expected.value).startswith(str(raised.value))  # Python 3.13 proposes another name


def test_the_database_is_no_argument() -> None:
    with pytest.raises(ArgumentsError, match=r"^tau_bench\.envs\.airline\.tools\.think\.Think\.invoke\(\) got"):
        bind("think", "airline", ("thought",), {"thought": "", "data": 1})
