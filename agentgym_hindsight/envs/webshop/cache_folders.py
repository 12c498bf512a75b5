"""Folders in the cache that are built once and read by many processes.

A folder is built aside and moved into place whole, so processes that start together may all build it, and whoever is
first wins. Its header lists size and checksum of every file: what was damaged since is noticed and built anew.
"""

from __future__ import annotations

import shutil
import time
import uuid
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from agentgym_hindsight.errors import DamagedDataError

__all__ = ["UNUSABLE", "build_whole", "check_written", "checksum", "written"]

_SAMPLES, _SAMPLE = 64, 4096
_ABANDONED = 24 * 3600.0  # seconds after which a half-built folder is taken for left behind

#: What a missing, damaged or foreign folder can raise while it is opened.
UNUSABLE = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, DamagedDataError)


def build_whole(place: Path, write: Callable[[Path], None], opened: Callable[[Path], object]) -> None:
    """Has ``write`` fill a folder aside, and puts it in place unless another process has done so meanwhile.

    ``opened`` opens a folder, and raises one of :data:`UNUSABLE` where it cannot be used.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    _sweep(place.parent)
    aside = place.with_name(f"{place.name}.{uuid.uuid4().hex}.part")
    aside.mkdir()
    try:
        write(aside)
        _move(aside, place, opened)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def written(folder: Path) -> dict[str, list[int]]:
    """Size and checksum of every file, for the folder's header."""
    return {path.name: [path.stat().st_size, checksum(path)] for path in sorted(folder.iterdir())}


def check_written(place: Path, files: Mapping[str, list[int]]) -> None:
    """Whether every file is as the header has it."""
    for name, (size, expected) in files.items():
        path = place / name
        if path.stat().st_size != size or checksum(path) != expected:
            raise DamagedDataError(f"Expected {path} as it was written, but it has changed; try: remove {place}")


def checksum(path: Path) -> int:
    """Of the start, the end and evenly spread places: it must not cost reading all of a large file at every start."""
    size, found = path.stat().st_size, 0
    with open(path, "rb") as file:
        for number in range(_SAMPLES):
            file.seek(max(size - _SAMPLE, 0) * number // (_SAMPLES - 1))
            found = zlib.crc32(file.read(_SAMPLE), found)
    return found


def _move(aside: Path, place: Path, opened: Callable[[Path], object]) -> None:
    try:
        aside.rename(place)
        return
    except OSError:
        if not place.exists():
            raise
    try:
        opened(place)
    except UNUSABLE:
        # What is there is damaged. Processes that read it keep their pages: it is moved away, never overwritten.
        with suppress(OSError):  # where yet another process mends it too, the one that comes second finds it mended
            place.rename(place.with_name(f"{place.name}.{uuid.uuid4().hex}.part"))
            aside.rename(place)


def _sweep(folder: Path) -> None:
    """Removes what builds that were killed have left behind."""
    for path in folder.glob("*.part"):
        with suppress(OSError):  # another process was faster
            if time.time() - path.stat().st_mtime > _ABANDONED:
                shutil.rmtree(path, ignore_errors=True)
