"""Wall-clock seconds of an update by phase."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["PhaseTimer"]


class PhaseTimer:
    """Adds up the seconds of named phases.

    >>> timer = PhaseTimer()
    >>> with timer.phase("rollout"):
    ...     pass
    >>> list(timer.seconds)
    ['rollout']
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._end = self._inside = 0.0

    def reset(self) -> None:
        """Start from zero, for the next update."""
        self.seconds = {}
        self._inside = 0.0

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the seconds of the block to a phase, without those of phases inside of it."""
        started, outer, self._inside = time.perf_counter(), self._inside, 0.0
        yield
        self._end = time.perf_counter()
        elapsed = self._end - started
        self.seconds[name] = self.seconds.get(name, 0.0) + elapsed - self._inside
        self._inside = outer + elapsed

    def extend(self, name: str) -> None:
        """Add the seconds since the end of the last block to a phase."""
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - self._end
