"""Who is told how a run gets on."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Observer", "Silent"]


class Observer(Protocol):
    """Hears of stages and of steps within them; all of it is optional news.

    ``advance`` is called between steps too, with ``steps=0``: only what is noted has changed.
    """

    def stage(self, name: str, total: int) -> None: ...
    def advance(self, note: str = "", steps: int = 1) -> None: ...
    def say(self, text: str) -> None: ...


class Silent:
    """Hears everything and says nothing."""

    def stage(self, name: str, total: int) -> None:
        """No news."""

    def advance(self, note: str = "", steps: int = 1) -> None:
        """No news."""

    def say(self, text: str) -> None:
        """No news."""
