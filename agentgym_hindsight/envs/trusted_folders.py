"""Files and folders with predictable names: only those are used that no other user can have made or can change.

Somebody else on the machine may have created a folder in advance, put a link in its place, or may write into it. A path
is trusted if it belongs to this user or to root, and if nobody else may write to it. Windows is not checked: its
temporary and cache folders belong to one user.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from agentgym_hindsight.errors import UsageError

__all__ = ["UntrustedFolderError", "check_trusted", "make_folder", "open_lock", "read_trusted_text"]

_CHECKED = hasattr(os, "geteuid")


class UntrustedFolderError(UsageError, PermissionError):
    """A file or folder belongs to another user, or others may write to it. The message names the cure."""


def check_trusted(path: Path, cure: str, *, below: Path | None = None) -> None:
    """Raise :class:`UntrustedFolderError` unless ``path`` is trusted. A path that does not exist is.

    ``below``: check this folder too, and every folder between it and ``path``. ``cure`` completes the message.
    """
    between = [] if below is None else [folder for folder in path.parents if folder == below or below in folder.parents]
    for each in (*reversed(between), path):
        with suppress(FileNotFoundError, NotADirectoryError):
            _check(each, each.lstat(), cure)
            _check(each, each.stat(), cure)


def make_folder(folder: Path) -> None:
    """Create a folder and its parents if they are absent. Others cannot write to them, whatever the umask is."""
    for each in (*reversed(folder.parents), folder):
        if not each.is_dir():
            with suppress(FileExistsError):
                each.mkdir(mode=0o755)


def read_trusted_text(path: Path, cure: str) -> str:
    """The content of a file. Raises :class:`UntrustedFolderError` for a link, and for a file that is not trusted."""
    # Without O_NONBLOCK, opening a named pipe would wait for its other end.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    with open(descriptor, encoding="utf-8") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise UntrustedFolderError(f"Expected a plain file at {path}, got something else; try {cure}.")
        _check(path, found, cure)
        return file.read()


def open_lock(folder: Path, name: str, cure: str) -> int:
    """Open the lock file ``name`` in a folder that only this user may enter, and return its descriptor.

    Both are created if they are absent. Neither may be a link, and the content of the file is not changed.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    at_folder = _open(folder, os.O_RDONLY | os.O_DIRECTORY, None, "a folder", cure)
    try:
        _check_own(folder, os.fstat(at_folder), stat.S_ISDIR, 0o077, cure)
        descriptor = _open(folder / name, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK, at_folder, "a plain file", cure)
    finally:
        os.close(at_folder)
    try:
        _check_own(folder / name, os.fstat(descriptor), stat.S_ISREG, 0o022, cure)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _open(path: Path, flags: int, at_folder: int | None, kind: str, cure: str) -> int:
    where = path if at_folder is None else path.name
    try:
        return os.open(where, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=at_folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK, errno.ENOTDIR, errno.EISDIR, errno.ENXIO, errno.EACCES):
            raise UntrustedFolderError(
                f"Expected {kind} of this user at {path}, got {os.strerror(error.errno).lower()}; try {cure}."
            ) from error
        raise


def _check_own(path: Path, found: os.stat_result, is_kind: object, refused_mode: int, cure: str) -> None:
    if not is_kind(found.st_mode):  # type: ignore[operator]
        raise UntrustedFolderError(f"Expected no link or device at {path}, got one; try {cure}.")
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & refused_mode:
        raise UntrustedFolderError(
            f"Expected {path} to belong to user {os.geteuid()} only, got owner {found.st_uid} and mode "
            f"{stat.S_IMODE(found.st_mode):o}; try {cure}."
        )


def _check(path: Path, found: os.stat_result, cure: str) -> None:
    if not _CHECKED:
        return
    if found.st_uid not in (os.geteuid(), 0):
        raise UntrustedFolderError(
            f"Expected {path} to belong to user {os.geteuid()} or root, got user {found.st_uid}, who could change what "
            f"is read from it; try {cure}."
        )
    if stat.S_ISLNK(found.st_mode):
        return  # the mode of a link means nothing
    mode = found.st_mode
    if mode & stat.S_IWOTH or (mode & stat.S_IWGRP and not _is_private_group(found.st_gid)):
        raise UntrustedFolderError(
            f"Expected {path} to be writable by its owner only, got mode {stat.S_IMODE(mode):o}; "
            f"try `chmod go-w {path}`, or {cure}."
        )


def _is_private_group(group_id: int) -> bool:
    """Whether a group has no member but this user: systems with a umask of 002 give each user such a group."""
    if group_id == 0:
        return True
    import grp
    import pwd

    try:
        user, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(group_id)
    except KeyError:
        return False
    return group.gr_name == user and set(group.gr_mem) <= {user}
