"""One conversation in the embedded world."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial

from agentgym_hindsight.envs.bfcl.embedded.apis import FUNCTIONS
from agentgym_hindsight.envs.bfcl.embedded.functions import call_function
from agentgym_hindsight.envs.bfcl.embedded.records import Records
from agentgym_hindsight.envs.bfcl.embedded.tasks import MadeTask, Wanted
from agentgym_hindsight.envs.bfcl.world import ApiTask, CallResult, TurnCheck
from agentgym_hindsight.envs.tools import ToolCall
from agentgym_hindsight.envs.tools.changes import record_changes
from agentgym_hindsight.short_repr import short_repr

__all__ = ["EmbeddedEpisode"]

_MOST_LINES, _MOST_TEXT = 20, 300


class EmbeddedEpisode:
    """The world of a task, its turns and their checks."""

    def __init__(self, made: MadeTask) -> None:
        self.task: ApiTask = made.task
        self._made = made
        self._records = Records(made.tables)
        self._turn = 0
        self._calls = 0
        self._seen: set[str] = set()
        self._offer()

    def _offer(self) -> None:
        shown = self._made.offered[min(self._turn, len(self._made.offered) - 1)]
        self._functions = {name: FUNCTIONS[name] for name in shown}

    def call(self, call: ToolCall) -> CallResult:
        """Call a function that is offered in this turn."""
        self._calls += 1
        result = call_function(self._records, self._functions, call)
        if not result.error:
            self._seen.add(result.text)
        return result

    def end_turn(self) -> TurnCheck:
        """Check the turn: the calls, then the public records, then the results that the user asked for."""
        turn = min(self._turn, len(self._made.wanted) - 1)
        calls, wanted, reference = self._calls, self._made.wanted[turn], self.task.reference[turn]
        self._calls = 0
        self._turn += 1
        self._offer()
        if not reference:
            if calls:
                message = f"{calls} call{'s were' if calls > 1 else ' was'} made in a turn in which none is right."
                return TurnCheck(False, "call_in_empty_turn", message, _NOTHING)
            return TurnCheck(True)
        if not calls:
            return TurnCheck(False, "no_calls", "No function was called in this turn.", partial(_reference, reference))
        delta = self._records.public_delta()
        if delta != wanted.delta:
            count = len(_different(delta, wanted))
            message = f"{count} record{'s differ' if count > 1 else ' differs'} from what the user wanted."
            return TurnCheck(False, "wrong_state", message, partial(_differences, self._records, delta, wanted))
        missing = [text for text in wanted.needed if text not in self._seen]
        if missing:
            message = f"{len(missing)} result{'s' if len(missing) > 1 else ''} that the user asked for did not come up."
            return TurnCheck(False, "missing_result", message, partial(_missing, missing))
        return TurnCheck(True)

    @property
    def state_key(self) -> str:
        """A hash of the records, private ones included."""
        return self._records.key

    def take_changes(self) -> str | Callable[[], str]:
        """What changed since the last time."""
        recent = self._records.take_recent()
        return partial(_changes, recent) if recent else ""


_NOTHING = "The user's wish cannot be fulfilled yet: something is missing that comes in the next turn."


def _reference(reference: Sequence[ToolCall]) -> str:
    return "Wanted calls: " + "; ".join(
        f"{call.name}({', '.join(f'{name}={short_repr(value, 120)}' for name, value in call.arguments.items())})"
        for call in reference[:_MOST_LINES]
    )


def _different(delta: dict[tuple[str, str], str], wanted: Wanted) -> list[tuple[str, str]]:
    places = sorted({*delta, *wanted.delta})
    return [place for place in places if delta.get(place) != wanted.delta.get(place)]


def _differences(records: Records, delta: dict[tuple[str, str], str], wanted: Wanted) -> str:
    lines = []
    for table, key in _different(delta, wanted)[:_MOST_LINES]:
        initial = records.initial_text(table, key)  # never changes
        have, want = delta.get((table, key), initial), wanted.delta.get((table, key), initial)
        lines.append(f"{table}/{key} is not as wanted: {_change(have, want)}")
    return "\n".join(lines)


def _missing(missing: Sequence[str]) -> str:
    return "\n".join(f"Not seen: {_text(text)}" for text in missing)


def _changes(recent: Sequence[tuple[str, str, str, str]]) -> str:
    lines = [
        f"{table.lstrip('_')}/{key} changed: {_change(before, after)}"
        for table, key, before, after in recent[:_MOST_LINES]
    ]
    if len(recent) > _MOST_LINES:
        lines.append(f"and {len(recent) - _MOST_LINES} more records")
    return "\n".join(lines)


def _change(before: str, after: str) -> str:
    """The fields that differ between the texts of two states of a record."""
    if before and after:
        return "; ".join(record_changes(json.loads(before), json.loads(after)))
    return f"{_text(before)} → {_text(after)}"


def _text(record: str) -> str:
    if not record:
        return "nothing"
    return record if len(record) <= _MOST_TEXT else f"{record[: _MOST_TEXT - 1]}…"
