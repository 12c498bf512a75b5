"""Read AppWorld's change logs: what an episode has written to the databases so far.

After each execution the package writes one file ``<app>.jsonl`` per app: the SQL statements since the start of the
task, in order. Reads are not logged, so a hash of the logs is a cheap key of the database state, and new lines show
what the last action changed. The clock stands still inside a world, so the same writes give the same lines.
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
_INDEX = re.compile(r"_fts\b")  # full-text indexes duplicate their tables


class Changes(NamedTuple):
    """The statements of every app that has any, sorted by app name."""

    statements: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def key(self) -> str:
        """A hash of the statements."""
        return content_hash(*(part for app, lines in self.statements for part in (app, *lines)))

    def since(self, earlier: Changes) -> Changes:
        """The statements that are not in ``earlier``."""
        known = {app: len(lines) for app, lines in earlier.statements}
        added = ((app, lines[known.get(app, 0) :]) for app, lines in self.statements)
        return Changes(tuple((app, lines) for app, lines in added if lines))

    def describe(self) -> str:
        """The statements in words, without the values.

        >>> line = '["INSERT INTO notes (title) VALUES (?)", ["ink"], false]'
        >>> Changes((("simple_note", (line, line)),)).describe()
        'simple_note: 2 rows added to notes.'
        """
        sentences = []
        for app, lines in self.statements:
            counts = Counter(found for line in lines if (found := _table(line)) is not None)
            parts = [f"{n} {'row' if n == 1 else 'rows'} {_VERBS[verb]} {table}" for (verb, table), n in counts.items()]
            if parts:
                sentences.append(f"{app}: {', '.join(parts)}.")
        return " ".join(sentences)


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
    """The change logs in a folder, or None if the folder cannot be read."""
    try:
        logs = sorted(path for path in folder.iterdir() if path.suffix == ".jsonl")
        texts = [(path.stem, path.read_text(encoding="utf-8", errors="replace")) for path in logs]
    except OSError:
        return None
    return Changes(tuple((app, tuple(text.splitlines())) for app, text in texts if text))
