"""Downloads the package ``bfcl-eval`` with pip, checks it, and unpacks it into a folder of its own.

Its dependencies are not installed: they pin NumPy and need gigabytes. The multi-turn part needs only ``mpmath``.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from agentgym_hindsight.envs.bfcl.official.library import official_library
from agentgym_hindsight.envs.bfcl.official.package import VERSIONS, Package, find_package, managed_folder
from agentgym_hindsight.envs.bfcl.official.rows import CATEGORIES
from agentgym_hindsight.envs.trusted_folders import make_folder
from agentgym_hindsight.errors import BackendError, DamagedDataError, HindsightError, UnknownNameError

__all__ = ["WHEELS", "download", "installed", "unpack", "verify"]

#: Requirement → the SHA-256 hash of its wheel.
WHEELS: Mapping[str, str] = {
    "bfcl-eval==2026.3.23": "3bb6dfa5f0c68ad403c9ec50b00db2bb3b4cc9b38ab1ff33f48fe30d853d3a0a",
    "bfcl-eval==2025.7.17": "1982d6804db2389d9f241d5ded49286ca47d9654fc518ea70857f5051217f88b",
    "mpmath==1.3.0": "a0b2b9fe80bbcd81a6647ff13108738cfb482d481d826cc0e02f5b35e5c88d2c",
}
#: Bytes that a wheel may unpack to.
_LARGEST = 500_000_000


def installed(version: str) -> Package | None:
    """The package of :func:`unpack`, or None."""
    if version not in VERSIONS:
        raise UnknownNameError("version of bfcl-eval", version, VERSIONS)
    try:
        return find_package(managed_folder(version), version)
    except HindsightError:
        return None


def download(requirement: str, folder: Path, python: str = sys.executable) -> Path:
    """Download the wheel of one of :data:`WHEELS` and check its hash."""
    command = [python, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=1_800, check=False)
    name = requirement.partition("==")[0].replace("-", "_")
    wheels = sorted(folder.glob(f"{name}-*.whl"))
    if done.returncode or not wheels:
        raise BackendError(
            f"Expected to download {requirement}, got exit status {done.returncode} of `{' '.join(command)}`: "
            f"{done.stderr.strip()[-300:]}; try a package index that can be reached (PIP_INDEX_URL)."
        )
    check_hash(requirement, wheels[0])
    return wheels[0]


def check_hash(requirement: str, wheel: Path) -> None:
    """Raise if a wheel is not the one that is known."""
    found = sha256(wheel.read_bytes()).hexdigest()
    if found != WHEELS[requirement]:
        raise DamagedDataError(
            f"Expected the wheel of {requirement} with the SHA-256 hash {WHEELS[requirement]}, got {found}; "
            "try another package index."
        )


def unpack(wheels: list[Path], folder: Path) -> None:
    """Unpack wheels into a new folder, which appears only when it is complete."""
    make_folder(folder.parent)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unpacking-") as temporary:
        made = Path(temporary) / "made"
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as archive:
                if sum(each.file_size for each in archive.infolist()) > _LARGEST:
                    raise DamagedDataError(f"Expected a wheel below {_LARGEST} bytes, got a larger {wheel.name}.")
                for name in archive.namelist():
                    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\\" in name:
                        raise DamagedDataError(f"Expected paths in {wheel.name} below its folder, got {name!r}.")
                archive.extractall(made)
        if folder.exists():  # an earlier one that is not usable
            shutil.rmtree(folder)
        made.rename(folder)


def requirements(version: str) -> list[str]:
    """The wheels that are needed: the package and, unless it is importable, ``mpmath``."""
    return [f"bfcl-eval=={version}", *([] if find_spec("mpmath") else ["mpmath==1.3.0"])]


def verify(package: Package) -> dict[str, int]:
    """Play the reference of the first task of each category. Returns the number of tasks by category."""
    counts = {}
    for category in CATEGORIES:
        library = official_library(package.folder, package.version, category)
        entries = library.contents.entries(category)
        episode = library.open(entries[0])
        for turn in entries[0].answer:
            for text in turn:
                episode.run_text(text)
            check = episode.end_turn()
            if not check.passed:
                raise DamagedDataError(
                    f"Expected the reference of {entries[0].id} to pass, got {check.message}; "
                    "try installing bfcl-eval again."
                )
        counts[category] = len(entries)
    return counts
