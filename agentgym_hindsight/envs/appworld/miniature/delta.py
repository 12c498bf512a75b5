"""The changes in a world since its snapshot, as an immutable value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from agentgym_hindsight.envs.appworld.miniature.schema import Raw, Row, Schema

__all__ = ["Change", "Delta", "TableDelta"]

_MAX_ROWS = 3  # rows of each table and kind of change that a summary spells out
_MAX_VALUE_LENGTH = 60  # characters of a value in a summary


class Change(NamedTuple):
    """A row that differs from the snapshot."""

    before: Row
    after: Row

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that differ."""
        return tuple(column for column in self.before if self.before[column] != self.after[column])


class TableDelta(NamedTuple):
    """The changes in one table, each list ordered by key."""

    added: tuple[Row, ...] = ()
    removed: tuple[Row, ...] = ()
    changed: tuple[Change, ...] = ()


_NO_CHANGES = TableDelta()


class Delta(Mapping[str, TableDelta]):
    """Changes by table. Iteration lists the changed tables; indexing any other table gives an empty ``TableDelta``.

    Two deltas are equal if and only if the same rows differ from the snapshot in the same way.
    """

    __slots__ = ("_tables", "entries")

    def __init__(self, entries: tuple[tuple[str, Raw, Raw | None, Raw | None], ...], schema: Schema) -> None:
        self.entries = entries
        lists: dict[str, tuple[list[Row], list[Row], list[Change]]] = {}
        for name, _, before, after in entries:
            decode = schema[name].decode
            added, removed, changed = lists.setdefault(name, ([], [], []))
            if before is None and after is not None:
                added.append(decode(after))
            elif after is None and before is not None:
                removed.append(decode(before))
            elif before is not None and after is not None:
                changed.append(Change(decode(before), decode(after)))
        self._tables = {
            name: TableDelta(tuple(added), tuple(removed), tuple(changed))
            for name, (added, removed, changed) in lists.items()
        }

    def __getitem__(self, table: str) -> TableDelta:
        return self._tables.get(table, _NO_CHANGES)

    def __contains__(self, table: object) -> bool:
        return table in self._tables

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Delta) and self.entries == other.entries

    def __hash__(self) -> int:
        return hash(self.entries)

    def __repr__(self) -> str:
        return f"Delta({self.summary()})"

    def summary(self) -> str:
        """The changes in words, one line per table, with bounded length."""
        return "\n".join(f"{name}: {_table_text(part)}" for name, part in self._tables.items()) or "nothing changed"


def _table_text(part: TableDelta) -> str:
    parts = []
    for count, kind, rows in (
        (len(part.added), "added", [_row(row) for row in part.added[:_MAX_ROWS]]),
        (len(part.removed), "removed", [_row(row) for row in part.removed[:_MAX_ROWS]]),
        (len(part.changed), "changed", [_change(change) for change in part.changed[:_MAX_ROWS]]),
    ):
        if count:
            more = f"; and {count - _MAX_ROWS} more" if count > _MAX_ROWS else ""
            parts.append(f"{count} {kind} ({'; '.join(rows)}{more})")
    return ", ".join(parts)


def _row(row: Row) -> str:
    return ", ".join(f"{column}={_short(value)}" for column, value in row.items())


def _change(change: Change) -> str:
    key = next(iter(change.before.items()))
    columns = [f"{name} {_short(change.before[name])} → {_short(change.after[name])}" for name in change.columns]
    return f"{key[0]}={_short(key[1])}: {', '.join(columns)}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_VALUE_LENGTH else f"{text[:_MAX_VALUE_LENGTH]}…"
