"""Reads JSON files of unknown origin: bounded in bytes and in depth, with every problem as text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Any

from agentgym_hindsight.files import open_file

__all__ = ["MOST_BYTES", "json_lines", "json_object"]

#: The longest line, and the largest file with one document. Lines of real runs have up to a few megabytes.
MOST_BYTES = 16 * 2**20
#: More levels of lists and objects are no description of a run, and a danger to functions that call themselves.
_DEEPEST = 30


def json_object(file: Path) -> dict[str, Any]:
    """The object in a regular file. Raises ValueError, OSError or :class:`DamagedDataError`."""
    with open_file(file, "the description of a run", "try running `agh train` again.") as stream:
        return _parsed(stream.read(MOST_BYTES + 1))


def json_lines(file: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Of a regular file, the number of each line that is not blank, and its object or the reason why it has none."""
    with file.open("rb") as stream:
        line_number = 0
        while line := stream.readline(MOST_BYTES + 1):
            line_number += 1
            rest = line
            while len(rest) > MOST_BYTES and not rest.endswith(b"\n"):  # skip to the end of a line that is too long
                rest = stream.readline(MOST_BYTES + 1)
            if line.strip():
                try:
                    yield line_number, _parsed(line)
                except (json.JSONDecodeError, UnicodeDecodeError):
                    yield line_number, "not JSON" if line.endswith(b"\n") else "incomplete"
                except ValueError as error:
                    yield line_number, str(error)


def _parsed(data: bytes) -> dict[str, Any]:
    if len(data) > MOST_BYTES:
        raise ValueError(f"longer than {MOST_BYTES / 2**20:g} MB")
    try:
        document = json.loads(data, parse_int=_integer)
    except RecursionError:
        raise ValueError(f"nested deeper than {_DEEPEST} levels") from None
    if not isinstance(document, dict):
        raise ValueError(f"a {type(document).__name__}, not an object")
    level: list[Any] = [document]
    for _ in range(_DEEPEST):
        level = [child for each in level for child in _children(each)]
        if not level:
            return document
    raise ValueError(f"nested deeper than {_DEEPEST} levels")


def _integer(digits: str) -> int | float:
    # Python refuses integers of more than 4,300 digits with an error for the whole line; here only the value is lost.
    return int(digits) if len(digits) < 300 else inf


def _children(value: Any) -> list[Any]:
    children = list(value.values()) if isinstance(value, dict) else value
    return [child for child in children if isinstance(child, (dict, list))]
