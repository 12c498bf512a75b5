"""Reads and writes JSON of other programs: documents of any shape, where a bad one is reported and not raised."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agentgym_hindsight.errors import SchemaError
from agentgym_hindsight.files import open_file, read_file
from agentgym_hindsight.hindsight.jsonl import LineProblem

__all__ = ["dump_line", "parse", "problem", "read_document", "read_lines"]

_EXCERPT = 80
_LONGEST_LINE = 1 << 28


def dump_line(document: Any) -> bytes:
    """A document as one line of JSON in ASCII, with its newline."""
    return json.dumps(document, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"


def parse(data: bytes) -> Any:
    """The JSON value of the bytes. Raises :class:`~agentgym_hindsight.errors.SchemaError`."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SchemaError(f"Expected UTF-8, got byte 0x{data[error.start]:02x} at position {error.start}.") from None
    try:
        return json.loads(text, parse_constant=_reject, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        cause = f"{error.msg} at character {error.pos}" if isinstance(error, json.JSONDecodeError) else str(error)
        raise SchemaError(f"Expected JSON, got {cause}; try exporting it again.") from None


def problem(number: int, cause: object, data: bytes = b"") -> LineProblem:
    """A line, document or row that cannot be read."""
    excerpt = data[: 4 * _EXCERPT].decode("utf-8", "replace").strip()
    return LineProblem(number, str(cause), excerpt if len(excerpt) <= _EXCERPT else f"{excerpt[: _EXCERPT - 1]}…")


def read_lines(path: Path, what: str) -> Iterator[tuple[int, bytes, Any]]:
    """The number, the bytes and the JSON value of each line that is not blank. The value of a bad one is a problem."""
    with open_file(path, what, "try another file.") as file:
        for number, data in enumerate(iter(lambda: file.readline(_LONGEST_LINE + 1), b""), start=1):
            if not data.strip():
                continue
            if len(data) > _LONGEST_LINE:
                cause = f"Expected at most {_LONGEST_LINE:,} bytes on the line, got more."
                while data and not data.endswith(b"\n"):
                    data = file.readline(1 << 20)
                yield number, b"", problem(number, cause)
                continue
            try:
                yield number, data, parse(data)
            except SchemaError as error:
                yield number, data, problem(number, error, data)


def read_document(path: Path, what: str) -> Any:
    """The JSON value of a file. Raises :class:`~agentgym_hindsight.errors.SchemaError` with the file's name."""
    try:
        return parse(read_file(path, what, "try another file."))
    except SchemaError as error:
        raise SchemaError(f"{path}: {error}") from None


def _reject(name: str) -> Any:
    raise ValueError(f"{name}, which is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]}, which is not a finite number")
    return value
