"""The interface through which a run reports its progress."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Observer", "SilentObserver"]


class Observer(Protocol):
    """Receives the stages of a run, the steps within a stage, and messages.

    ``advance`` is also called between steps, with ``steps=0``, when only the note has changed.
    """

    def stage(self, name: str, total: int) -> None: ...
    def advance(self, note: str = "", steps: int = 1) -> None: ...
    def say(self, text: str) -> None: ...


class SilentObserver:
    """Ignores everything."""

    def stage(self, name: str, total: int) -> None:
        """Ignore a stage."""

    def advance(self, note: str = "", steps: int = 1) -> None:
        """Ignore a step."""

    def say(self, text: str) -> None:
        """Ignore a message."""
