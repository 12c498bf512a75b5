"""Ctrl-C during training: the first one ends the run after the current update, the second one at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from agentgym_hindsight.baselines.training.progress import Observer

__all__ = ["StopFlag", "Stopped"]


class Stopped(KeyboardInterrupt):
    """The run stopped on request, after it completed its update and wrote a checkpoint."""


class StopFlag:
    """Stores that Ctrl-C was pressed, until the update is complete."""

    def __init__(self) -> None:
        self.requested = False

    @contextmanager
    def listening(self, observer: Observer) -> Iterator[None]:
        """Handle SIGINT inside the block. Outside of the main thread, the caller handles it."""

        def handle(signum: int, frame: Any) -> None:
            if self.requested:
                raise KeyboardInterrupt
            self.requested = True
            observer.say("stopping after this update; press Ctrl-C again to stop at once")

        try:
            before = signal.signal(signal.SIGINT, handle)
        except ValueError:  # not the main thread
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
