"""The official library: the benchmark's own games in the folder of ``alfworld-download``. Files are only read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from agentgym_hindsight.envs.alfworld.gamefile import read_game
from agentgym_hindsight.envs.alfworld.identity import task_of
from agentgym_hindsight.envs.alfworld.library import check_task_types, check_unchanged, compiled_file
from agentgym_hindsight.envs.alfworld.native import House
from agentgym_hindsight.envs.manifests import cached_rows
from agentgym_hindsight.errors import DamagedDataError, DataError, MissingDataError, UnknownNameError
from agentgym_hindsight.tasks import Task, TaskPanel, content_hash

__all__ = ["DEFAULT_DATA", "OFFICIAL_COUNTS", "OfficialLibrary", "damaged_games", "game_files", "official_root"]

#: The number of games in each split of the official release.
OFFICIAL_COUNTS = {"train": 3553, "valid_seen": 140, "valid_unseen": 134, "valid_train": 200}
_GAMES = "json_2.1.1"
#: The default folder of ``alfworld-download``.
DEFAULT_DATA = "~/.cache/alfworld"


def official_root(data: str | os.PathLike[str] | None = None) -> Path:
    """The folder with ``train``, ``valid_seen`` … in ``data``, else ``$ALFWORLD_DATA``, else ``~/.cache/alfworld``."""
    setting = "data=" if data is not None else "$ALFWORLD_DATA or ~/.cache/alfworld"
    base = Path(data or os.environ.get("ALFWORLD_DATA") or DEFAULT_DATA).expanduser()
    for folder in (base / _GAMES, base):
        if any((folder / split).is_dir() for split in OFFICIAL_COUNTS):
            return folder
    raise MissingDataError(
        f"Expected the official ALFWorld games ({setting}) in {base / _GAMES}, found no train or valid_* folder there; "
        "try `pip install alfworld` and `alfworld-download`, or data='embedded' for generated houses."
    )


def game_files(root: Path, split: str) -> list[Path]:
    """All games of a split, without movable receptacles and sliced objects, which ALFWorld excludes too."""
    folder = root / split
    if not folder.is_dir():
        available = ", ".join(name for name in OFFICIAL_COUNTS if (root / name).is_dir())
        raise MissingDataError(
            f"Expected the split {split!r} at {folder}, found no such folder; try one of: {available}."
        )
    games = [path for path in folder.glob("*/*/game.tw-pddl") if not _is_excluded(path.relative_to(folder).as_posix())]
    if not games:
        raise MissingDataError(
            f"Expected games (*/*/game.tw-pddl) in {folder}, found none; try `alfworld-download -f`."
        )
    return sorted(games)


def _is_excluded(name: str) -> bool:
    return "movable" in name or "Sliced" in name


def damaged_games(root: Path) -> list[DataError]:
    """One error for every game below ``root`` that cannot be read."""
    return _read(
        root, [path for split in OFFICIAL_COUNTS if (root / split).is_dir() for path in game_files(root, split)]
    )[1]


def _read(root: Path, files: Sequence[Path]) -> tuple[list[list[str]], list[DataError]]:
    rows: list[list[str]] = []
    errors: list[DataError] = []
    for path in files:
        try:
            task = task_of(read_game(path), "", path.relative_to(root).as_posix(), "official")
            rows.append([task.id, task.category, task.goal, task.locator])
        except DataError as error:
            errors.append(error)
    return rows, errors


class OfficialLibrary:
    """The games below one folder, of all six task types or of some of them."""

    name = "official"

    def __init__(self, data: str | os.PathLike[str] | None = None, task_types: Iterable[str] | None = None) -> None:
        self.root = official_root(data)
        self._types = frozenset(check_task_types(task_types))
        self._panels: dict[str, TaskPanel] = {}

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits whose folder exists."""
        return tuple(split for split in OFFICIAL_COUNTS if (self.root / split).is_dir())

    def panel(self, split: str) -> TaskPanel:
        """The tasks of a split, sorted by content id: a seed gives the same tasks on every file system."""
        if split not in OFFICIAL_COUNTS:
            raise UnknownNameError("split of the official games", split, OFFICIAL_COUNTS)
        if split not in self._panels:
            by_id = {row[0]: row for row in sorted(self._rows(split)) if row[1] in self._types}
            if not by_id:
                raise MissingDataError(
                    f"Expected games of {', '.join(sorted(self._types))} in {self.root / split}, found none; "
                    "try other task_types, or run `agh doctor` to see which games there are."
                )
            tasks = (
                Task(i, "alfworld", split, kind, goal, where, "official") for i, kind, goal, where in by_id.values()
            )
            self._panels[split] = TaskPanel(tasks, name=f"alfworld/official/{split}")
        return self._panels[split]

    def count(self, split: str) -> int:
        return len(self.panel(split))

    def task(self, split: str, index: int) -> Task:
        return self.panel(split)[index]

    def find(self, task_id: str) -> Task:
        first_error: DataError | None = None
        # Splits that were read before come first: the others take time to read and can fail.
        for split in sorted(OFFICIAL_COUNTS, key=lambda name: name not in self._panels):
            if not (self.root / split).is_dir():
                continue
            try:
                if task_id in self.panel(split).ids:
                    return self.panel(split)[task_id]
            except DataError as error:
                first_error = first_error or error
        if first_error is not None:
            raise first_error
        raise UnknownNameError(f"task id of the games in {self.root} (`agh data list` lists them)", task_id, ())

    def house(self, task: Task) -> House:
        task_in_file, house = compiled_file(self.path(task))
        check_unchanged(task.id, task_in_file, "the file changed since the panel was listed")
        return house

    def path(self, task: Task) -> Path:
        return self.root / task.locator

    def _rows(self, split: str) -> list[list[str]]:
        files = game_files(self.root, split)
        stats = [(path.relative_to(self.root).as_posix(), path.stat()) for path in files]
        fingerprint = content_hash(*(f"{name}:{stat.st_size}:{stat.st_mtime_ns}" for name, stat in stats))

        def read() -> list[list[str]]:
            rows, errors = _read(self.root, files)
            if errors:
                raise DamagedDataError(
                    f"Expected {len(files)} complete games in {self.root / split}, got {len(errors)} that cannot be "
                    f"used. The first: {errors[0]} `agh data check` lists all of them."
                ) from errors[0]
            return rows

        return cached_rows(f"alfworld-official-{split}-{content_hash(str(self.root.resolve()))}", fingerprint, read)
