"""Which Python runs the genuine ``appworld`` package, and where its data lies.

The package wants pydantic 1, today's trainers want pydantic 2: it usually has an interpreter of its own. Searched, in
order: ``$APPWORLD_PYTHON``, the one that ``agh data install appworld`` made, this interpreter.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from agentgym_hindsight.errors import BackendError, DamagedDataError, MissingDataError

__all__ = ["DATA_VERSION", "PACKAGE", "Interpreter", "find_data", "find_interpreter", "check_interpreter", "managed_folder"]

PACKAGE = "appworld==0.1.3.post1"
#: What the package's databases are called; data of another version it refuses.
DATA_VERSION = "0.1.0"
_INSTALL = "`agh data install appworld`"
_LOOK = """
import importlib.metadata, importlib.util, json, os, sys
spec = importlib.util.find_spec("appworld")
folder = list(spec.submodule_search_locations or [""])[0] if spec else ""
print(json.dumps({
    "version": importlib.metadata.version("appworld") if spec else "",
    "unpacked": os.path.isfile(os.path.join(folder, "apps", "supervisor", "models.py")),
}))
"""


class Interpreter(NamedTuple):
    """A Python that can run the package."""

    python: str
    version: str


def managed_folder() -> Path:
    """Where ``agh data install appworld`` puts things: ``appworld`` in the data folder."""
    told = os.environ.get("AGENTGYM_HINDSIGHT_DATA")
    if told:
        return Path(told).expanduser() / "appworld"
    return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "agentgym_hindsight" / "appworld"


def find_interpreter() -> Interpreter:
    """The first interpreter in the order above; raises where there is none, or where it cannot run the package."""
    told = os.environ.get("APPWORLD_PYTHON")
    if told:
        return check_interpreter(str(Path(told).expanduser()), "$APPWORLD_PYTHON")
    managed = managed_folder() / "venv" / "bin" / "python"
    if managed.exists():
        return check_interpreter(str(managed), _INSTALL)
    if find_spec("appworld") is not None:
        return check_interpreter(sys.executable, "this interpreter")
    raise MissingDataError(
        f"Expected a Python that has the appworld package, found none ($APPWORLD_PYTHON is not set, nothing is in "
        f"{managed_folder()}); try {_INSTALL}, or backend='miniature' for the embedded world."
    )


@lru_cache(maxsize=8)
def check_interpreter(python: str, told: str) -> Interpreter:
    """Check one interpreter without importing the package, which takes seconds."""
    try:
        done = subprocess.run([python, "-I", "-c", _LOOK], capture_output=True, text=True, timeout=60)
        seen = json.loads(done.stdout)
        version, unpacked = str(seen["version"]), bool(seen["unpacked"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        raise BackendError(
            f"Expected a Python interpreter at {python} ({told}), got {type(error).__name__}: {error}; "
            f"try {_INSTALL} or another APPWORLD_PYTHON."
        ) from error
    if not version:
        raise MissingDataError(
            f"Expected the appworld package in {python} ({told}), found none; "
            f"try {python} -m pip install '{PACKAGE}', or {_INSTALL}."
        )
    if not version.startswith("0.1."):
        raise BackendError(
            f"Expected appworld 0.1 in {python} ({told}), got {version}, whose data and server differ; "
            f"try {python} -m pip install '{PACKAGE}'."
        )
    if not unpacked:
        raise MissingDataError(
            f"Expected the apps of appworld unpacked in {python} ({told}), found them packed; "
            f"try {Path(python).parent / 'appworld'} install."
        )
    return Interpreter(python, version)


def find_data(root: str | os.PathLike[str] | None = None) -> Path:
    """The folder whose ``data`` holds the tasks: ``root``, ``$APPWORLD_ROOT``, the installed one, or here."""
    told: list[str | os.PathLike[str]] = [choice for choice in (root, os.environ.get("APPWORLD_ROOT")) if choice]
    for choice in told[:1] or [managed_folder() / "root", Path.cwd()]:
        folder = Path(choice).expanduser().absolute()
        if (folder / "data" / "datasets").is_dir() and (folder / "data" / "tasks").is_dir():
            return _checked(folder)
    where = Path(told[0]).expanduser() if told else managed_folder() / "root"
    raise MissingDataError(
        f"Expected AppWorld's tasks in {where / 'data'}, found no datasets and tasks there; try {_INSTALL}, "
        "`appworld download data` with APPWORLD_ROOT naming that folder, or backend='miniature' for the embedded world."
    )


def _checked(folder: Path) -> Path:
    specs = next(iter((folder / "data" / "tasks").glob("*/specs.json")), None)
    if specs is None:
        raise DamagedDataError(
            f"Expected tasks in {folder / 'data' / 'tasks'}, found none with a specs.json; try {_INSTALL}."
        )
    try:
        version = json.loads(specs.read_text(encoding="utf-8"))["db_version"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DamagedDataError(f"Expected a task's specification in {specs}, got {error!r}; try {_INSTALL}.") from error
    if version != DATA_VERSION:
        raise DamagedDataError(
            f"Expected AppWorld data {DATA_VERSION} in {folder / 'data'}, got {version}, which {PACKAGE} refuses; "
            f"try {_INSTALL}."
        )
    return folder
