"""The question before something is installed."""

from __future__ import annotations

import sys

from agentgym_hindsight.errors import UsageError

__all__ = ["confirm"]


def confirm() -> None:
    """Ask at the terminal. Raises unless the answer is yes."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("Expected --yes or a terminal for the question, got neither; try --yes, or --dry-run first.")
    if input("Continue? [y/N] ").strip().lower() not in ("y", "yes"):
        raise UsageError("Expected yes, got no; nothing was installed. Try --dry-run to see the steps.")
