"""Tables of records: one shared initial state, and the changes of each episode on top of it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from agentgym_hindsight.envs.tau.canonical import canonical_text, hash_of_text, join_pairs, join_rows
from agentgym_hindsight.tasks import content_hash

__all__ = ["Database", "Delta", "InitialState", "Record", "Table"]

Record = dict[str, Any]
#: The records that differ from the initial state, as texts: equal deltas are equal databases.
Delta = Mapping[tuple[str, str], str]


class InitialState:
    """The records before any call. It is never changed and shared by all databases of the process."""

    def __init__(self, tables: Mapping[str, Mapping[str, Record]]) -> None:
        self.tables = tables
        self._texts: dict[tuple[str, str], str] = {}
        self._hash = ""
        self._rows: dict[str, dict[str, str]] = {}
        self._joined: dict[str, str] = {}
        #: What tools compute from the initial records and keep here, such as indexes.
        self.derived: dict[str, Any] = {}

    def text(self, table: str, key: str) -> str:
        """The canonical text of a record; "" if there is none."""
        place = table, key
        found = self._texts.get(place)
        if found is None:
            record = self.tables[table].get(key)
            found = self._texts[place] = "" if record is None else canonical_text(record)
        return found

    def rows(self, table: str) -> Mapping[str, str]:
        """The texts of a table's pairs of key and record, in the order of the keys."""
        if table not in self._rows:
            keys = sorted(self.tables[table])
            self._rows[table] = {key: f"({key!r}, {self.text(table, key)})" for key in keys}
        return self._rows[table]

    def joined(self, table: str) -> str:
        """The text of a whole table."""
        if table not in self._joined:
            self._joined[table] = join_rows(list(self.rows(table).values()))
        return self._joined[table]

    @property
    def hash(self) -> str:
        """The benchmark's hash of the whole initial state."""
        if not self._hash:
            self._hash = Database(self).hash()
        return self._hash


class Table(Mapping[Any, Record]):
    """One table of a database. Reading gives shared records, which must not be changed: :meth:`edit` gives a copy."""

    __slots__ = ("_base", "_database", "_own", "name")

    def __init__(self, database: Database, name: str, base: Mapping[str, Record]) -> None:
        self.name, self._database, self._base = name, database, base
        self._own: dict[str, Record] = {}

    def __getitem__(self, key: Any) -> Record:
        return self._own[key] if key in self._own else self._base[key]

    def __contains__(self, key: object) -> bool:
        return key in self._own or key in self._base

    def __iter__(self) -> Iterator[str]:
        yield from self._base
        yield from (key for key in self._own if key not in self._base)

    def __len__(self) -> int:
        return len(self._base) + sum(key not in self._base for key in self._own)

    def edit(self, key: str) -> Record:
        """The database's own copy of a record, to be changed."""
        self._database.touch(self.name, key)
        own = self._own.get(key)
        if own is None:
            own = self._own[key] = copy.deepcopy(self._base[key])
        return own

    def insert(self, key: str, record: Record) -> None:
        """Add a record, or replace one."""
        self._database.touch(self.name, key)
        self._own[key] = record

    @property
    def own(self) -> Mapping[str, Record]:
        """The records that were edited or inserted."""
        return self._own


class Database:
    """The state of one episode."""

    __slots__ = ("_anchor", "_delta", "_recent", "_touched", "initial", "tables")

    def __init__(self, initial: InitialState) -> None:
        self.initial = initial
        self.tables = {name: Table(self, name, base) for name, base in initial.tables.items()}
        self._touched: set[tuple[str, str]] = set()
        self._recent: dict[tuple[str, str], None] = {}
        self._delta: dict[tuple[str, str], str] = {}
        self._anchor = content_hash()

    def __getitem__(self, table: str) -> Table:
        return self.tables[table]

    def touch(self, table: str, key: str) -> None:
        """Note that a record may have changed."""
        self._touched.add((table, key))
        self._recent[table, key] = None

    def take_touched(self) -> list[tuple[str, str]]:
        """The records that may have changed since the last time, in order."""
        recent = list(self._recent)
        self._recent = {}
        return recent

    @property
    def delta(self) -> Delta:
        """The records that differ from the initial state, by table and key."""
        if self._touched:
            for table, key in self._touched:
                text = canonical_text(self.tables[table].own[key])
                if text == self.initial.text(table, key):
                    self._delta.pop((table, key), None)
                else:
                    self._delta[table, key] = text
            self._touched = set()
            self._anchor = content_hash(
                *(part for place in sorted(self._delta) for part in (*place, self._delta[place]))
            )
        return self._delta

    @property
    def anchor(self) -> str:
        """A key of the state: a hash of the changes. Computed again only after a call that wrote."""
        if self._touched:
            _ = self.delta
        return self._anchor

    def record(self, table: str, key: str) -> Record | None:
        """A record as it is now, or None."""
        return self.tables[table].get(key)

    def hash(self) -> str:
        """The benchmark's hash of the whole database."""
        delta = self.delta
        changed = {table for table, _ in delta}
        pairs = []
        for name in sorted(self.tables):
            rows = self.initial.rows(name)
            if name not in changed:
                pairs.append((name, self.initial.joined(name)))
                continue
            own = {key: text for (table, key), text in delta.items() if table == name}
            if own.keys() <= rows.keys():
                texts = [f"({key!r}, {own[key]})" if key in own else row for key, row in rows.items()]
            else:
                merged = {**rows, **{key: f"({key!r}, {text})" for key, text in own.items()}}
                texts = [merged[key] for key in sorted(merged)]
            pairs.append((name, join_rows(texts)))
        return hash_of_text(join_pairs(pairs))
