"""The state of an episode in a snapshot, and its check when it comes from JSON."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

from agentgym_hindsight.envs.appworld.miniature.database import Database, Entries
from agentgym_hindsight.envs.appworld.miniature.hamlet import SCHEMA
from agentgym_hindsight.envs.appworld.miniature.tasks import Made
from agentgym_hindsight.envs.appworld.sandbox.interpreter_state import InterpreterState, received_state
from agentgym_hindsight.envs.appworld.sandbox.limits import KINDS
from agentgym_hindsight.envs.plain_values import flag, reject, row, text, texts, whole

__all__ = ["SAVED_FACTS", "Saved", "decoded"]

#: The facts of a turn that depend on it alone.
SAVED_FACTS = ("error", "replaced", "calls", "changes", "evaluation")

#: Changed rows; the interpreter; the number of turns left of the reference solution; the facts of the last turn.
Saved = tuple[Entries, InterpreterState, int, tuple[Any, ...]]


def decoded(made: Made, value: Any) -> Saved:
    """A saved state from JSON."""
    rows, interpreter, remaining, facts = row(value, "world", 4)
    data, lost = row(interpreter, "world.interpreter", 2)
    error, replaced, calls, changes, evaluation = row(facts, "world.facts", 5)
    if error not in KINDS:
        reject(f"one of {', '.join(KINDS)}", error, "world.facts")
    with closing(Database(SCHEMA)) as database:
        entries = database.decoded(rows)
    return (
        entries,
        _interpreter(text(data, "world.interpreter"), texts(lost, "world.interpreter")),
        whole(remaining, "world.remaining", 0, len(made.job.solution) + 1),
        (
            error,
            flag(replaced, "world.facts"),
            whole(calls, "world.facts", 0, 2**31),
            text(changes, "world.facts"),
            text(evaluation, "world.facts"),
        ),
    )


def _interpreter(data: str, lost: tuple[str, ...]) -> InterpreterState:
    if not data:
        return InterpreterState("", lost)
    try:
        state = json.loads(data)
    except (ValueError, RecursionError):
        reject("JSON", data, "world.interpreter")
    return received_state({**state, "lost": list(lost)} if isinstance(state, dict) else state)
