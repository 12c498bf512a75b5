"""AppWorld's environment in this process. Needs the ``appworld`` package in this interpreter.

One world can be open at a time. While it is open, the clock of the whole process stands still (``time``, ``monotonic``
and ``perf_counter``). Use it to look at tasks, not for training; for this reason servers are the default.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

from agentgym_hindsight.envs.appworld.official.changes import Changes, read_changes
from agentgym_hindsight.envs.appworld.official.client import parse_task_start
from agentgym_hindsight.envs.appworld.official.replies import Verdict, read_verdict
from agentgym_hindsight.envs.appworld.official.world_interface import OfficialWorld, TaskStart
from agentgym_hindsight.errors import BackendError, MissingExtraError

__all__ = ["InProcessSlot", "InProcessWorld"]

_EXPERIMENT = "agentgym-hindsight-in-process"


class InProcessWorld:
    """:class:`OfficialWorld` implemented with the package's class ``AppWorld``."""

    def __init__(self, root: Path, *, seconds: int = 100) -> None:
        os.environ["APPWORLD_ROOT"] = str(root)
        try:
            self._package: Any = importlib.import_module("appworld")
        except ImportError as error:
            raise MissingExtraError("appworld", "appworld", "AppWorld in this process") from error
        self._package.update_root(str(root))
        self._root, self._seconds = root, seconds
        self._world: Any = None

    @property
    def version(self) -> str:
        return str(self._package.__version__)

    def initialize(self, task_id: str) -> TaskStart:
        self.close()
        try:
            self._world = self._package.AppWorld(task_id, experiment_name=_EXPERIMENT, timeout_seconds=self._seconds)
        except Exception as error:
            raise BackendError(f"Expected AppWorld to open {task_id}, got {error}; try another task.") from error
        task = self._world.task
        person = {name: task.supervisor[name] for name in ("first_name", "last_name", "email", "phone_number")}
        return parse_task_start({"instruction": task.instruction, "supervisor": person, "datetime": task.datetime})

    def execute(self, code: str) -> str:
        return str(self._open.execute(code))

    def task_completed(self) -> bool:
        return bool(self._open.task_completed())

    def evaluate(self) -> Verdict:
        return read_verdict(self._open.evaluate(suppress_errors=True).to_dict())

    def close(self) -> None:
        world, self._world = self._world, None
        if world is not None:
            world.close()

    def changes(self) -> Changes | None:
        return read_changes(Path(self._open.output_db_home_path_on_disk))

    @property
    def _open(self) -> Any:
        if self._world is None:
            raise BackendError("Expected an open task, got none; try initialize(task_id) first.")
        return self._world


class InProcessSlot:
    """The slot of the world in this process."""

    def __init__(self, root: Path, *, seconds: int = 100) -> None:
        self._root, self._seconds = root, seconds
        self._world: InProcessWorld | None = None

    @property
    def warm(self) -> bool:
        return self._world is not None

    def reserve(self) -> bool:
        return True

    def open(self) -> OfficialWorld:
        if self._world is None:
            self._world = InProcessWorld(self._root, seconds=self._seconds)
        return self._world

    def discard(self) -> None:
        world, self._world = self._world, None
        if world is not None:
            world.close()

    def release(self) -> None:
        pass

    def forget(self) -> None:
        self._world = None
