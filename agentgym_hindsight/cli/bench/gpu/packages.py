"""Which packages ``make gpu`` needs and which are there: ``python packages.py`` prints a table and what is missing.

Uses only the standard library, so that it also runs where nothing is installed. It does not import the package that it
is part of.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

__all__ = ["PACKAGES", "Found", "Package", "find", "main", "report"]


class Package(NamedTuple):
    """A package by its name on an index, the range of versions, and what does not work without it.

    Without a ``purpose`` nothing works.
    """

    name: str
    wanted: str
    purpose: str = ""


class Found(NamedTuple):
    """A package and its installed version, "" if there is none."""

    package: Package
    installed: str

    @property
    def fits(self) -> bool:
        """Whether the installed version is in the range."""
        return bool(self.installed) and in_range(self.installed, self.package.wanted)


#: The ranges are those of pyproject.toml (tests/gpu/test_packages.py compares them).
PACKAGES = (
    Package("gymnasium", ">=1.2"),
    Package("httpcore", ">=1.0.7"),
    Package("numpy", ">=1.24"),
    Package("rapidfuzz", ">=3.6"),
    Package("rich", ">=13"),
    Package("torch", ">=2.6"),
    Package("transformers", ">=4.56.2"),
    Package("trl", ">=1.15,<1.17"),
    Package("pyyaml", ">=6"),
    Package("flask", ">=3.0", "pages in a browser: not needed here"),
    Package("peft", ">=0.17", "LoRA: its cases are left out"),
    Package("vllm", ">=0.22,<0.33", "vLLM: its cases are left out"),
    Package("pytest", ">=8", "the tests marked gpu: they are left out"),
)


def find(packages: tuple[Package, ...] = PACKAGES) -> list[Found]:
    """The installed versions."""
    found = []
    for package in packages:
        try:
            found.append(Found(package, version(package.name)))
        except PackageNotFoundError:
            found.append(Found(package, ""))
    return found


def in_range(installed: str, wanted: str) -> bool:
    """Whether a version is in a range.

    >>> in_range("1.16.0+cu130", ">=1.15,<1.17"), in_range("1.17.0", ">=1.15,<1.17"), in_range("2.6", ">=2.6.0")
    (True, False, True)
    """
    have = _numbers(installed)
    for bound in wanted.split(","):
        sign, limit = (">=", bound[2:]) if bound.startswith(">=") else ("<", bound[1:])
        if (have >= _numbers(limit)) != (sign == ">="):
            return False
    return True


def _numbers(text: str) -> tuple[int, ...]:
    numbers = [int(part) for part in re.match(r"[0-9.]*", text).group().split(".") if part]  # type: ignore[union-attr]
    return (*numbers, 0, 0, 0)[:3]


def report(found: list[Found]) -> tuple[list[str], bool]:
    """Lines for the terminal, and whether everything can start."""
    lines = []
    for each in found:
        note = each.installed or "missing"
        if not each.installed:
            note += f": {each.package.purpose}" if each.package.purpose else ": nothing works without it"
        elif not each.fits:
            note += f": not in {each.package.wanted}, the range that was tested"
        lines.append(f"{each.package.name:<14}{note}")
    missing = [each.package for each in found if not each.installed]
    needed = [f"{package.name}{package.wanted}" for package in missing if not package.purpose]
    if needed:
        lines.append(f"Missing: {', '.join(needed)}. Nothing was started, and nothing is installed by this command.")
    elif missing:
        lines.append(f"Missing, not needed for the rest: {', '.join(package.name for package in missing)}.")
    return lines, not needed


def main() -> int:
    """Print the report. Status 1 if nothing can start, 3 if only the tests cannot."""
    found = find()
    lines, can_start = report(found)
    print(f"Python {sys.version.split()[0]}, {sys.executable}")
    print("\n".join(lines), flush=True)
    if not can_start:
        return 1
    return 0 if next(each for each in found if each.package.name == "pytest").installed else 3


if __name__ == "__main__":
    raise SystemExit(main())
