"""The error of a client that is not installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from agentgym_hindsight.errors import HindsightError

__all__ = ["MissingClientError", "missing_client"]


class MissingClientError(HindsightError, ImportError):
    """The client of an export is not installed, or in a version whose interface is another one."""


def missing_client(package: str, requirement: str, error: ImportError) -> MissingClientError:
    """The error to raise when importing a client failed. It says what is installed, and what to install."""
    try:
        found = f"{package} {version(package)}, whose import failed ({error})"
    except PackageNotFoundError:
        found = "no such package"
    return MissingClientError(f"Expected {requirement}, got {found}; try: pip install '{requirement}'")
