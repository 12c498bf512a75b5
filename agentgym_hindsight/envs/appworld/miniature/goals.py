"""The required final state of a task: one requirement for each wanted change. Any other change is damage.

    goal = Goal(answer=12.5)
    goal.adds("payments_transactions", "Ada gets 12.50", sender=me, receiver=ada, amount=12.5)
    goal.changes("notes_notes", {"id": 7}, "the note is pinned", pinned=True)
    goal.allows("phone_messages", "read")

A value can be a predicate: ``text=same_text("See you at 8.")``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from agentgym_hindsight.envs.appworld.miniature.delta import Change, TableDelta
from agentgym_hindsight.errors import UsageError

__all__ = ["NO_ANSWER", "Goal", "Wanted", "same_text"]

#: The answer of a task that asks no question. The agent's answer, if any, is not checked.
NO_ANSWER = object()

_KINDS = ("added", "removed", "changed")


class Wanted(NamedTuple):
    """One row that must be added, removed or changed."""

    kind: str
    table: str
    requirement: str
    where: Mapping[str, Any]  # values of the added or removed row, or of the changed row before the change
    values: Mapping[str, Any]  # values of a changed row after the change; other columns must stay the same
    loose: frozenset[str] = frozenset()  # columns of the row that may also change
    derived: bool = False  # the values follow from rows of other tables, such as a balance from payments

    def fits(self, row: Any) -> bool:
        """Return whether a row (or :class:`Change`) of a delta meets this requirement."""
        if self.kind != "changed":
            return _fits(row, self.where)
        change: Change = row
        return (
            _fits(change.before, self.where)
            and _fits(change.after, self.values)
            and {*change.columns} <= {*self.values} | self.loose
        )

    def begins(self, row: Any) -> bool:
        """Return whether a changed row has derived values on the way to the wanted ones.

        This is unfinished work and no damage. What the values are derived from is checked in its own table.
        """
        return self.derived and _fits(row.before, self.where) and {*row.columns} <= {*self.values}


class Goal:
    """The wanted changes, the allowed changes and the answer."""

    def __init__(self, answer: Any = NO_ANSWER) -> None:
        self.answer = answer
        self.wanted: list[Wanted] = []
        self.allowed: dict[str, frozenset[str]] = {}

    def adds(self, table: str, requirement: str, **values: Any) -> Goal:
        """Require a new row with these values."""
        return self._require("added", table, requirement, values, {})

    def removes(self, table: str, requirement: str, **where: Any) -> Goal:
        """Require that the row with these values is removed."""
        return self._require("removed", table, requirement, where, {})

    def changes(
        self,
        table: str,
        where: Mapping[str, Any],
        requirement: str,
        *,
        loose: tuple[str, ...] = (),
        derived: bool = False,
        **values: Any,
    ) -> Goal:
        """Require new values in the row that matched ``where``. Only these and the ``loose`` columns may change.

        ``derived``: the values follow from rows of other tables. Other values then miss the requirement, but are not
        damage.
        """
        if not values:
            raise UsageError(f"Expected new values of a row of {table}, got none; try column=value.")
        return self._require("changed", table, requirement, where, values, frozenset(loose), derived)

    def allows(self, table: str, *columns: str) -> Goal:
        """Allow changed rows that differ in these columns only, such as whether a message is marked as read."""
        if not columns:
            raise UsageError(f"Expected columns of {table} that may change, got none; try allows({table!r}, 'read').")
        self.allowed[table] = self.allowed.get(table, frozenset()) | {*columns}
        return self

    def _require(
        self,
        kind: str,
        table: str,
        requirement: str,
        where: Mapping[str, Any],
        values: Mapping[str, Any],
        loose: frozenset[str] = frozenset(),
        derived: bool = False,
    ) -> Goal:
        if not where:
            raise UsageError(f"Expected values that identify the row of {table}, got none; try id=….")
        self.wanted.append(Wanted(kind, table, requirement, dict(where), dict(values), loose, derived))
        return self

    def without_allowed(self, table: str, part: TableDelta) -> TableDelta:
        """Return the changes of a table without the allowed ones."""
        allowed = self.allowed.get(table)
        if not allowed:
            return part
        return part._replace(changed=tuple(change for change in part.changed if not {*change.columns} <= allowed))


def _fits(row: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(_equal(row[column], value) for column, value in wanted.items())


def _equal(value: Any, wanted: Any) -> bool:
    if callable(wanted):
        return bool(wanted(value))
    if isinstance(wanted, float) and isinstance(value, (int, float)) and not isinstance(value, bool):
        return abs(value - wanted) < 0.005  # money: half a cent
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)


def same_text(wanted: str) -> Callable[[Any], bool]:
    """Return a predicate: the same words, ignoring case, blanks and a final full stop or exclamation mark.

    >>> same_text("See you at 8.")("see you  at 8")
    True
    """
    return lambda value: isinstance(value, str) and _plain(value) == _plain(wanted)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".!")
