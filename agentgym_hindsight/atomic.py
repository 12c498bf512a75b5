"""Write files and folders atomically: a reader sees the old content or the whole new content, never a part.

The new content is written under a temporary name in the same folder and then renamed. If writing fails, the temporary
file is deleted and the old content stays.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["atomic_file", "atomic_folder", "write_text"]


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path; if the block succeeds, its content replaces ``path``.

    The parent folder is created. The file keeps the mode of the file that it replaces.

    >>> target = Path(tempfile.mkdtemp()) / "run.json"
    >>> with atomic_file(target) as temporary:
    ...     _ = temporary.write_text("{}")
    >>> target.read_text(), [path.name for path in target.parent.iterdir()]
    ('{}', ['run.json'])
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        # mkstemp makes private files; a result should be readable like any other file of the user.
        temporary.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
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

    >>> target = Path(tempfile.mkdtemp()) / "policy"
    >>> with atomic_folder(target) as temporary:
    ...     _ = (temporary / "config.json").write_text("{}")
    >>> [file.name for file in target.iterdir()]
    ['config.json']
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        try:
            temporary.rename(path)
        except OSError:
            if not path.is_dir():
                raise
            shutil.rmtree(temporary)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _umask() -> int:
    """The umask of the process. It can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
