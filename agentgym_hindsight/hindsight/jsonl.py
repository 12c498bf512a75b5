"""The one place that writes and reads trajectories: one versioned JSON schema, one trajectory a line.

A line is ``{"schema": "agentgym-hindsight/trajectory", "version": 1, …}`` with the fields of
:class:`~agentgym_hindsight.hindsight.trajectory.Trajectory`; ``steps`` is a list of objects with those of ``Step``.

* Fields without a default are required, the others may be absent. Keys this release does not know are ignored, so
  that a later release may *add* fields under the same version; a field that changes its meaning raises the version.
* Only a newline ends a line: whatever else ends one in a text editor is escaped inside the strings. Text comes back
  character for character, lone surrogates too; in ``extra`` tuples come back as lists.
* A broken line is rejected with its number and cause; the other lines are kept.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from agentgym_hindsight.errors import MissingDataError, SchemaError
from agentgym_hindsight.hindsight.codec import SCHEMA, SCHEMA_VERSION, dump_trajectory, load_trajectory
from agentgym_hindsight.hindsight.trajectory import Trajectory

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


class LineProblem(NamedTuple):
    """A line that could not be read: where, why, and how it begins."""

    line_number: int  # from 1
    cause: str
    excerpt: str


class ReadResult(NamedTuple):
    """What a file gave: the trajectories that could be read, and the lines that could not."""

    trajectories: tuple[Trajectory, ...]
    problems: tuple[LineProblem, ...]


def write_jsonl(path: str | Path, trajectories: Iterable[Trajectory], append: bool = False) -> int:
    """Write one trajectory a line; returns how many.

    Without ``append`` the file appears whole or not at all. With it every line is flushed as it comes, so a crash costs
    one line at most; a file whose last line a crash cut short is closed with a newline first: nothing is deleted, the
    stump is reported by the reader, and what is appended stays readable.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if append:
        end_last_line(path)
        count = 0
        with path.open("ab") as file:
            for trajectory in trajectories:
                file.write(_line(trajectory))
                file.flush()
                count += 1
        return count
    count = 0
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            for trajectory in trajectories:
                file.write(_line(trajectory))
                count += 1
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return count


def iter_jsonl(path: str | Path, strict: bool = False) -> Iterator[Trajectory | LineProblem]:
    """The lines of a file one by one, each as a trajectory or as the problem with it; ``strict`` raises instead."""
    path = Path(path)
    if not path.is_file():
        raise MissingDataError(f"Expected recorded trajectories at {path}, found no file; try write_jsonl first.")
    return _lines(path, strict)


def read_jsonl(path: str | Path, strict: bool = False) -> ReadResult:
    """A whole file. ``strict`` raises :class:`~agentgym_hindsight.errors.SchemaError` at the first broken line."""
    trajectories: list[Trajectory] = []
    problems: list[LineProblem] = []
    for item in iter_jsonl(path, strict):
        if isinstance(item, LineProblem):
            problems.append(item)
        else:
            trajectories.append(item)
    return ReadResult(tuple(trajectories), tuple(problems))


def _lines(path: Path, strict: bool) -> Iterator[Trajectory | LineProblem]:
    with path.open("rb") as file:  # binary: text mode would also end lines at "\r"
        for number, data in enumerate(file, start=1):
            data = data.removeprefix(b"\xef\xbb\xbf") if number == 1 else data
            if not data.strip():
                continue
            try:
                # surrogatepass: see codec._escape. Everything else that is not UTF-8 is refused.
                yield load_trajectory(data.decode("utf-8", "surrogatepass"))
                continue
            except UnicodeDecodeError as error:
                cause = f"Expected UTF-8, got byte 0x{data[error.start]:02x} at place {error.start} of the line."
            except SchemaError as error:
                cause = str(error)
            if strict:
                raise SchemaError(f"{path}, line {number}: {cause}")
            excerpt = data[: 4 * _EXCERPT].decode("utf-8", "replace").strip()
            yield LineProblem(number, cause, excerpt if len(excerpt) <= _EXCERPT else f"{excerpt[: _EXCERPT - 1]}…")


def _line(trajectory: Trajectory) -> bytes:
    return dump_trajectory(trajectory).encode("utf-8", "surrogatepass") + b"\n"


def end_last_line(path: Path) -> None:
    """Close a last line that a crash cut short, so that what is appended starts on a line of its own."""
    if not path.exists() or not path.stat().st_size:
        return
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            file.write(b"\n")


def _umask() -> int:
    """The process's umask, which can only be read by setting it: a temporary file would else stay private."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
