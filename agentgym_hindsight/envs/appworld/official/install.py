"""Builds an interpreter of its own for the genuine ``appworld`` package and fetches its data, in steps.

Every step knows whether it is done, so that an installation that was broken off goes on where it stood.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from agentgym_hindsight.envs.appworld.official.client import WorldClient
from agentgym_hindsight.envs.appworld.official.interpreter import PACKAGE, find_data, check_interpreter, managed_folder
from agentgym_hindsight.envs.appworld.official.server import Server
from agentgym_hindsight.envs.appworld.official.task_files import SPLITS, OfficialTasks
from agentgym_hindsight.errors import BackendError, HindsightError, MissingDataError

__all__ = ["InstallStep", "carry_out", "installation", "verify"]

#: What the package asks of its Python.
LOWEST_PYTHON = (3, 11)
_LAST_LINES = 12


class InstallStep(NamedTuple):
    """One command, what it is for, where it writes and how much, and a look at whether that was done already."""

    name: str
    writes: str
    command: tuple[str, ...]
    environment: dict[str, str]
    done: Callable[[], bool]
    cure: str


def installation(folder: Path | None = None, python: str = sys.executable) -> tuple[InstallStep, ...]:
    """The steps, in order. Nothing outside of ``folder`` is written, but for pip's own cache."""
    base = managed_folder() if folder is None else folder
    venv, root = base / "venv", base / "root"
    inside = str(venv / "bin" / "python")
    # The package unpacks its tests into APPWORLD_CACHE, by default the user's home.
    environment = {"APPWORLD_CACHE": str(base / "cache"), "APPWORLD_ROOT": str(root)}
    return (
        InstallStep(
            "make an interpreter of its own",
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
            "unpack the apps that the package brings encrypted",
            f"{venv} and {base / 'cache'} (5 MB)",
            (inside, "-m", "appworld.cli", "install"),
            environment,
            lambda: _usable(inside),
            "the same command again",
        ),
        InstallStep(
            "download the benchmark's tasks from its authors",
            f"{root / 'data'} (its size is known to its authors only)",
            (inside, "-m", "appworld.cli", "download", "data", "--root", str(root)),
            environment,
            lambda: _has_data(root),
            f"a network that reaches them, or a copy of the folder `data` of another machine in {root}",
        ),
    )


def carry_out(step: InstallStep) -> Iterator[str]:
    """Run one step; what it says comes line by line. Raises where it is not done afterwards."""
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
        raise BackendError(f"Expected to {step.name}, got {error}; try {step.cure}.") from error
    with process:
        assert process.stdout is not None  # a pipe was asked for
        try:
            for line in process.stdout:
                lines = [*lines, line.rstrip()][-_LAST_LINES:]
                yield line.rstrip()
        except BaseException:  # nobody listens any more, or Ctrl-C
            process.kill()
            raise
    if process.returncode or not step.done():
        told = "\n  ".join(line[:300] for line in lines if line)
        raise BackendError(
            f"Expected to {step.name}, got exit status {process.returncode} of `{' '.join(step.command)}`:\n  {told}\n"
            f"Try {step.cure}, then the same command again: it goes on from here."
        )


def verify(folder: Path | None = None) -> dict[str, int]:
    """Open one task in a server of the installed interpreter; how many tasks each split has."""
    base = managed_folder() if folder is None else folder
    python, _ = check_interpreter(str(base / "venv" / "bin" / "python"), "the installed one")
    root = find_data(base / "root")
    tasks = OfficialTasks(root)
    counts = {split: tasks.count(split) for split in SPLITS}
    names = tasks.names("train")
    if not names:
        raise MissingDataError(f"Expected tasks of train in {root / 'data'}, found none; try downloading them again.")
    server = Server(python, root)
    client = WorldClient(socket_path=server.socket_path, logs=server.log_folder, complaint=server.complaint)
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
