"""A byte-offset index of a file of rollouts, kept beside it, so that pages need not read the file.

The index is an SQLite file. It grows with its file: complete lines are added as they are written, and an incomplete
last line is waited for. It is built again if the file was changed otherwise. Each portion is one transaction, so a
killed viewer leaves a usable index. In a folder that cannot be written, it is kept in the cache.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from agentgym_hindsight.envs.manifests import cache_folder
from agentgym_hindsight.errors import DamagedDataError, MissingDataError
from agentgym_hindsight.files import open_file
from agentgym_hindsight.viewer.summaries import line_document, summary_of

__all__ = ["LineIndex"]

_APPLICATION, _VERSION = 0x41474849, 2  # "AGHI": tells our files from others
_LONGEST = 1 << 28
_EDGE = 4096  # bytes at both ends of the indexed part whose hash is compared
_PORTION = 0.2  # seconds between two commits

_SCHEMA = f"""
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {_VERSION};
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value);
CREATE TABLE IF NOT EXISTS rollout (
  line INTEGER PRIMARY KEY, offset INTEGER, length INTEGER, task TEXT, update_ INTEGER, sibling INTEGER, outcome TEXT,
  score REAL, total REAL, turns INTEGER, invalid INTEGER, category TEXT, split TEXT, policy TEXT, env TEXT,
  backend TEXT, goal TEXT, has TEXT);
CREATE INDEX IF NOT EXISTS by_task ON rollout (update_, task);
CREATE TABLE IF NOT EXISTS turn (line INTEGER, place INTEGER, valid INTEGER, text TEXT);
CREATE INDEX IF NOT EXISTS by_line ON turn (line);
CREATE TABLE IF NOT EXISTS problem (line INTEGER PRIMARY KEY, cause TEXT);
"""


class LineIndex:
    """The index of one file. All methods may be called from several threads.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "rollouts.jsonl"
    >>> _ = path.write_text('{"task_id": "1f", "won": true, "steps": []}\\n{"task_id": "2e", "ste')
    >>> index = LineIndex(path)
    >>> index.refresh(), index.rows("SELECT line, task, outcome FROM rollout")
    (True, [(1, '1f', 'won')])
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._waiting = 0  # requests for which indexing makes room
        self._connection, self.location = _opened(path)

    @property
    def progress(self) -> tuple[int, int]:
        """Bytes that are indexed, and bytes of the file."""
        self._waiting += 1
        try:
            with self._lock:
                done = int(self._state().get("read", 0))
        finally:
            self._waiting -= 1
        try:
            return done, self.path.stat().st_size
        except OSError:
            return done, done

    def refresh(self, seconds: float | None = None) -> bool:
        """Index what was appended; for ``seconds`` at most. Returns whether all complete lines are indexed."""
        until = None if seconds is None else time.monotonic() + seconds
        while True:
            if self._waiting:
                time.sleep(0.002)  # a lock that is taken again at once is never given to another thread
            with self._lock:
                done = self._portion(_PORTION if until is None else min(_PORTION, until - time.monotonic()))
            if done or (until is not None and time.monotonic() >= until):
                return done

    def rows(self, query: str, values: tuple[Any, ...] | list[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        self._waiting += 1
        try:
            with self._lock:
                return self._connection.execute(query, tuple(values)).fetchall()
        finally:
            self._waiting -= 1

    def line(self, number: int) -> bytes | None:
        """The bytes of a line; ``None`` if there is no rollout on it, or the file is gone."""
        found = self.rows("SELECT offset, length FROM rollout WHERE line = ?", (number,))
        if not found:
            return None
        try:
            with self._file() as file:
                file.seek(int(found[0][0]))
                return file.read(min(int(found[0][1]), _LONGEST))
        except (MissingDataError, DamagedDataError):  # the file was deleted, or may not be read any more
            return None

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _file(self) -> BinaryIO:
        return open_file(self.path, "a file of rollouts", "try a file of `agh rollout` or `agh eval`.")

    def _state(self) -> dict[str, Any]:
        return dict(self._connection.execute("SELECT name, value FROM state").fetchall())

    def _portion(self, seconds: float) -> bool:
        """One transaction. Returns whether the end of the file is reached."""
        with self._file() as file, self._connection:
            self._connection.execute("BEGIN IMMEDIATE")  # two viewers of one file take turns
            facts = os.fstat(file.fileno())
            state = self._state()
            read, line = int(state.get("read", 0)), int(state.get("line", 0))
            if state and self._is_other(file, facts, state):
                for table in ("rollout", "turn", "problem", "state"):
                    self._connection.execute(f"DELETE FROM {table}")  # names from the line above
                read = line = 0
            elif read == facts.st_size:
                return True
            read, line, ended = self._add_lines(file, read, line, seconds)
            edges = _edges(file, read)
            new = {"read": read, "line": line, "edges": edges, "size": facts.st_size, "time": facts.st_mtime_ns}
            self._connection.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", list(new.items()))
            return ended

    @staticmethod
    def _is_other(file: BinaryIO, facts: os.stat_result, state: dict[str, Any]) -> bool:
        """Whether the indexed part of the file has changed: it is shorter, or was rewritten."""
        read = int(state.get("read", 0))
        if facts.st_size == state.get("size") and facts.st_mtime_ns == state.get("time"):
            return False
        # A file of the same size that was written again may differ anywhere.
        return facts.st_size < read or facts.st_size == state.get("size") or _edges(file, read) != state.get("edges")

    def _add_lines(self, file: BinaryIO, read: int, line: int, seconds: float) -> tuple[int, int, bool]:
        """Add complete lines from a place on: the new place, the new number of line ends, and whether none are left."""
        until = time.monotonic() + seconds
        file.seek(read)
        while True:
            data = file.readline(_LONGEST + 1)
            if not data:
                return read, line, True
            if len(data) > _LONGEST:
                while not data.endswith(b"\n"):
                    data = file.readline(1 << 20)
                    if not data:
                        return read, line, True
                self._problem(line + 1, "longer than 256 MiB")
                read, line = file.tell(), line + 1
                continue
            ended = data.endswith(b"\n")
            if data.strip():
                try:
                    self._add(line + 1, read, data)
                except ValueError as error:
                    if not ended:  # it is being written
                        return read, line, True
                    self._problem(line + 1, str(error))
            read, line = read + len(data), line + ended
            if self._waiting or time.monotonic() >= until:
                return read, line, False

    def _add(self, line: int, offset: int, data: bytes) -> None:
        found = summary_of(line_document(data.removeprefix(b"\xef\xbb\xbf") if line == 1 else data))
        self._connection.execute(
            f"INSERT OR REPLACE INTO rollout VALUES ({', '.join('?' * 18)})",  # only marks
            (
                line,
                offset,
                len(data),
                found.task,
                found.update,
                found.sibling,
                found.outcome,
                found.score,
                found.total,
                len(found.turns),
                found.invalid,
                found.category,
                found.split,
                found.policy,
                found.env,
                found.backend,
                found.goal,
                found.has,
            ),
        )
        self._connection.executemany(
            "INSERT INTO turn VALUES (?, ?, ?, ?)",
            [(line, place, turn.valid, turn.text) for place, turn in enumerate(found.turns)],
        )

    def _problem(self, line: int, cause: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO problem VALUES (?, ?)", (line, cause))


def _edges(file: BinaryIO, read: int) -> str:
    """A hash of the first and the last bytes of the indexed part."""
    place = file.tell()
    file.seek(0)
    head = file.read(min(_EDGE, read))
    file.seek(max(0, read - _EDGE))
    tail = file.read(min(_EDGE, read))
    file.seek(place)
    return sha256(head + tail).hexdigest()


def _opened(path: Path) -> tuple[sqlite3.Connection, str]:
    """The database of the index of a file, and where it is: beside the file, in the cache, or in memory."""
    beside = path.with_name(f".{path.name[:150]}.agh-index")
    for place in (beside, _cache_place(path)):
        if place is None or (place.is_symlink() or (place.exists() and not _is_ours(place))):
            continue
        for _ in range(2):  # a damaged index is deleted and built again
            try:
                return _connected(str(place)), str(place)
            except sqlite3.OperationalError:  # a folder that cannot be written, or a full disk
                break
            except sqlite3.DatabaseError:
                with suppress(OSError):
                    place.unlink()
    return _connected(":memory:"), "memory"


def _connected(place: str) -> sqlite3.Connection:
    connection = sqlite3.connect(place, timeout=20, check_same_thread=False, isolation_level=None)
    try:
        connection.execute("PRAGMA trusted_schema = OFF")  # the file may come from elsewhere
        connection.execute("PRAGMA synchronous = OFF")  # the index can always be built again
        if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("damaged")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, _VERSION):
            raise sqlite3.DatabaseError("of another version")
        connection.executescript(_SCHEMA)
        connection.execute("SELECT line, has FROM rollout LIMIT 1").fetchall()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except BaseException:
        connection.close()
        raise
    return connection


def _is_ours(place: Path) -> bool:
    """Whether a file is an index of this program. A file of someone else is never replaced."""
    try:
        with place.open("rb") as file:
            head = file.read(100)
    except OSError:
        return False
    return place.is_file() and (not head or head[68:72] == _APPLICATION.to_bytes(4, "big"))


def _cache_place(path: Path) -> Path | None:
    folder = cache_folder() / "viewer"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder / f"{sha256(str(path.resolve()).encode('utf-8', 'surrogateescape')).hexdigest()[:32]}.agh-index"
