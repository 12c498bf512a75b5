"""Tables of a world: columns with Python types, keys and defaults, and the conversion of rows to and from SQLite."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from agentgym_hindsight.errors import UnknownNameError, UsageError

__all__ = ["NOW", "Raw", "Row", "Schema", "Table"]

Row = dict[str, Any]
Raw = tuple[Any, ...]  # a row as SQLite stores it, in the order of the columns

#: As a default: the world's current time.
NOW = object()

_SQL_TYPES = {int: "INTEGER", str: "TEXT", float: "REAL", bool: "INTEGER", list: "TEXT"}
_LARGEST = 2**63
_TO_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Table:
    """A table and its SQL statements. A column is a type, or a type and its default.

    ``list`` columns are stored as JSON. Tables of objects have the key ``id``, which the database assigns. Tables of
    links have a natural key, so the stored data do not depend on the order in which links are added. ``system`` tables
    (people, sessions) belong to the world and not to an app; their changes do not count as changes of the apps.

    >>> notes = Table("notes_notes", id=int, owner=str, tags=(list, []))
    >>> notes.encode({"id": 1, "owner": "ann@hamlet.example", "tags": ["home"]})
    (1, 'ann@hamlet.example', '["home"]')
    >>> notes.decode((1, "ann@hamlet.example", '["home"]'))["tags"]
    ['home']
    """

    def __init__(self, name: str, /, *, key: tuple[str, ...] = ("id",), system: bool = False, **columns: Any) -> None:
        self.name, self.key, self.system = name, key, system
        self.types: dict[str, Any] = {}
        self.defaults: dict[str, Any] = {}
        self.nullable: set[str] = set()
        for column, spec in columns.items():
            self.types[column], *default = spec if isinstance(spec, tuple) else (spec,)
            if default:
                self.defaults[column] = default[0]
                if default[0] is None:
                    self.nullable.add(column)
        self.columns = tuple(self.types)
        self.numbered = key == ("id",)
        self._key_indices = tuple(self.columns.index(column) for column in key)
        self._decoders = [(index, kind) for index, kind in enumerate(self.types.values()) if kind in (bool, list)]
        self._kinds = list(self.types.values())
        self._converted = [(index, kind) for index, kind in enumerate(self._kinds) if kind not in (str, float)]
        self._blank = {column: self.defaults[column] for column in self.columns if column in self.defaults}
        self._clocks = [column for column, default in self._blank.items() if default is NOW]
        self._required = self.types.keys() - self._blank.keys() - ({"id"} if self.numbered else set())
        declared = ", ".join(f"{column} {_SQL_TYPES[kind]}" for column, kind in self.types.items())
        key_test = " AND ".join(f"{column} = ?" for column in key)
        ending = "" if self.numbered else " WITHOUT ROWID"
        self.create_sql = f"CREATE TABLE {name} ({declared}, PRIMARY KEY ({', '.join(key)})){ending}"
        if self.numbered:  # "id INTEGER PRIMARY KEY" is an alias of the rowid and needs no index
            self.create_sql = f"CREATE TABLE {name} ({declared.replace('id INTEGER', 'id INTEGER PRIMARY KEY', 1)})"
        self.insert_sql = f"INSERT INTO {name} VALUES ({', '.join('?' * len(self.columns))})"
        self.select_sql = f"SELECT * FROM {name}"
        self.order_sql = f" ORDER BY {', '.join(key)}"
        self.one_sql = f"{self.select_sql} WHERE {key_test}"
        self.delete_sql = f"DELETE FROM {name} WHERE {key_test}"
        self.replace_sql = f"UPDATE {name} SET {', '.join(f'{c} = ?' for c in self.columns)} WHERE {key_test}"

    def __repr__(self) -> str:
        return f"Table({self.name!r}, {', '.join(self.columns)})"

    def complete(self, values: Mapping[str, Any], now: str) -> Row:
        """Fill in defaults. Every value without a default, except ``id``, is required."""
        if not values.keys() <= self.types.keys():
            for column in values:
                self.require_column(column)
        row: Row = {**self._blank, **values}
        for column in self._clocks:
            if row[column] is NOW:
                row[column] = now
        if not self._required <= row.keys():
            column = next(column for column in self.columns if column in self._required and column not in row)
            raise UsageError(f"Expected a value for {self.name}.{column}, got none; try {column}=….")
        return row

    def require_column(self, column: str) -> None:
        """Raise an error that proposes the nearest name if there is no such column."""
        if column not in self.types:
            raise UnknownNameError(f"column of {self.name}", column, self.columns)

    def encode(self, row: Mapping[str, Any]) -> Raw:
        """Convert a row to its SQLite form."""
        values = list(map(row.__getitem__, self.columns))
        if list(map(type, values)) != self._kinds:  # None, an int for a float, or an error
            return tuple(map(self.encoded, self.columns, values))
        for index, kind in self._converted:  # the others are stored as they are
            value = values[index]
            if kind is bool:
                values[index] = 1 if value else 0
            elif kind is list or not -_LARGEST <= value < _LARGEST:
                values[index] = self.encoded(self.columns[index], value)
        return tuple(values)

    def encoded(self, column: str, value: Any) -> Any:
        """Convert one value to its SQLite form. Equal values have equal forms."""
        kind = self.types[column]
        if value is None and column in self.nullable:
            return None
        if kind is float and type(value) is int:
            return float(value)
        if type(value) is not kind or (kind is int and not -_LARGEST <= value < _LARGEST):
            raise UsageError(f"Expected {kind.__name__} for {self.name}.{column}, got {value!r}; try another value.")
        if kind is list:
            return _TO_JSON(value) if value else "[]"
        return int(value) if kind is bool else value

    def fits(self, column: str, value: Any) -> bool:
        """Whether a value can be one of a row in its SQLite form."""
        kind = self.types[column]
        if value is None:
            return column in self.nullable
        if kind is list:
            return type(value) is str and _is_list(value)
        if kind is bool:
            return type(value) is int and value in (0, 1)
        return type(value) is kind and (kind is not int or -_LARGEST <= value < _LARGEST)

    def decode(self, raw: Raw) -> Row:
        """Convert a row from its SQLite form."""
        row = dict(zip(self.columns, raw, strict=True))
        for index, kind in self._decoders:
            value = raw[index]
            if value is not None:
                row[self.columns[index]] = bool(value) if kind is bool else _list(value)
        return row

    def key_of(self, raw: Raw) -> Raw:
        """Return the key of an encoded row."""
        return tuple(raw[index] for index in self._key_indices)


def _list(stored: str) -> list[Any]:
    return json.loads(stored) if stored != "[]" else []  # most lists are empty


def _is_list(stored: str) -> bool:
    try:
        return isinstance(json.loads(stored), list)
    except (ValueError, RecursionError):
        return False


Schema = Mapping[str, Table]
