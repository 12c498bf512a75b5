"""Read files that a user names. Only regular files are read: a pipe blocks for ever, and a device never ends."""

from __future__ import annotations

import os
import stat
from os import PathLike, fspath
from typing import BinaryIO

from agentgym_hindsight.errors import DamagedDataError, MissingDataError

__all__ = ["open_file", "read_file", "read_text"]

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
#: Bytes. No file that is read as a whole is near it, except for catalogues, which have no limit.
_LARGEST = 1 << 28
_CHUNK = 1 << 22


def open_file(path: str | PathLike[str], what: str = "a file", fix: str = "try another path.") -> BinaryIO:
    """Open a regular file for reading. Anything else is refused at once, and the error names it.

    ``what`` and ``fix`` are for the error: what was expected at the path, and what to try.
    """
    source = fspath(path)
    try:
        # Without O_NONBLOCK, opening a pipe waits for a writer. It has no effect on regular files.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(source, flags)
    except FileNotFoundError:
        raise MissingDataError(f"Expected {what}, found no file at {_shown(source)}; {fix}") from None
    except (OSError, ValueError) as error:  # a socket, no permission; ValueError: a NUL in the path
        cause = _kind(source) or (isinstance(error, OSError) and error.strerror) or str(error)
        raise DamagedDataError(f"Expected {what} at {_shown(source)}, got: {cause}; {fix}") from None
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise DamagedDataError(
            f"Expected {what} at {_shown(source)}, got: {_KINDS.get(stat.S_IFMT(mode), 'no regular file')}; {fix}"
        )
    return os.fdopen(descriptor, "rb")


def read_file(
    path: str | PathLike[str], what: str = "a file", fix: str = "try another path.", *, largest: int = _LARGEST
) -> bytes:
    """The bytes of a regular file of at most ``largest`` bytes."""
    with open_file(path, what, fix) as file:
        data = file.read(min(os.fstat(file.fileno()).st_size, largest) + 1)
        # A file may grow, and files of the kernel have the size 0: count what is read.
        while len(data) <= largest and (more := file.read(_CHUNK)):
            data += more
    if len(data) > largest:
        raise DamagedDataError(
            f"Expected {what} of at most {largest:,} bytes at {_shown(fspath(path))}, got more; {fix}"
        )
    return data


def read_text(
    path: str | PathLike[str], what: str = "a file", fix: str = "try another path.", *, largest: int = _LARGEST
) -> str:
    """The text of a regular UTF-8 file of at most ``largest`` bytes. Raises ``UnicodeDecodeError`` for other text.

    Line ends are those of the file.
    """
    return read_file(path, what, fix, largest=largest).decode("utf-8")


def _kind(source: str) -> str:
    try:
        return _KINDS.get(stat.S_IFMT(os.stat(source).st_mode), "")
    except (OSError, ValueError):
        return ""


def _shown(source: str) -> str:
    return repr(source if len(source) <= 200 else f"{source[:200]}…")
