"""The package ``bfcl-eval`` for tests: from ``build/bfcl-eval/<version>``, or where the library finds it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from agentgym_hindsight.envs.bfcl.official import OfficialLibrary, Package, find_package, official_library
from agentgym_hindsight.envs.bfcl.official.package import DEFAULT_VERSION
from agentgym_hindsight.errors import MissingDataError

__all__ = ["V3", "V4", "library", "package"]

V4, V3 = DEFAULT_VERSION, "2025.7.17"


@cache
def _found(version: str) -> Package | MissingDataError:
    built = Path(__file__).parents[1] / "build" / "bfcl-eval" / version
    try:
        found = find_package(built if built.is_dir() else None, version)
        found.modules()
    except MissingDataError as error:
        return error
    return found


for _version in (V4, V3):
    _found(_version)  # now, and not in a test that hides the packages


def package(version: str = V4) -> Package:
    """The package; the test is skipped without it."""
    found = _found(version)
    if isinstance(found, MissingDataError):
        pytest.skip(f"no bfcl-eval {version}: {found}")
    return found


def library(version: str = V4, category: str = "all", recipe: str = "number") -> OfficialLibrary:
    """The tasks of the package."""
    return official_library(package(version).folder, version, category, recipe)
