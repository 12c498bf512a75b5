"""The changes in a world since its snapshot, as an immutable value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from agentgym_hindsight.envs.appworld.miniature.schema import Raw, Row, Schema

__all__ = ["Change", "Delta", "TableDelta"]

_SHOWN = 3  # rows of each table and kind of change that a summary spells out
_LONGEST = 60  # characters of a value in a summary


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


_NOTHING = TableDelta()


class Delta(Mapping[str, TableDelta]):
    """Changes by table. Iteration lists the changed tables; indexing any other table gives an empty ``TableDelta``.

    Two deltas are equal if and only if the same rows differ from the snapshot in the same way.
    """

    __slots__ = ("_tables", "entries")

    def __init__(self, entries: tuple[tuple[str, Raw, Raw | None, Raw | None], ...], schema: Schema) -> None:
        self.entries = entries
        found: dict[str, tuple[list[Row], list[Row], list[Change]]] = {}
        for name, _, before, after in entries:
            decode = schema[name].decode
            added, removed, changed = found.setdefault(name, ([], [], []))
            if before is None and after is not None:
                added.append(decode(after))
            elif after is None and before is not None:
                removed.append(decode(before))
            elif before is not None and after is not None:
                changed.append(Change(decode(before), decode(after)))
        self._tables = {
            name: TableDelta(tuple(added), tuple(removed), tuple(changed))
            for name, (added, removed, changed) in found.items()
        }

    def __getitem__(self, table: str) -> TableDelta:
        return self._tables.get(table, _NOTHING)

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
    for count, what, rows in (
        (len(part.added), "added", [_row(row) for row in part.added[:_SHOWN]]),
        (len(part.removed), "removed", [_row(row) for row in part.removed[:_SHOWN]]),
        (len(part.changed), "changed", [_change(change) for change in part.changed[:_SHOWN]]),
    ):
        if count:
            more = f"; and {count - _SHOWN} more" if count > _SHOWN else ""
            parts.append(f"{count} {what} ({'; '.join(rows)}{more})")
    return ", ".join(parts)


def _row(row: Row) -> str:
    return ", ".join(f"{column}={_short(value)}" for column, value in row.items())


def _change(change: Change) -> str:
    key = next(iter(change.before.items()))
    moved = [f"{name} {_short(change.before[name])} → {_short(change.after[name])}" for name in change.columns]
    return f"{key[0]}={_short(key[1])}: {', '.join(moved)}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
