"""Reads and writes trajectories as JSON Lines: one versioned schema, one trajectory per line.

A line is ``{"schema": "agentgym-hindsight/trajectory", "version": 2, …}`` with the fields of
:class:`~agentgym_hindsight.hindsight.trajectory.Trajectory`. ``steps`` is a list of objects with the fields of
``Step``.

* Fields without a default are required, others may be absent. Unknown keys are ignored, so a later release may *add*
  fields under the same version. A field that changes its meaning raises the version.
* Only a newline ends a line: other line separators are escaped inside strings. Text is read back exactly as it was
  written, lone surrogates included. In ``extra``, tuples become lists.
* A line that cannot be read is reported with its number and cause; the other lines are read.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from agentgym_hindsight.atomic import atomic_file
from agentgym_hindsight.errors import SchemaError
from agentgym_hindsight.files import open_file
from agentgym_hindsight.hindsight.codec import SCHEMA, SCHEMA_VERSION, dump_trajectory, load_trajectory
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.short_repr import short_repr

__all__ = [
    "SCHEMA",
    "SCHEMA_VERSION",
    "LineProblem",
    "ReadResult",
    "dump_trajectory",
    "iter_jsonl",
    "load_trajectory",
    "read_jsonl",
    "write_jsonl",
]

_EXCERPT = 80
_LONGEST_LINE = 1 << 28  # bytes; a rollout of 100 turns with 100 kB each is 10 MB


class LineProblem(NamedTuple):
    """A line that could not be read: its number, the cause, and its beginning."""

    line_number: int  # starting at 1
    cause: str
    excerpt: str


class ReadResult(Iterable[Trajectory]):
    """The trajectories of a file. Iterating yields them; ``problems`` are the lines that could not be read.

    The result of :func:`read_jsonl` reads its file when it is used: a loop reads it line by line and keeps nothing;
    ``trajectories`` and ``problems`` read the whole file once and keep the result.
    """

    def __init__(
        self,
        trajectories: Iterable[Trajectory] = (),
        problems: Iterable[LineProblem] = (),
        *,
        file: TrajectoryFile | None = None,
    ) -> None:
        self._file = file
        self._content = None if file is not None else (tuple(trajectories), tuple(problems))

    @property
    def trajectories(self) -> tuple[Trajectory, ...]:
        """The trajectories, in the order of the file."""
        return self._read()[0]

    @property
    def problems(self) -> tuple[LineProblem, ...]:
        """The lines that could not be read."""
        return self._read()[1]

    def __iter__(self) -> Iterator[Trajectory]:
        if self._content is not None or self._file is None:
            return iter(self.trajectories)
        return self._file.trajectories()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ReadResult) and self._read() == other._read()

    __hash__ = None  # type: ignore[assignment]  # trajectories have none

    def __repr__(self) -> str:
        if self._content is None and self._file is not None:
            return f"ReadResult({short_repr(str(self._file.path))}, not read yet)"
        trajectories, problems = self._read()
        return f"ReadResult({len(trajectories)} trajectories, {len(problems)} problems)"

    def _read(self) -> tuple[tuple[Trajectory, ...], tuple[LineProblem, ...]]:
        if self._content is None:
            assert self._file is not None  # set where there is no content
            items = list(self._file.items())
            self._content = (
                tuple(item for item in items if isinstance(item, Trajectory)),
                tuple(item for item in items if isinstance(item, LineProblem)),
            )
        return self._content


class TrajectoryFile(NamedTuple):
    """A file of trajectories that is read again at every use."""

    path: Path
    strict: bool

    def items(self) -> Iterator[Trajectory | LineProblem]:
        return _lines(self.path, self.strict)

    def trajectories(self) -> Iterator[Trajectory]:
        """The trajectories. A line that cannot be read gives a warning with its number and cause."""
        for item in self.items():
            if isinstance(item, Trajectory):
                yield item
            else:
                warnings.warn(f"{self.path}, line {item.line_number} was skipped: {item.cause}", stacklevel=2)


def write_jsonl(path: str | Path, trajectories: Iterable[Trajectory], append: bool = False) -> int:
    """Write one trajectory per line. Returns the number of trajectories.

    Without ``append`` the write is atomic: the file has the old or the whole new content. With ``append`` every line is
    flushed, so a crash loses at most one line. If an earlier crash left an incomplete last line, a newline is appended
    to it first: the reader reports the incomplete line, and the appended lines can be read.
    """
    path = Path(path)
    count = 0
    if append:
        path.parent.mkdir(parents=True, exist_ok=True)
        end_last_line(path)
        with path.open("ab") as file:
            for trajectory in trajectories:
                file.write(_line(trajectory))
                file.flush()
                count += 1
        return count
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        for trajectory in trajectories:
            file.write(_line(trajectory))
            count += 1
    return count


def iter_jsonl(path: str | Path, strict: bool = False) -> Iterator[Trajectory | LineProblem]:
    """Yield the trajectory of each line, or the problem if the line cannot be read; ``strict`` raises instead."""
    return _lines(_checked(path), strict)


def read_jsonl(path: str | Path, strict: bool = False) -> ReadResult:
    """The trajectories of a file: ``for trajectory in read_jsonl(path)`` reads it line by line.

    A line that cannot be read is skipped. In a loop it gives a warning that names the line; ``problems`` lists all such
    lines. With ``strict`` the first one raises :class:`~agentgym_hindsight.errors.SchemaError`.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "rollouts.jsonl"
    >>> write_jsonl(path, [Trajectory("1f", won=True), Trajectory("2e")])
    2
    >>> [trajectory.task_id for trajectory in read_jsonl(path) if trajectory.won]
    ['1f']
    >>> rollouts = read_jsonl(path)
    >>> len(rollouts.trajectories), rollouts.problems
    (2, ())
    """
    return ReadResult(file=TrajectoryFile(_checked(path), strict))


def _checked(path: str | Path) -> Path:
    """The path of a file that can be read: raises now and not at the first line."""
    path = Path(path)
    _open(path).close()
    return path


def _lines(path: Path, strict: bool) -> Iterator[Trajectory | LineProblem]:
    with _open(path) as file:  # binary, because text mode also ends lines at "\r"
        for number, data in enumerate(iter(lambda: file.readline(_LONGEST_LINE + 1), b""), start=1):
            data = data.removeprefix(b"\xef\xbb\xbf") if number == 1 else data
            if not data.strip():
                continue
            try:
                if len(data) > _LONGEST_LINE:
                    _skip_line(file, data)
                    raise SchemaError(f"Expected at most {_LONGEST_LINE:,} bytes on the line, got more.")
                # surrogatepass: see codec._escape. All other invalid UTF-8 is refused.
                yield load_trajectory(data.decode("utf-8", "surrogatepass"))
                continue
            except UnicodeDecodeError as error:
                cause = f"Expected UTF-8, got byte 0x{data[error.start]:02x} at position {error.start} of the line."
            except SchemaError as error:
                cause = str(error)
            if strict:
                raise SchemaError(f"{path}, line {number}: {cause}")
            excerpt = data[: 4 * _EXCERPT].decode("utf-8", "replace").strip()
            yield LineProblem(number, cause, excerpt if len(excerpt) <= _EXCERPT else f"{excerpt[: _EXCERPT - 1]}…")


def _open(path: Path) -> BinaryIO:
    return open_file(path, "recorded trajectories", "try write_jsonl first.")


def _skip_line(file: BinaryIO, read: bytes) -> None:
    while read and not read.endswith(b"\n"):
        read = file.readline(1 << 20)


def _line(trajectory: Trajectory) -> bytes:
    return dump_trajectory(trajectory).encode("utf-8", "surrogatepass") + b"\n"


def end_last_line(path: Path) -> None:
    """Append a newline to the file if its last line has none."""
    if not path.exists() or not path.stat().st_size:
        return
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            file.write(b"\n")
