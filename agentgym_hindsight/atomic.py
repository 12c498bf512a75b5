"""Write files and folders atomically: a reader sees the old content or the whole new content, never a part.

The new content is written under a temporary name in the same folder and then renamed. If writing fails, the temporary
file is deleted and the old content stays.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["atomic_file", "atomic_folder", "write_text"]

_LONGEST = 40  # characters of the target's name in the temporary name: a file name has at most 255 bytes


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path; if the block succeeds, its content replaces ``path``.

    The parent folder is created. The file keeps the mode of the file that it replaces.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "run.json"
    >>> with atomic_file(target) as temporary:
    ...     _ = temporary.write_text("{}")
    >>> target.read_text(), [path.name for path in target.parent.iterdir()]
    ('{}', ['run.json'])
    """
    path = Path(path)
    temporary = _temporary(path)
    temporary.touch(exist_ok=False)
    try:
        yield temporary
        with temporary.open("r+b") as file:  # Windows flushes only files that are open for writing
            os.fsync(file.fileno())
        if path.exists():
            temporary.chmod(path.stat().st_mode & 0o777)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: str | Path, text: str) -> None:
    """Replace the content of a file by ``text``, in UTF-8."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder; if the block succeeds, it is renamed to ``path``.

    If ``path`` exists by then, because another process was faster, the temporary folder is deleted and the existing
    one stays.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "policy"
    >>> with atomic_folder(target) as temporary:
    ...     _ = (temporary / "config.json").write_text("{}")
    >>> [file.name for file in target.iterdir()]
    ['config.json']
    """
    path = Path(path)
    temporary = _temporary(path)
    temporary.mkdir()
    try:
        yield temporary
        try:
            temporary.rename(path)
        except OSError:
            if not path.is_dir():
                raise
            shutil.rmtree(temporary)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _temporary(path: Path) -> Path:
    """An unused name beside ``path``, whose folder is created.

    The caller creates the file or folder with the usual mode. ``tempfile`` would make it private, and the umask that a
    public mode needs can only be read by setting it, which affects the files of other threads.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name[:_LONGEST]}.{uuid.uuid4().hex}.part")
