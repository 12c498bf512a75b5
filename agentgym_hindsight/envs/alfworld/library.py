"""The protocol of a library of games, the library of single game files, and the checks that all libraries share."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from agentgym_hindsight.envs.alfworld.gamefile import read_game
from agentgym_hindsight.envs.alfworld.identity import task_of
from agentgym_hindsight.envs.alfworld.native import House
from agentgym_hindsight.envs.alfworld.scene import TASK_TYPES
from agentgym_hindsight.envs.libraries import TaskLibrary
from agentgym_hindsight.errors import DamagedDataError, UnknownNameError, UsageError
from agentgym_hindsight.tasks import Task

__all__ = [
    "HOUSE_CACHE_SIZE",
    "FileLibrary",
    "Library",
    "check_task_types",
    "check_unchanged",
    "compiled_file",
]

#: The number of compiled houses that a process caches for all its envs. Each needs about 100 KB, and a few milliseconds
#: to compile.
HOUSE_CACHE_SIZE = 256


class Library(TaskLibrary, Protocol):
    """A source of games, with the compiled house of each."""

    @property
    def splits(self) -> tuple[str, ...]: ...  # those that can be played
    def house(self, task: Task) -> House: ...
    def path(self, task: Task) -> Path | None: ...  # the file of the game; None for a generated one


class FileLibrary:
    """Single game files, in any folder."""

    name = "file"

    def open(self, path: str | os.PathLike[str]) -> Task:
        """The task of a ``game.tw-pddl``, or of the folder that contains one."""
        if not isinstance(path, (str, os.PathLike)):
            raise UsageError(
                f"Expected the path of a game file, got {path!r} ({type(path).__name__}); try the path of a "
                "game.tw-pddl, as a str or a pathlib.Path."
            )
        try:
            game_path = Path(path).expanduser().resolve()
            game_path = game_path / "game.tw-pddl" if game_path.is_dir() else game_path
        except (OSError, RuntimeError, ValueError):  # a loop of links, no home folder, a NUL: read_game reports it
            game_path = Path(path)
        task, _ = compiled_file(game_path)
        return task

    def house(self, task: Task) -> House:
        task_in_file, house = compiled_file(self.path(task))
        check_unchanged(task.id, task_in_file, "the file changed since the task was read")
        return house

    def path(self, task: Task) -> Path:
        return Path(task.locator)


def compiled_file(path: Path) -> tuple[Task, House]:
    """The task and the compiled house of a game file. The file is read again if it has changed."""
    try:
        stat = path.stat()
    except (OSError, ValueError):
        read_game(path)  # raises an error that explains the cause and the fix
        raise
    return _compiled(str(path), stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=HOUSE_CACHE_SIZE)
def _compiled(path: str, _modified: int, _size: int) -> tuple[Task, House]:
    scene = read_game(path)
    return task_of(scene, "file", path, "file"), House(scene)


def check_task_types(task_types: Iterable[str] | None) -> tuple[str, ...]:
    """The given types in the order of ``TASK_TYPES``; all six for None."""
    if task_types is None:
        return TASK_TYPES
    chosen = (task_types,) if isinstance(task_types, str) else tuple(task_types)
    for name in chosen:
        if name not in TASK_TYPES:
            raise UnknownNameError("task type", name, TASK_TYPES)
    if not chosen:
        raise UsageError("Expected at least one task type, got none; try task_types=None for all six.")
    return tuple(name for name in TASK_TYPES if name in chosen)


def check_unchanged(task_id: str, found: Task, cause: str) -> None:
    """Raise if the game that was found is not the requested task."""
    if task_id != found.id:
        raise DamagedDataError(
            f"Expected task {task_id} at {found.locator}, got {found.id}: {cause}; "
            "try to list the panel again, or use the release and the data that it was made with."
        )
