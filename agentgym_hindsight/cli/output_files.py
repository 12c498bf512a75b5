"""Checks of the places that a command writes to, before it starts to work.

A file that this program did not write is kept, unless the user says ``--fresh``. A folder that cannot be written and a
full disk are reported before anything is played.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.damaged_lines import first_foreign_line, is_cut_line
from agentgym_hindsight.hindsight.jsonl import read_jsonl

__all__ = [
    "begins_with",
    "check_file",
    "check_folder",
    "has_records",
    "has_rollouts",
    "is_page_of",
    "is_panel",
]

_PROBE = 256 * 1024  # bytes written to find out whether the disk has space


def check_file(
    path: str | Path, what: str, is_ours: Callable[[Path], bool], *, option: str = "--out", fresh: bool | None = False
) -> Path:
    """The path, if ``what`` can be written there. ``fresh=None``: the command has no ``--fresh``."""
    path = Path(path)
    if path.is_dir():
        raise UsageError(f"Expected a file for the {what}, got the folder {path}; try {option} {path / 'FILE'}.")
    if path.exists():
        if not path.is_file():
            raise UsageError(f"Expected a file for the {what}, got the device or pipe {path}; try another {option}.")
        if not fresh and path.stat().st_size and not is_ours(path):
            raise UsageError(
                f"Expected {what} of this program in {path}, got a file of another kind; try another {option}"
                f"{', or --fresh to replace it' if fresh is not None else ''}."
            )
        path.open("ab").close()
    _probe(path.parent)
    return path


def check_folder(path: str | Path, what: str, *, option: str = "--out") -> Path:
    """The path, if a folder with ``what`` can be there."""
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise UsageError(f"Expected a folder for the {what}, got the file {path}; try another {option}.")
    _probe(path)
    return path


def _probe(folder: Path) -> None:
    """Raise the OSError of creating the folder and of writing a file in it. Nothing is left there."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    probe = folder / f".agh-{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with probe.open("xb") as file:
            file.write(bytes(_PROBE))
            file.flush()
            os.fsync(file.fileno())
    finally:
        with suppress(OSError):
            probe.unlink()
        for each in missing:
            with suppress(OSError):
                each.rmdir()


# -- whether a file is ours -------------------------------------------------------------------------------------------


def has_rollouts(path: Path) -> bool:
    """Whether every line is a trajectory or the first part of one."""
    result = read_jsonl(path)
    return first_foreign_line(path, result.problems) is None


def has_records(*keys: str) -> Callable[[Path], bool]:
    """Whether every line is a JSON object with these keys, or the first part of one that begins with the first key."""
    beginning = f'{{"{keys[0]}"'.encode()

    def ours(path: Path) -> bool:
        with path.open("rb") as file:
            return all(_is_record(line, keys) or is_cut_line(line, beginning) for line in file if line.strip())

    return ours


def _is_record(line: bytes, keys: tuple[str, ...]) -> bool:
    try:
        document: Any = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, Mapping) and all(key in document for key in keys)


def begins_with(*texts: str, within: int = 2000) -> Callable[[Path], bool]:
    """Whether the first characters of the file contain all of the texts, in any order."""

    def ours(path: Path) -> bool:
        with path.open("rb") as file:
            head = file.read(within).decode("utf-8", "replace")
        return all(text in head for text in texts)

    return ours


#: Whether the file is a panel, also if it is damaged or of another version.
is_panel = begins_with('"schema": "agentgym-hindsight/panel"', within=200)


def is_page_of(command: str) -> Callable[[Path], bool]:
    """Whether the file is a Markdown page that ``agh bench`` or ``agh compare`` wrote."""
    return begins_with("# ", f"\n`agh {command} ", within=5000)
