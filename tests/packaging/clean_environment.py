"""A virtual environment with the package's core dependencies and nothing else, made without a download.

The dependencies are links to the distributions that this interpreter has. Extras, and everything else that is installed
here, are invisible inside.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path

__all__ = ["make_environment"]


def make_environment(folder: Path, wheel: Path) -> Path:
    """Create the environment, install the wheel into it, and return its interpreter."""
    venv.EnvBuilder(with_pip=False, symlinks=os.name == "posix").create(folder)
    python = folder / "bin" / "python"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip())
    for name in sorted(_closure(_core_requirements())):
        _link(name, site)
    # pip of this interpreter installs into the other one: `--python` needs no pip there.
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python), "install"]
    subprocess.run([*command, "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
    return python


def _core_requirements() -> list[str]:
    return [text for text in metadata.requires("agentgym-hindsight") or () if "extra ==" not in text]


def _closure(requirements: list[str]) -> set[str]:
    """The names of the required distributions and of those that they require, without extras."""
    found: set[str] = set()
    todo = [_name(text) for text in requirements]
    while todo:
        name = todo.pop()
        if name in found:
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # required on other systems or Python versions only
        found.add(name)
        todo += [_name(text) for text in distribution.requires or () if "extra ==" not in text]
    return found


def _name(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None, requirement
    return match[0].lower().replace("_", "-")


def _link(name: str, site: Path) -> None:
    """Link the top-level files and folders of a distribution into another site-packages folder."""
    distribution = metadata.distribution(name)
    tops = {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}
    for top in tops:
        source = Path(str(distribution.locate_file(top)))
        if source.exists() and not (site / top).exists():
            (site / top).symlink_to(source)
