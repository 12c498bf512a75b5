"""Tells a damaged line of this library's JSONL files from a line of another program.

A crash or a full disk cuts the last line that was being written. Such a line may be deleted and made again. Any other
line that cannot be read may be somebody's only copy.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from agentgym_hindsight.hindsight.codec import SCHEMA
from agentgym_hindsight.hindsight.jsonl import LineProblem

__all__ = ["first_foreign_line", "is_cut_line"]

#: The beginning of every line that ``write_jsonl`` writes.
_BEGINNING = f'{{"schema":"{SCHEMA}"'.encode()


def is_cut_line(line: bytes, beginning: bytes = _BEGINNING) -> bool:
    """Whether the line is the first part of a line of this library: it has its beginning, and is not whole JSON.

    >>> is_cut_line(b'{"schema":"agentgym-hindsight/traj'), is_cut_line(b"a note"), is_cut_line(b"{}")
    (True, False, False)
    """
    line = line.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n\0")
    if not (line.startswith(beginning) or beginning.startswith(line)):
        return False
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return True
    return False  # whole, but of another schema or version


def first_foreign_line(path: str | Path, problems: Sequence[LineProblem]) -> LineProblem | None:
    """The first problem of ``read_jsonl(path)`` that is no cut line of this library; None if all of them are."""
    by_number = {problem.line_number: problem for problem in problems}
    if not by_number:
        return None
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, start=1):
            if number in by_number and not is_cut_line(line):
                return by_number[number]
    return None
