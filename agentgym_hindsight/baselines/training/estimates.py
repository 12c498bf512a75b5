"""How long a phase of a run will take, measured on its first steps and said once."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["PhaseEstimate", "duration"]

_WORTH_SAYING = 10.0  # seconds; a shorter phase is over before its estimate is read


def duration(seconds: float) -> str:
    """A duration in words.

    >>> duration(42), duration(100), duration(5400)
    ('42 seconds', '1.7 minutes', '1.5 hours')
    """
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.1f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


class PhaseEstimate:
    """Says once, after the first ``after`` steps of a phase, how long all of them take.

    The first step is not measured if there are others: it includes what is done only once. ``at_most`` marks a total
    that is an upper bound. Nothing is said about a phase of less than ten seconds.

    >>> clock = iter((0.0, 5.0, 8.0)).__next__
    >>> estimate = PhaseEstimate("warm start", 101, "steps", print, after=2, clock=clock)
    >>> estimate.advance()
    >>> estimate.advance()
    warm start: about 5.1 minutes for 101 steps (measured on 1)
    """

    def __init__(
        self,
        phase: str,
        total: int,
        unit: str,
        say: Callable[[str], object],
        *,
        after: int = 1,
        at_most: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._phase, self._total, self._unit, self._say = phase, total, unit, say
        self._after, self._at_most, self._clock = after, at_most, clock
        self._begin, self._first, self._skipped = clock(), 0.0, 0
        self._done, self._said = 0, False

    def advance(self, steps: int = 1) -> None:
        """Count steps."""
        if self._said or steps < 1:
            return
        self._done += steps
        if self._done < self._after:
            if not self._skipped:
                self._first, self._skipped = self._clock(), self._done
            return
        self._said = True
        now = self._clock()
        measured = self._done - self._skipped
        each = (now - (self._first if self._skipped else self._begin)) / measured
        seconds = (self._first - self._begin if self._skipped else 0.0) + each * (self._total - self._skipped)
        if seconds >= _WORTH_SAYING and self._done < self._total:
            about = "at most about" if self._at_most else "about"
            self._say(
                f"{self._phase}: {about} {duration(seconds)} for {self._total:,} {self._unit} "
                f"(measured on {measured:,})"
            )
