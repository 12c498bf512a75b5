"""Install the ``appworld`` package into a separate interpreter and download its data.

Every step can check whether it is done, so an interrupted installation continues where it stopped.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from agentgym_hindsight.envs.appworld.official.client import WorldClient
from agentgym_hindsight.envs.appworld.official.interpreter import PACKAGE, check_interpreter, find_data, managed_folder
from agentgym_hindsight.envs.appworld.official.server import Server
from agentgym_hindsight.envs.appworld.official.task_files import SPLITS, OfficialTasks
from agentgym_hindsight.errors import BackendError, HindsightError, MissingDataError

__all__ = ["InstallStep", "carry_out", "installation", "verify"]

#: The lowest Python version that the package supports.
LOWEST_PYTHON = (3, 11)
_LAST_LINES = 12


class InstallStep(NamedTuple):
    """One command, its purpose, where and how much it writes, a check whether it is done, and advice if it fails."""

    name: str
    writes: str
    command: tuple[str, ...]
    environment: dict[str, str]
    done: Callable[[], bool]
    advice: str


def installation(folder: Path | None = None, python: str = sys.executable) -> tuple[InstallStep, ...]:
    """The steps, in order. They write nothing outside of ``folder``, except for pip's cache."""
    base = managed_folder() if folder is None else folder
    venv, root = base / "venv", base / "root"
    inside = str(venv / "bin" / "python")
    # The package unpacks its tests into APPWORLD_CACHE; the default is in the user's home.
    environment = {"APPWORLD_CACHE": str(base / "cache"), "APPWORLD_ROOT": str(root)}
    return (
        InstallStep(
            "create a separate interpreter",
            f"{venv} (20 MB)",
            (python, "-m", "venv", str(venv)),
            {},
            lambda: (venv / "bin" / "pip").exists(),
            f"--python PATH with a Python {'.'.join(map(str, LOWEST_PYTHON))} or newer that has venv",
        ),
        InstallStep(
            f"install {PACKAGE} from the package index",
            f"{venv} (210 MB)",
            (inside, "-m", "pip", "install", "--disable-pip-version-check", PACKAGE),
            {},
            lambda: _packages(venv),
            "a package index that can be reached (PIP_INDEX_URL)",
        ),
        InstallStep(
            "unpack the encrypted apps of the package",
            f"{venv} and {base / 'cache'} (5 MB)",
            (inside, "-m", "appworld.cli", "install"),
            environment,
            lambda: _usable(inside),
            "the same command again",
        ),
        InstallStep(
            "download the benchmark's tasks from its authors",
            f"{root / 'data'} (the authors publish no size)",
            (inside, "-m", "appworld.cli", "download", "data", "--root", str(root)),
            environment,
            lambda: _has_data(root),
            f"a network that reaches them, or copy the folder `data` of another installation into {root}",
        ),
    )


def carry_out(step: InstallStep) -> Iterator[str]:
    """Run one step and yield its output line by line. Raises if the step is not done afterwards."""
    Path(step.environment.get("APPWORLD_ROOT") or "/").mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    try:
        process = subprocess.Popen(
            step.command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            env={**os.environ, **step.environment},
        )
    except OSError as error:
        raise BackendError(f"Expected to {step.name}, got {error}; try {step.advice}.") from error
    with process:
        assert process.stdout is not None  # because of stdout=PIPE
        try:
            for line in process.stdout:
                lines = [*lines, line.rstrip()][-_LAST_LINES:]
                yield line.rstrip()
        except BaseException:  # the generator was closed, or Ctrl-C
            process.kill()
            raise
    if process.returncode or not step.done():
        output = "\n  ".join(line[:300] for line in lines if line)
        raise BackendError(
            f"Expected to {step.name}, got exit status {process.returncode} of `{' '.join(step.command)}`:"
            f"\n  {output}\n"
            f"Try {step.advice}, then the same command again: it continues from here."
        )


def verify(folder: Path | None = None) -> dict[str, int]:
    """Open one task in a server of the installed interpreter. Return the number of tasks per split."""
    base = managed_folder() if folder is None else folder
    python, _ = check_interpreter(str(base / "venv" / "bin" / "python"), "the installed one")
    root = find_data(base / "root")
    tasks = OfficialTasks(root)
    counts = {split: tasks.count(split) for split in SPLITS}
    names = tasks.names("train")
    if not names:
        raise MissingDataError(f"Expected tasks of train in {root / 'data'}, found none; try downloading them again.")
    server = Server(python, root)
    client = WorldClient(socket_path=server.socket_path, logs=server.log_folder, last_error=server.last_error)
    try:
        client.initialize(names[0])
        client.close()
    finally:
        client.hang_up()
        server.close()
    return counts


def _packages(venv: Path) -> bool:
    name, _, version = PACKAGE.partition("==")
    return any(venv.glob(f"lib/python*/site-packages/{name}-{version}.dist-info"))


def _usable(python: str) -> bool:
    try:
        check_interpreter(python, "the installed one")
    except HindsightError:
        return False
    return True


def _has_data(root: Path) -> bool:
    try:
        find_data(root)
    except HindsightError:
        return False
    return True
