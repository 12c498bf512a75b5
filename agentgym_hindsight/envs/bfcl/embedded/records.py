"""The state of a world: tables of records, as a shared initial state and the changes of one episode.

Rows are read in the order of their keys, so a state has one appearance, whatever calls led to it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from agentgym_hindsight.tasks import seeded_int

__all__ = ["Delta", "Record", "Records", "Tables", "canonical_text", "is_public"]

Record = dict[str, Any]
#: Tables by name. A name that begins with "_" is private: it is part of the state, but no check compares it.
Tables = Mapping[str, Mapping[str, Record]]
#: The records that differ from the initial state, as texts; "" is a removed record.
Delta = Mapping[tuple[str, str], str]


def canonical_text(record: Record | None) -> str:
    """The text of a record: equal records have equal texts. "" for None.

    >>> canonical_text({"on": True, "level": 3}), canonical_text(None)
    ('{"level": 3, "on": true}', '')
    """
    return "" if record is None else json.dumps(record, sort_keys=True, ensure_ascii=False)


_MODULUS = 2**128


def _number(table: str, key: str, text: str) -> int:
    return seeded_int(table, key, text, bits=128)


def is_public(table: str) -> bool:
    """Whether checks compare a table."""
    return not table.startswith("_")


class Records:
    """The tables of one episode. The initial tables are shared and never changed.

    >>> records = Records({"lamps": {"hall": {"on": False}}})
    >>> before = records.key
    >>> records.edit("lamps", "hall")["on"] = True
    >>> records.key == before, dict(records.delta)
    (False, {('lamps', 'hall'): '{"on": true}'})
    >>> records.edit("lamps", "hall")["on"] = False
    >>> records.key == before
    True
    """

    __slots__ = ("_delta", "_initial", "_initial_texts", "_own", "_recent", "_sum", "_touched")

    def __init__(self, initial: Tables) -> None:
        self._initial = initial
        self._initial_texts: dict[tuple[str, str], str] = {}
        self._own: dict[str, dict[str, Record | None]] = {name: {} for name in initial}  # None: removed
        self._touched: set[tuple[str, str]] = set()
        self._recent: dict[tuple[str, str], str] = {}
        self._delta: dict[tuple[str, str], str] = {}
        self._sum = 0  # of the hashes of the changes: the order of the changes does not matter

    def get(self, table: str, key: str) -> Record | None:
        """A record, which must not be changed, or None."""
        own = self._own[table]
        return own[key] if key in own else self._initial[table].get(key)

    def rows(self, table: str) -> Iterator[tuple[str, Record]]:
        """All records of a table with their keys, in the order of the keys."""
        own, initial = self._own[table], self._initial[table]
        for key in sorted({*initial, *own}) if own else sorted(initial):
            record = own[key] if key in own else initial[key]
            if record is not None:
                yield key, record

    def edit(self, table: str, key: str) -> Record:
        """The episode's own copy of an existing record, to be changed."""
        self._touch(table, key)
        own = self._own[table].get(key)
        if own is None:
            initial = self._initial[table][key]
            own = {name: list(value) if isinstance(value, list) else value for name, value in initial.items()}
            self._own[table][key] = own
        return own

    def put(self, table: str, key: str, record: Record) -> None:
        """Add a record, or replace one."""
        self._touch(table, key)
        self._own[table][key] = record

    def remove(self, table: str, key: str) -> None:
        """Remove an existing record."""
        self._touch(table, key)
        self._own[table][key] = None

    def _touch(self, table: str, key: str) -> None:
        place = table, key
        self._touched.add(place)
        if place not in self._recent:
            self._recent[place] = canonical_text(self.get(table, key))

    def _initial_text(self, place: tuple[str, str]) -> str:
        text = self._initial_texts.get(place)
        if text is None:
            text = self._initial_texts[place] = canonical_text(self._initial[place[0]].get(place[1]))
        return text

    @property
    def delta(self) -> Delta:
        """The records that differ from the initial state."""
        if self._touched:
            for table, key in self._touched:
                before = self._delta.pop((table, key), None)
                text = canonical_text(self._own[table][key])
                if before is not None:
                    self._sum -= _number(table, key, before)
                if text != self._initial_text((table, key)):
                    self._delta[table, key] = text
                    self._sum += _number(table, key, text)
            self._touched = set()
        return self._delta

    @property
    def key(self) -> str:
        """A hash of the changes: equal states have equal keys. A write costs the same however many came before."""
        if self._touched:
            _ = self.delta
        return f"{self._sum % _MODULUS:032x}"

    def public_delta(self) -> dict[tuple[str, str], str]:
        """The changes that checks compare, as a copy."""
        return {place: text for place, text in self.delta.items() if is_public(place[0])}

    def initial_text(self, table: str, key: str) -> str:
        """The text of a record before the episode; "" if there was none."""
        return self._initial_text((table, key))

    def take_recent(self) -> list[tuple[str, str, str, str]]:
        """Table, key, and the texts before and after, of the records that changed since the last time."""
        recent = [
            (table, key, before, canonical_text(self.get(table, key))) for (table, key), before in self._recent.items()
        ]
        self._recent = {}
        return [row for row in recent if row[2] != row[3]]
