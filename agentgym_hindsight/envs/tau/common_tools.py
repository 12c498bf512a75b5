"""The tools that both desks have, and what the others share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from agentgym_hindsight.envs.tau.calculator import calculate
from agentgym_hindsight.envs.tau.store import Database, Record

__all__ = ["COMMON_TOOLS", "ToolFunction", "credit", "details"]

#: A tool: the database, then the arguments in the order of the parameters. None is an answer that is no text.
ToolFunction = Callable[..., "str | None"]


def details(database: Database, table: str, key: Any, missing: str) -> str:
    """A record as JSON. The texts of initial records are kept: they are read again and again."""
    if key not in database[table]:
        return f"Error: {missing}"
    if key in database[table].own:
        return json.dumps(database[table][key])
    texts: dict[tuple[str, Any], str] = database.initial.derived.setdefault("record texts", {})
    place = table, key
    if place not in texts:
        texts[place] = json.dumps(database[table][key])
    return texts[place]


def credit(user: Record, method: str, name: str, amount: Any, *, places: int | None = None) -> None:
    """Add an amount to one of a user's payment methods."""
    record = user["payment_methods"][method]
    record[name] += amount
    if places is not None:
        record[name] = round(record[name], places)


def _calculate(database: Database, expression: Any) -> str:
    return calculate(expression)


def _think(database: Database, thought: Any) -> str:
    return ""


def _transfer(database: Database, summary: Any) -> str:
    return "Transfer successful"


COMMON_TOOLS: Mapping[str, ToolFunction] = {
    "calculate": _calculate,
    "think": _think,
    "transfer_to_human_agents": _transfer,
}
