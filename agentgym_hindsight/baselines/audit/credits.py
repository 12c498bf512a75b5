"""What methods that need no model say of the turns of an audit: their credit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from agentgym_hindsight.baselines.audit.turn_table import ANCHORS, SAYS, TurnTable
from agentgym_hindsight.baselines.methods import RECIPES, recipe
from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.methods.recorded import credit_per_turn
from agentgym_hindsight.baselines.methods.rows import Array, Rows
from agentgym_hindsight.errors import UsageError

__all__ = ["add_credits", "credit_methods", "credit_names", "credits_of", "own_credit"]


def credit_methods() -> dict[str, Method]:
    """The methods whose advantages need no model; as in ``agh credit``, invalid actions have no penalty."""
    found = {name: recipe(name) for name in RECIPES}
    return {
        name: method.changed(penalty=0.0) if hasattr(method.credit, "penalty") else method
        for name, method in found.items()
        if not method.needs_model and not method.replaces_rollouts  # a credit is not what makes the latter differ
    }


def credits_of(table: TurnTable, methods: Mapping[str, Method]) -> dict[str, Array]:
    """The credit of every turn: ``NAME@ANCHOR`` for each kind of anchor, or ``NAME`` if it does not use anchors."""
    columns = {kind: table.as_rows(kind) for kind in ANCHORS}
    result: dict[str, Array] = {}
    for name, method in methods.items():
        kinds = ANCHORS if _uses_anchors(method) else ANCHORS[:1]
        for kind in kinds:
            values = credit_per_turn(name, method.credit(columns[kind]), len(table))
            result[f"{name}@{kind}" if len(kinds) > 1 else name] = np.asarray(values, np.float64)
    return result


def _uses_anchors(method: Method) -> bool:
    """Whether two rollouts get other credit if they meet in one state."""
    apart, together = (
        Rows(
            group=np.zeros(4, np.int64),
            trajectory=np.array([0, 0, 1, 1]),
            place=np.array([0, 1, 0, 1]),
            returns=np.array([10.0, 10.0, 0.0, 0.0]),
            rewards=np.array([0.0, 10.0, 0.0, 0.0]),
            invalid=np.zeros(4, bool),
            anchors=anchors,
            actions=("a", "b", "c", "d"),
            next_anchors=("e", "f", "g", "h"),
            won=np.array([True, True, False, False]),
        )
        for anchors in (("s", "t", "v", "u"), ("s", "t", "s", "u"))
    )
    return not np.array_equal(np.asarray(method.credit(apart)), np.asarray(method.credit(together)))


def add_credits(table: TurnTable) -> TurnTable:
    """The table with a column for the credit of each method."""
    for name, values in credits_of(table, credit_methods()).items():
        table = table.with_column(SAYS + name, values)
    return table


def credit_names(table: TurnTable) -> list[str]:
    """The columns of the table that are credits of methods without a model."""
    methods = credit_methods()
    return [name for name in table.names(SAYS) if name.partition("@")[0] in methods]


def own_credit(table: TurnTable, credit: Callable[[Rows], Any], anchor: str, name: str = "credit") -> Array:
    """The credit that a function of a group's rows gives to every turn of the table."""
    if not callable(credit):
        raise UsageError(f"Expected a function of rows as {name}, got {type(credit).__name__}; try def credit(rows): …")
    rows = table.as_rows(anchor)
    values = np.asarray(credit_per_turn(name, credit(rows), len(rows)), np.float64)
    if not np.isfinite(values).all():
        raise UsageError(f"Expected finite numbers from {name}, got NaN or infinity; try 0 for turns without credit.")
    return values
