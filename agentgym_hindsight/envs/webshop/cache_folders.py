"""Folders in the cache that are built once and read by many processes.

A folder is built under a temporary name and then renamed. Several processes may build it at the same time; the folder
of the first one that finishes is kept. The header of a folder lists the size and the checksum of every file, so that
damage is noticed and the folder is built again.
"""

from __future__ import annotations

import shutil
import time
import uuid
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from agentgym_hindsight.atomic import atomic_folder
from agentgym_hindsight.envs.manifests import CACHE_CURE, cache_folder
from agentgym_hindsight.envs.trusted_folders import check_trusted, make_folder
from agentgym_hindsight.errors import DamagedDataError

__all__ = ["UNUSABLE", "build_folder", "check_files", "file_checksums"]

_SAMPLES, _SAMPLE_SIZE = 64, 4096
_ABANDONED_AFTER = 24 * 3600.0  # seconds after which a temporary folder belongs to a process that was killed

#: The exceptions that opening a missing, damaged or foreign folder can raise.
UNUSABLE = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, DamagedDataError)


def build_folder(folder: Path, write: Callable[[Path], None], open_folder: Callable[[Path], object]) -> None:
    """Call ``write`` with a temporary folder, then rename it to ``folder``.

    If another process was faster and its folder is usable, that one is kept. ``open_folder`` opens a folder; it raises
    one of :data:`UNUSABLE` if the folder cannot be used. A cache that other users could change raises
    :class:`~agentgym_hindsight.envs.trusted_folders.UntrustedFolderError`, an ``OSError``.
    """
    check_trusted(folder, CACHE_CURE, below=cache_folder())
    make_folder(folder.parent)
    _delete_abandoned(folder.parent)
    with atomic_folder(folder) as temporary:
        write(temporary)
        # A damaged folder is moved away just before the rename, so that it is missing only for a short time.
        _move_damaged_away(folder, open_folder)


def file_checksums(folder: Path) -> dict[str, list[int]]:
    """Size and checksum of every file, for the header of the folder."""
    return {path.name: [path.stat().st_size, _checksum(path)] for path in sorted(folder.iterdir())}


def check_files(folder: Path, files: Mapping[str, list[int]]) -> None:
    """Raise :class:`DamagedDataError` unless every file has the size and checksum of the header.

    A folder or file that other users could change raises
    :class:`~agentgym_hindsight.envs.trusted_folders.UntrustedFolderError`.
    """
    check_trusted(folder, CACHE_CURE, below=cache_folder())
    for name, (size, expected) in files.items():
        path = folder / name
        check_trusted(path, CACHE_CURE)
        if path.stat().st_size != size or _checksum(path) != expected:
            raise DamagedDataError(f"Expected {path} as it was written, got other content; try removing {folder}.")


def _checksum(path: Path) -> int:
    """Checksum of the start, the end and evenly spaced samples: reading a large file at every start takes too long."""
    size, checksum = path.stat().st_size, 0
    with open(path, "rb") as file:
        for number in range(_SAMPLES):
            file.seek(max(size - _SAMPLE_SIZE, 0) * number // (_SAMPLES - 1))
            checksum = zlib.crc32(file.read(_SAMPLE_SIZE), checksum)
    return checksum


def _move_damaged_away(folder: Path, open_folder: Callable[[Path], object]) -> None:
    if not folder.exists():
        return
    try:
        open_folder(folder)
    except UNUSABLE:
        # Not deleted: processes that read the folder keep the pages they have mapped.
        with suppress(OSError):  # another process was faster
            folder.rename(folder.with_name(f"{folder.name}.{uuid.uuid4().hex}.part"))


def _delete_abandoned(folder: Path) -> None:
    """Delete the temporary folders of processes that were killed."""
    for path in folder.glob("*.part"):
        with suppress(OSError):  # another process was faster
            if time.time() - path.stat().st_mtime > _ABANDONED_AFTER:
                shutil.rmtree(path, ignore_errors=True)
