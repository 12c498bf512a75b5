"""What the end of a task should look like: every change that is wanted, said in a row each; any other is damage.

    goal = Goal(answer=12.5)
    goal.adds("payments_transactions", "Ada gets 12.50", sender=me, receiver=ada, amount=12.5)
    goal.changes("notes_notes", {"id": 7}, "the note is pinned", pinned=True)
    goal.allows("phone_messages", "read")

A value may be a function of the value: ``text=containing("tea")``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from agentgym_hindsight.envs.appworld.miniature.delta import Change, TableDelta
from agentgym_hindsight.errors import UsageError

__all__ = ["NO_ANSWER", "Goal", "Wanted", "containing", "one_of", "same_items", "same_text"]

#: The answer of a task that asks for a deed: nothing, or whatever the agent likes to say.
NO_ANSWER = object()

_KINDS = ("added", "removed", "changed")


class Wanted(NamedTuple):
    """One row that should be there, gone, or other than before."""

    kind: str
    table: str
    requirement: str
    where: Mapping[str, Any]  # which row: the added or removed one, or the changed one as it was
    values: Mapping[str, Any]  # what a changed row should hold now; columns not named here have to stay
    loose: frozenset[str] = frozenset()  # columns that may change besides

    def fits(self, row: Any) -> bool:
        """Whether this row of a delta is the one."""
        if self.kind != "changed":
            return _fits(row, self.where)
        change: Change = row
        return (
            _fits(change.before, self.where)
            and _fits(change.after, self.values)
            and {*change.columns} <= {*self.values} | self.loose
        )


class Goal:
    """The wanted changes, the free ones and the answer."""

    def __init__(self, answer: Any = NO_ANSWER) -> None:
        self.answer = answer
        self.wanted: list[Wanted] = []
        self.allowed: dict[str, frozenset[str]] = {}

    def adds(self, table: str, requirement: str, **values: Any) -> Goal:
        """A row with these values is new."""
        return self._want("added", table, requirement, values, {})

    def removes(self, table: str, requirement: str, **where: Any) -> Goal:
        """The row with these values is gone."""
        return self._want("removed", table, requirement, where, {})

    def changes(
        self, table: str, where: Mapping[str, Any], requirement: str, *, loose: tuple[str, ...] = (), **values: Any
    ) -> Goal:
        """The row that was so holds these values now, and is otherwise (but for ``loose`` columns) as it was."""
        if not values:
            raise UsageError(f"Expected what changes in {table}, got nothing; try column=value.")
        return self._want("changed", table, requirement, where, values, frozenset(loose))

    def allows(self, table: str, *columns: str) -> Goal:
        """Changes of these columns alone are nobody's business: whether a message was marked as read, say."""
        if not columns:
            raise UsageError(f"Expected columns of {table} that may change, got none.")
        self.allowed[table] = self.allowed.get(table, frozenset()) | {*columns}
        return self

    def _want(
        self,
        kind: str,
        table: str,
        requirement: str,
        where: Mapping[str, Any],
        values: Mapping[str, Any],
        loose: frozenset[str] = frozenset(),
    ) -> Goal:
        if not where:
            raise UsageError(f"Expected values that tell the row of {table}, got none; try id=….")
        self.wanted.append(Wanted(kind, table, requirement, dict(where), dict(values), loose))
        return self

    def free(self, table: str, part: TableDelta) -> TableDelta:
        """The changes of a table without those that nobody minds."""
        free = self.allowed.get(table)
        if not free:
            return part
        return part._replace(changed=tuple(change for change in part.changed if not {*change.columns} <= free))


def _fits(row: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(_equal(row[column], value) for column, value in wanted.items())


def _equal(found: Any, wanted: Any) -> bool:
    if callable(wanted):
        return bool(wanted(found))
    if isinstance(wanted, float) and isinstance(found, (int, float)) and not isinstance(found, bool):
        return abs(found - wanted) < 0.005  # money: half a cent
    return bool(found == wanted) and isinstance(found, bool) == isinstance(wanted, bool)


def containing(*parts: str) -> Callable[[Any], bool]:
    """A text with all these parts in it, whatever their case.

    >>> containing("tea", "Milk")("Milk and Tea")
    True
    """
    return lambda value: isinstance(value, str) and all(part.casefold() in value.casefold() for part in parts)


def same_text(wanted: str) -> Callable[[Any], bool]:
    """The same words, whatever their case, blanks and full stop.

    >>> same_text("See you at 8.")("see you  at 8")
    True
    """
    return lambda value: isinstance(value, str) and _plain(value) == _plain(wanted)


def same_items(*wanted: Any) -> Callable[[Any], bool]:
    """A list of just these, in whatever order.

    >>> same_items("a", "b")(["b", "a"]), same_items("a")(["a", "a"])
    (True, False)
    """
    return lambda value: isinstance(value, (list, tuple)) and sorted(map(repr, value)) == sorted(map(repr, wanted))


def one_of(*wanted: Any) -> Callable[[Any], bool]:
    """Any of these.

    >>> one_of(1, 2)(2), one_of(1, 2)(3)
    (True, False)
    """
    return lambda value: any(_equal(value, each) for each in wanted)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".!")
