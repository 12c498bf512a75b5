"""The results of ``agh bench gpu`` in a file of JSON lines, one a case, to which a later call adds what is missing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentgym_hindsight.atomic import write_text

__all__ = ["KEYS", "Record", "read_records", "same_place", "write_records"]

#: The keys of every line.
KEYS = ("part", "case", "settings", "machine", "figures", "skipped", "error", "seconds")


@dataclass(frozen=True)
class Record:
    """The result of a case of a part on a machine. Without a case: why the part gave none."""

    part: str
    case: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    skipped: str = ""
    error: str = ""
    seconds: float = 0.0

    @property
    def is_measured(self) -> bool:
        """Whether the case has figures. Others are tried again by the next call."""
        return bool(self.case) and not self.skipped and not self.error

    def as_dict(self) -> dict[str, Any]:
        """The line of the file."""
        return {key: getattr(self, key) for key in KEYS}


def read_records(path: str | Path) -> list[Record]:
    """The records of a file. Lines that are no records are left out, such as one that a kill cut."""
    path = Path(path)
    if not path.exists():
        return []
    return [record for line in path.read_bytes().splitlines() if (record := _record(line)) is not None]


def _record(line: bytes) -> Record | None:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or not all(key in values for key in KEYS):
        return None
    mappings = all(isinstance(values[key], dict) for key in ("settings", "machine", "figures"))
    texts = all(isinstance(values[key], str) for key in ("part", "case", "skipped", "error"))
    return Record(**{key: values[key] for key in KEYS}) if mappings and texts else None


def same_place(left: Record, right: Record) -> bool:
    """Whether one record replaces the other: the same case of the same part, settings and machine."""
    return all(getattr(left, key) == getattr(right, key) for key in ("part", "case", "settings", "machine"))


def write_records(path: str | Path, records: Iterable[Record]) -> None:
    """Replace the file."""
    lines = (json.dumps(record.as_dict(), ensure_ascii=False, allow_nan=False) for record in records)
    write_text(path, "".join(f"{line}\n" for line in lines))
