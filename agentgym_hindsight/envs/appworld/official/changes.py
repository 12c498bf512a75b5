"""What an episode has written so far, from the change logs that AppWorld keeps beside every world.

After each execution the package writes one ``<app>.jsonl`` an app: the SQL statements since the task began, in order.
Reads leave no trace there, so a hash of the logs is a cheap key of the database's state, and the new lines say what
the last action changed. The clock stands still inside a world, hence the same writes make the same lines.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from agentgym_hindsight.tasks import content_hash

__all__ = ["Changes", "read_changes"]

_STATEMENT = re.compile(r"\s*(INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+[\"'`]?(\w+)", re.IGNORECASE)
_VERBS = {"insert": "added to", "update": "changed in", "delete": "deleted from"}
_INDEX = re.compile(r"_fts\b")  # full-text indexes repeat what their tables hold


class Changes(NamedTuple):
    """The statements of every app that has any, in the order of the apps' names."""

    statements: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def key(self) -> str:
        """Equal for equal statements."""
        return content_hash(*(part for app, lines in self.statements for part in (app, *lines)))

    def since(self, earlier: Changes) -> Changes:
        """Only the statements that came after ``earlier``."""
        known = {app: len(lines) for app, lines in earlier.statements}
        fresh = ((app, lines[known.get(app, 0) :]) for app, lines in self.statements)
        return Changes(tuple((app, lines) for app, lines in fresh if lines))

    def describe(self) -> str:
        """The statements in words, without the values.

        >>> line = '["INSERT INTO notes (title) VALUES (?)", ["ink"], false]'
        >>> Changes((("simple_note", (line, line)),)).describe()
        'simple_note: 2 rows added to notes.'
        """
        told = []
        for app, lines in self.statements:
            counts = Counter(found for line in lines if (found := _table(line)) is not None)
            parts = [f"{n} {'row' if n == 1 else 'rows'} {_VERBS[verb]} {table}" for (verb, table), n in counts.items()]
            if parts:
                told.append(f"{app}: {', '.join(parts)}.")
        return " ".join(told)


def _table(line: str) -> tuple[str, str] | None:
    try:
        statement = json.loads(line)[0]
    except (ValueError, LookupError, TypeError):
        return None
    found = _STATEMENT.match(statement) if isinstance(statement, str) else None
    if found is None or _INDEX.search(found.group(2)):
        return None
    return found.group(1).split()[0].lower(), found.group(2)


def read_changes(folder: Path) -> Changes | None:
    """The change logs in a folder; None where there is no such folder."""
    try:
        logs = sorted(path for path in folder.iterdir() if path.suffix == ".jsonl")
        texts = [(path.stem, path.read_text(encoding="utf-8", errors="replace")) for path in logs]
    except OSError:
        return None
    return Changes(tuple((app, tuple(text.splitlines())) for app, text in texts if text))
