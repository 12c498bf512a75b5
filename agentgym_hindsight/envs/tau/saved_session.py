"""A conversation in a snapshot, and its check when it comes from JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from agentgym_hindsight.envs.plain_values import flag, mapping, reject, row, text
from agentgym_hindsight.envs.tau.store import InitialState
from agentgym_hindsight.envs.tools.literals import MOST_DEPTH

__all__ = ["SavedSession", "decoded_session"]

#: The changed records as (table, key, JSON); the agent's actions as (name, arguments); the state of the user; whether
#: the conversation has ended; whether the verdict was given.
SavedSession = tuple[
    tuple[tuple[str, str, str], ...],
    tuple[tuple[str, Mapping[str, Any]], ...],
    Any,
    bool,
    bool,
]

_MOST_DEPTH = MOST_DEPTH + 8  # arguments become parts of records


def decoded_session(initial: InitialState, value: Any) -> tuple[Any, ...]:
    """A saved conversation from JSON. The state of the user is left for the user to check."""
    records, actions, user, done, judged = row(value, "world.session", 5)
    return (
        tuple(_record(initial, entry) for entry in row(records, "world.records")),
        tuple(
            (text(name, "world.actions"), _shallow(mapping(arguments, "world.actions"), "world.actions"))
            for name, arguments in (row(entry, "world.actions", 2) for entry in row(actions, "world.actions"))
        ),
        user,
        flag(done, "world.done"),
        flag(judged, "world.judged"),
    )


def _record(initial: InitialState, value: Any) -> tuple[str, str, str]:
    table, key, written = (text(part, "world.records") for part in row(value, "world.records", 3))
    if table not in initial.tables:
        reject(f"one of the tables {', '.join(initial.tables)}", table, "world.records")
    try:
        record = json.loads(written)
    except (ValueError, RecursionError):
        reject("a record as JSON", written, "world.records")
    _shallow(mapping(record, "world.records"), "world.records")
    return table, key, written


def _shallow(value: dict[str, Any], where: str) -> dict[str, Any]:
    """The value, if it is not nested deeper than what calls can write."""
    level: list[Any] = [value]
    for _ in range(_MOST_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return value if not level else reject(f"at most {_MOST_DEPTH} levels", value, where)
