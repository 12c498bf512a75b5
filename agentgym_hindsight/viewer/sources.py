"""What ``agh view`` shows: files of rollouts, and the samples of training runs, in the paths that a user names."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentgym_hindsight.baselines.report.runs import Run, read_run
from agentgym_hindsight.baselines.report.viewer_links import source_slug
from agentgym_hindsight.errors import DamagedDataError, MissingDataError
from agentgym_hindsight.viewer.line_index import LineIndex

__all__ = ["Source", "Sources"]

#: Files of a run or an evaluation that have no rollouts.
_OTHER_FILES = frozenset({"metrics.jsonl", "eval.jsonl", "references.jsonl"})
_MOST_SOURCES, _DEEPEST = 500, 6
_SCHEMA = b"agentgym-hindsight/trajectory"


@dataclass(slots=True)
class Source:
    """One file of rollouts; for a training run, its folder with samples.jsonl. The file may not exist yet."""

    path: Path
    file: Path
    slug: str
    _index: LineIndex | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_run(self) -> bool:
        return self.path != self.file

    @property
    def name(self) -> str:
        return self.path.name or str(self.path)

    @property
    def index(self) -> LineIndex | None:
        """The index of the file; ``None`` while there is no file."""
        with self._lock:
            if self._index is None and self.file.is_file():
                self._index = LineIndex(self.file)
            return self._index

    def refresh(self, seconds: float | None) -> bool:
        """Read what was appended. Returns whether everything is indexed."""
        index = self.index
        try:
            return index is None or index.refresh(seconds)
        except (MissingDataError, DamagedDataError):  # the file was deleted, or may not be read
            return True

    def run(self) -> Run | None:
        """The run of this folder; ``None`` for a file, or while the run cannot be read."""
        if not self.is_run:
            return None
        try:
            return read_run(self.path, samples=False)
        except DamagedDataError:
            return None

    def rows(self, query: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query to the index; none while there is no file."""
        index = self.index
        return [] if index is None else index.rows(query, list(values))

    def version(self) -> str:
        """Changes whenever the files do."""
        files = [self.file, *((self.path / name for name in sorted(_OTHER_FILES)) if self.is_run else ())]
        parts = []
        for each in files:
            with suppress(OSError):
                facts = each.stat()
                parts.append(f"{facts.st_size}.{facts.st_mtime_ns}")
        return "-".join(parts)


class Sources:
    """The sources under the paths, in their order. New ones are found when :meth:`find` is called again."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self.paths = [Path(path) for path in paths]
        self._found: dict[str, Source] = {}
        for path in self.paths:
            if not path.exists():
                raise MissingDataError(f"Expected a file or folder of rollouts, found nothing at {path}; try another.")
        self.find()

    def find(self) -> list[Source]:
        """All sources, also those that are new."""
        for path in self.paths:
            for where, file in _sources_in(path):
                if len(self._found) >= _MOST_SOURCES:
                    break
                slug = source_slug(where)
                if slug not in self._found:
                    self._found[slug] = Source(where, file, slug)
        return list(self._found.values())

    def get(self, slug: str) -> Source | None:
        return self._found.get(slug)

    def refresh(self, seconds: float | None = None) -> bool:
        """Index all sources; with ``seconds``, for about so long each."""
        done = [source.refresh(seconds) for source in list(self._found.values())]
        return all(done)


def _sources_in(path: Path) -> Iterator[tuple[Path, Path]]:
    """The path to show and the file to read of every source at or under a path."""
    if path.is_file():
        yield path, path
        return
    if not path.is_dir():
        return
    base = len(path.parts)
    for folder, folders, names in os.walk(path):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if not name.startswith((".", "checkpoint-")))
        if len(here.parts) - base >= _DEEPEST:
            folders.clear()
        is_run = "run.json" in names
        if is_run:
            yield here, here / "samples.jsonl"
        for name in sorted(names):
            file = here / name
            is_other = name in _OTHER_FILES or name.startswith(".") or (is_run and name == "samples.jsonl")
            if name.endswith(".jsonl") and not is_other and _has_rollouts(file):
                yield file, file


def _has_rollouts(file: Path) -> bool:
    try:
        if not file.is_file():
            return False
        with file.open("rb") as opened:
            return _SCHEMA in opened.read(200)
    except OSError:
        return False
