"""The data of a world: SQLite in memory, a snapshot, and an exact record of the changes since the snapshot.

An episode is one open transaction, and a reset is its rollback: its cost depends on what was written, not on what is
stored. Every write passes through :meth:`Database.insert`, :meth:`~Database.update` or :meth:`~Database.delete`. They
record each row's first and last state, and drop the record of a row that has its first state again. The key of the
state is a sum of one hash for each changed row. It does not depend on the order of the writes, and each write updates
it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from agentgym_hindsight.envs.appworld.miniature.delta import Delta
from agentgym_hindsight.envs.appworld.miniature.schema import Raw, Row, Schema, Table
from agentgym_hindsight.envs.plain_values import reject, row, text
from agentgym_hindsight.errors import UnknownNameError, UsageError

__all__ = ["Database", "Entries", "Frozen", "FullError", "Key"]

#: What identifies a row: its id, its natural key, or the row itself.
Key = int | str | tuple[Any, ...] | Row

#: Limit of the bytes of changed rows in one episode: much more than a task needs, much less than a host has.
CAPACITY = 4_000_000
_MODULUS = 2**128


#: Rows that differ from the snapshot: table, key, and the row; None if it was removed.
Entries = tuple[tuple[str, Raw, "Raw | None"], ...]


class FullError(Exception):
    """An episode wrote more than ``CAPACITY`` bytes."""


class Frozen:
    """An immutable snapshot of a world's data, which any number of databases can share."""

    __slots__ = ("_data",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._data: bytes | sqlite3.Connection
        if hasattr(connection, "serialize"):
            self._data = connection.serialize()
        else:  # Python 3.10
            self._data = sqlite3.connect(":memory:", check_same_thread=False)
            connection.backup(self._data)

    def __del__(self) -> None:
        if not isinstance(self._data, bytes):
            self._data.close()

    def open_copy(self) -> sqlite3.Connection:
        """Open a separate database with this data."""
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        if isinstance(self._data, bytes):
            connection.deserialize(self._data)  # type: ignore[attr-defined,unused-ignore]  # Python 3.11
        else:
            self._data.backup(connection)
        return connection

    @property
    def size(self) -> int:
        """The size in bytes."""
        if isinstance(self._data, bytes):
            return len(self._data)
        pages, size = (self._data.execute(f"PRAGMA {setting}").fetchone()[0] for setting in ("page_count", "page_size"))
        return int(pages * size)


@lru_cache(maxsize=8)  # one per schema; parsing the statements takes a sixth of the time in which a world is filled
def _empty(create_sql: tuple[str, ...]) -> Frozen:
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    with closing(connection):
        connection.execute("PRAGMA page_size = 1024")  # small pages, because most tables are small
        for statement in create_sql:
            connection.execute(statement)
        return Frozen(connection)


class Database:
    """Rows by table. Everything written before :meth:`seal` is part of the snapshot."""

    def __init__(self, schema: Schema, frozen: Frozen | None = None) -> None:
        self.schema = schema
        #: Before seal(): the highest id of a table, where it is known, and the rows that are not stored yet.
        self._last_ids: dict[str, int] = {}
        self._waiting: dict[str, list[Raw]] = {}
        if frozen is None:
            frozen = _empty(tuple(table.create_sql for table in schema.values()))
            self._last_ids = dict.fromkeys(schema, 0)
        self._connection = frozen.open_copy()
        self.now = ""
        self.read_only = False
        self._sealed = False
        self._changes: dict[tuple[str, Raw], tuple[Raw | None, Raw | None]] = {}
        self._sum = 0
        self._volume = 0
        self._highest: dict[str, int] = {}
        self._connection.execute("BEGIN")

    # -- the snapshot -------------------------------------------------------------------------------------------

    def seal(self) -> None:
        """Make the current data the snapshot."""
        self._store_waiting()
        self._connection.execute("COMMIT")
        self._connection.execute("BEGIN")
        self._sealed = True
        self._highest.clear()
        self._last_ids.clear()
        self._clear_changes()

    def reset(self) -> None:
        """Return to the snapshot."""
        self._waiting.clear()
        self._connection.execute("ROLLBACK")
        self._connection.execute("BEGIN")
        self._last_ids.clear()
        self._clear_changes()

    def freeze(self) -> Frozen:
        """Return the snapshot as a value. There must be no changes since."""
        if not self._sealed or self._changes:
            raise UsageError("Expected a sealed world without changes, got an unsealed or changed one; try reset().")
        self._connection.execute("COMMIT")  # serialize() needs a database without an open transaction
        frozen = Frozen(self._connection)
        self._connection.execute("BEGIN")
        return frozen

    def _clear_changes(self) -> None:
        self._changes.clear()
        self._sum = self._volume = 0

    def close(self) -> None:
        """Free the memory."""
        self._connection.close()

    def __del__(self) -> None:
        if hasattr(self, "_connection"):  # Python 3.13 warns if a connection is dropped while open
            self._connection.close()

    # -- reading ------------------------------------------------------------------------------------------------

    def rows(self, name: str, /, **where: Any) -> list[Row]:
        """Return the rows whose columns equal the given values, ordered by key."""
        table = self.table(name)
        if where:
            for column in where:
                table.require_column(column)
            test = " AND ".join(f"{column} IS ?" for column in where)  # IS: None finds NULL
            sql = f"{table.select_sql} WHERE {test}{table.order_sql}"
            values = [table.encoded(column, value) for column, value in where.items()]
        else:
            sql, values = table.select_sql + table.order_sql, []
        self._store_waiting()
        return [table.decode(raw) for raw in self._connection.execute(sql, values)]

    def raw_rows(self, name: str) -> list[Raw]:
        """Return all rows as they are stored, ordered by key."""
        table = self.table(name)
        self._store_waiting()
        return self._connection.execute(table.select_sql + table.order_sql).fetchall()

    def find(self, name: str, /, **where: Any) -> Row | None:
        """Return the first matching row, or None."""
        return next(iter(self.rows(name, **where)), None)

    def row(self, name: str, /, **where: Any) -> Row:
        """Return the only matching row. No match, or several, is an error."""
        rows = self.rows(name, **where)
        if len(rows) != 1:
            raise UsageError(f"Expected one row in {name} with {where}, got {len(rows)}; try rows() or find().")
        return rows[0]

    def highest(self, name: str, column: str) -> int:
        """Return the largest value of a column of whole numbers, or 0 if the table is empty."""
        table = self.table(name)
        table.require_column(column)
        self._store_waiting()
        return int(self._connection.execute(f"SELECT coalesce(max({column}), 0) FROM {name}").fetchone()[0])

    def table(self, name: str) -> Table:
        """Return the table with this name."""
        try:
            return self.schema[name]
        except KeyError:
            raise UnknownNameError("table", name, self.schema) from None

    def dump(self) -> str:
        """Return all data as SQL text. Equal worlds have equal dumps."""
        self._store_waiting()
        return "\n".join(self._connection.iterdump())

    def intact(self) -> bool:
        """Return whether SQLite's integrity check passes."""
        return bool(self._connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)])

    # -- writing ------------------------------------------------------------------------------------------------

    def insert(self, name: str, /, **values: Any) -> int:
        """Add a row and return its id, or 0 if the table has a natural key.

        A new id is one more than the highest id that is stored or was in the snapshot, so it depends only on the state.
        """
        table = self.table(name)
        row = table.complete(values, self.now)
        if table.numbered:
            if "id" in row:
                self._last_ids.pop(name, None)
            else:
                row["id"] = self._next_id(table)
        raw = table.encode(row)
        if self._sealed or self.read_only:
            self._write(table, table.key_of(raw), None, raw)
        else:  # there is no record of changes, and many rows follow
            self._waiting.setdefault(name, []).append(raw)
        return int(row["id"]) if table.numbered else 0

    def update(self, name: str, key: Key, /, **values: Any) -> None:
        """Change columns of the row with this key."""
        table = self.table(name)
        key_values, before = self._stored_row(table, key)
        for column in values:
            table.require_column(column)
        after = table.encode({**table.decode(before), **values})
        if table.key_of(after) != key_values:
            raise UsageError(f"Expected the key of {name} to stay, got {values}; try delete and insert.")
        if after != before:
            self._write(table, key_values, before, after)

    def delete(self, name: str, key: Key, /) -> None:
        """Remove the row with this key."""
        table = self.table(name)
        key_values, before = self._stored_row(table, key)
        self._write(table, key_values, before, None)

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """Keep all writes of the block, or none of them if it raises an exception."""
        self._store_waiting()
        saved = self._changes.copy(), self._sum, self._volume
        self._connection.execute("SAVEPOINT call")
        try:
            yield
        except BaseException:
            self._waiting.clear()
            self._connection.execute("ROLLBACK TO call")
            self._last_ids.clear()
            self._changes, self._sum, self._volume = saved
            raise
        finally:
            self._connection.execute("RELEASE call")

    def saved(self) -> Entries:
        """The rows that differ from the snapshot, for :meth:`load`: table, key, and the row, None if it was removed."""
        return tuple((name, key, after) for (name, key), (_, after) in self._changes.items())

    def load(self, entries: Entries) -> None:
        """Return to the snapshot and make these rows differ from it."""
        self.reset()
        tables = [self.schema[name] for name, _, _ in entries]
        for table in tables:
            if table.numbered:  # new ids follow the highest one of the snapshot, also if its row is removed
                self._highest.setdefault(table.name, self.highest(table.name, "id"))
        earlier = [
            self._connection.execute(table.one_sql, key).fetchone()
            for table, (_, key, _) in zip(tables, entries, strict=True)
        ]
        for table, (name, key, after), before in zip(tables, entries, earlier, strict=True):
            if before is not None:
                self._connection.execute(table.delete_sql, key)
            if after is not None:
                self._connection.execute(table.insert_sql, after)
            self._record((name, key), before, after)

    def decoded(self, value: Any) -> Entries:
        """The entries of :meth:`saved` from JSON. Every value has the type of its column."""
        return tuple(self._entry(*row(entry, "world.rows", 3)) for entry in row(value, "world.rows"))

    def _entry(self, name: Any, key: Any, after: Any) -> tuple[str, Raw, Raw | None]:
        table = self.schema.get(text(name, "world.rows"))
        if table is None:
            reject("a table", name, "world.rows")
        key_values = tuple(row(key, "world.rows", len(table.key)))
        for column, stored in zip(table.key, key_values, strict=True):
            if not table.fits(column, stored):
                reject(f"a key of {name}", key, "world.rows")
        if after is None:
            return name, key_values, None
        raw = tuple(row(after, "world.rows", len(table.columns)))
        for column, stored in zip(table.columns, raw, strict=True):
            if not table.fits(column, stored):
                reject(f"a value of {name}.{column}", stored, "world.rows")
        if table.key_of(raw) != key_values:
            reject(f"a row with the key {key_values}", raw, "world.rows")
        return name, key_values, raw

    def _next_id(self, table: Table) -> int:
        if not self._sealed:  # filling a world inserts hundreds of rows one after the other
            last = self._last_ids.get(table.name)
            self._last_ids[table.name] = number = (self.highest(table.name, "id") if last is None else last) + 1
            return number
        stored = self.highest(table.name, "id")
        # the first call precedes every insertion and removal, so it stores the highest id of the snapshot
        return max(self._highest.setdefault(table.name, stored), stored) + 1

    def _store_waiting(self) -> None:
        if self._waiting:
            for name, rows in self._waiting.items():
                self._connection.executemany(self.schema[name].insert_sql, rows)
            self._waiting.clear()

    def _stored_row(self, table: Table, key: Key) -> tuple[Raw, Raw]:
        if isinstance(key, dict):
            key_values: Raw = tuple(table.encoded(column, key[column]) for column in table.key)
        else:
            key_values = key if isinstance(key, tuple) else (key,)
        self._store_waiting()
        raw = self._connection.execute(table.one_sql, key_values).fetchone()
        if raw is None:
            raise UsageError(
                f"Expected a row of {table.name} with key {key_values}, got none; try rows({table.name!r})."
            )
        return key_values, raw

    def _write(self, table: Table, key_values: Raw, before: Raw | None, after: Raw | None) -> None:
        if self.read_only:
            raise RuntimeError(f"Expected no write by an API that only reads, got one to {table.name}; try App.write.")
        if self._sealed and after is None and table.numbered:
            self._highest.setdefault(table.name, self.highest(table.name, "id"))
        if after is None:
            self._last_ids.pop(table.name, None)
            self._connection.execute(table.delete_sql, key_values)
        elif before is None:
            self._connection.execute(table.insert_sql, after)
        else:
            self._connection.execute(table.replace_sql, (*after, *key_values))
        if self._sealed:
            self._record((table.name, key_values), before, after)

    # -- the record of changes ----------------------------------------------------------------------------------

    def _record(self, row_key: tuple[str, Raw], before: Raw | None, after: Raw | None) -> None:
        recorded = self._changes.pop(row_key, None)
        if recorded is not None:
            self._count_entry(row_key, recorded, -1)
            before = recorded[0]
        if before != after:
            self._changes[row_key] = before, after
            self._count_entry(row_key, (before, after), 1)
        if self._volume > CAPACITY:
            raise FullError

    def _count_entry(self, row_key: tuple[str, Raw], entry: tuple[Raw | None, Raw | None], sign: int) -> None:
        text = repr((row_key, entry)).encode("utf-8", "surrogatepass")
        self._sum = (self._sum + sign * int.from_bytes(blake2b(text, digest_size=16).digest(), "big")) % _MODULUS
        self._volume += sign * len(text)

    def delta(self, *, system: bool = False) -> Delta:
        """Return the changes since the snapshot; with ``system=True`` also those of system tables."""
        entries = sorted(
            ((*key, *entry) for key, entry in self._changes.items() if system or not self.schema[key[0]].system),
            key=lambda entry: entry[:2],
        )
        return Delta(tuple(entries), self.schema)

    def delta_key(self) -> str:
        """Return a key of the changes. Equal states have equal keys, in whatever order they were written."""
        return f"{self._sum:032x}"
