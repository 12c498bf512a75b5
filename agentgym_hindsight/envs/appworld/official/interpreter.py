"""Find the Python interpreter that has the ``appworld`` package, and the folder with its data.

The package needs pydantic 1 and trainers need pydantic 2, so the package usually has a separate interpreter. The search
order is ``$APPWORLD_PYTHON``, the one that ``agh data install appworld`` made, and this interpreter.
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

from agentgym_hindsight.envs.trusted_folders import check_trusted
from agentgym_hindsight.errors import BackendError, DamagedDataError, MissingDataError
from agentgym_hindsight.files import read_text

__all__ = [
    "DATA_VERSION",
    "PACKAGE",
    "Interpreter",
    "check_interpreter",
    "find_data",
    "find_interpreter",
    "managed_folder",
]

PACKAGE = "appworld==0.1.3.post1"
#: The version of the package's databases. The package refuses other versions.
DATA_VERSION = "0.1.0"
_INSTALL = "`agh data install appworld`"
_CHECK = """
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
    """The folder of ``agh data install appworld``: ``appworld`` in the data folder."""
    configured = os.environ.get("AGENTGYM_HINDSIGHT_DATA")
    if configured:
        return Path(configured).expanduser() / "appworld"
    return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "agentgym_hindsight" / "appworld"


def find_interpreter() -> Interpreter:
    """The first interpreter in the search order. Raises if there is none or if it cannot run the package."""
    configured = os.environ.get("APPWORLD_PYTHON")
    if configured:
        return check_interpreter(str(Path(configured).expanduser()), "$APPWORLD_PYTHON")
    managed = managed_folder() / "venv" / "bin" / "python"
    if managed.exists():
        # It is run, so nobody else may be able to replace it.
        check_trusted(managed.parent, f"APPWORLD_PYTHON={managed} if you trust it", below=managed_folder())
        return check_interpreter(str(managed), _INSTALL)
    if find_spec("appworld") is not None:
        return check_interpreter(sys.executable, "this interpreter")
    raise MissingDataError(
        f"Expected a Python that has the appworld package, found none ($APPWORLD_PYTHON is not set, nothing is in "
        f"{managed_folder()}); try {_INSTALL}, or backend='miniature' for the embedded world."
    )


@lru_cache(maxsize=8)
def check_interpreter(python: str, origin: str) -> Interpreter:
    """Check one interpreter. The package is not imported, because this takes seconds."""
    try:
        done = subprocess.run([python, "-I", "-c", _CHECK], capture_output=True, text=True, timeout=60)
        seen = json.loads(done.stdout)
        version, unpacked = str(seen["version"]), bool(seen["unpacked"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        raise BackendError(
            f"Expected a Python interpreter at {python} ({origin}), got {type(error).__name__}: {error}; "
            f"try {_INSTALL} or another APPWORLD_PYTHON."
        ) from error
    if not version:
        raise MissingDataError(
            f"Expected the appworld package in {python} ({origin}), found none; "
            f"try {python} -m pip install '{PACKAGE}', or {_INSTALL}."
        )
    if not version.startswith("0.1."):
        raise BackendError(
            f"Expected appworld 0.1 in {python} ({origin}), got {version}, whose data and server differ; "
            f"try {python} -m pip install '{PACKAGE}'."
        )
    if not unpacked:
        raise MissingDataError(
            f"Expected the apps of appworld unpacked in {python} ({origin}), found them packed; "
            f"try {Path(python).parent / 'appworld'} install."
        )
    return Interpreter(python, version)


def find_data(root: str | os.PathLike[str] | None = None) -> Path:
    """The folder whose ``data`` holds the tasks.

    It is ``root`` if given, else ``$APPWORLD_ROOT`` if set, else the installed one or the working folder.
    """
    given: list[str | os.PathLike[str]] = [choice for choice in (root, os.environ.get("APPWORLD_ROOT")) if choice]
    for choice in given[:1] or [managed_folder() / "root", Path.cwd()]:
        folder = Path(choice).expanduser().absolute()
        if (folder / "data" / "datasets").is_dir() and (folder / "data" / "tasks").is_dir():
            return _checked(folder)
    where = Path(given[0]).expanduser() if given else managed_folder() / "root"
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
        version = json.loads(read_text(specs))["db_version"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DamagedDataError(f"Expected a task's specification in {specs}, got {error!r}; try {_INSTALL}.") from error
    if version != DATA_VERSION:
        raise DamagedDataError(
            f"Expected AppWorld data {DATA_VERSION} in {folder / 'data'}, got {version}, which {PACKAGE} refuses; "
            f"try {_INSTALL}."
        )
    return folder
