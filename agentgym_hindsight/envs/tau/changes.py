"""What a turn changed in which record, and why a call was refused, in words."""

from __future__ import annotations

from collections.abc import Mapping

from agentgym_hindsight.envs.tau.desk import Outcome
from agentgym_hindsight.envs.tau.store import Database
from agentgym_hindsight.envs.tools import ToolCall
from agentgym_hindsight.envs.tools.changes import record_changes
from agentgym_hindsight.printable import printable_line
from agentgym_hindsight.short_repr import short_repr

__all__ = ["describe_changes", "record_changes", "refusal"]

#: (table, key) → the lines that say what changed.
Changes = Mapping[tuple[str, str], tuple[str, ...]]
_MOST_LINES = 12


def describe_changes(changes: Changes) -> str:
    """The changes of a turn as text; "" if there are none."""
    lines = []
    for (table, key), fields in changes.items():
        shown = list(fields[:_MOST_LINES])
        if len(fields) > len(shown):
            shown.append(f"and {len(fields) - len(shown)} more")
        lines.append(f"{table}/{key} changed: {'; '.join(shown)}.")
    return "\n".join(lines)


def refusal(call: ToolCall, outcome: Outcome, database: Database, names: tuple[str, ...]) -> str:
    """Why a call failed, with the facts that explain it. It is hindsight: the agent does not see these facts."""
    if outcome.raises:
        return f"{call.name} gave no answer: the user already has all certificates that can be sent."
    if outcome.text.startswith("Unknown action"):
        return f"No function is called {short_repr(call.name, 60)}; there are {', '.join(names)}."
    facts = []
    arguments = call.arguments
    for table, argument in (("orders", "order_id"), ("reservations", "reservation_id"), ("users", "user_id")):
        key = arguments.get(argument)
        if table not in database.tables or not isinstance(key, str):
            continue
        record = database.record(table, key)
        if record is None:
            facts.append(f"{table} has no {short_repr(key, 60)}")
        elif "status" in record:
            facts.append(f"{key} has the status {record['status']!r}")
    reason = outcome.text.removeprefix("Error: ")
    return f"{call.name} failed ({printable_line(reason, 200)}){': ' + '; '.join(facts) if facts else ''}."
