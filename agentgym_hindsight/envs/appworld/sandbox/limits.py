"""How much a turn may take, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

from agentgym_hindsight.errors import UsageError

__all__ = ["KINDS", "Limits", "Outcome"]

_MOST = 10**9  # of anything: beyond it the system's own numbers overflow
_SHALLOWEST = 100

#: How a turn can fail.
KINDS = ("", "syntax", "exception", "timeout", "memory", "died", "protocol")


@dataclass(frozen=True)
class Limits:
    """What code may use. Whatever is exceeded becomes feedback, never an exception of the env.

    >>> Limits(seconds=0)
    Traceback (most recent call last):
    agentgym_hindsight.errors.UsageError: Expected seconds above 0, got 0; try a positive number.
    """

    seconds: float = 5.0  # of the wall clock, per turn: then an exception stops the code and variables are kept
    grace: float = 1.0  # further seconds until the worker is killed, for code that did not stop
    cpu_seconds: int = 600  # of the processor, for the life of a worker
    memory_mb: int = 256  # on top of the bare interpreter
    output_chars: int = 10_000  # printed in a turn; the middle of more is left out
    error_chars: int = 4_000
    code_chars: int = 100_000
    calls: int = 500  # API calls a turn
    recursion: int = 1_000  # Python's own recursion limit
    frame_bytes: int = 1 << 20  # of one message from the worker: an API call's arguments
    reply_bytes: int = 4 << 20  # of one API's answer

    def __post_init__(self) -> None:
        for field in fields(self):
            name, value = field.name, getattr(self, field.name)
            if not isinstance(value, (int, float)) or isinstance(value, bool) or not value > 0:
                raise UsageError(f"Expected {name} above 0, got {value!r}; try a positive number.")
            if isinstance(value, float) and name not in ("seconds", "grace"):
                raise UsageError(
                    f"Expected {name} as a whole number, got {value!r}; try {max(1, int(min(value, _MOST)))}."
                )
            if value > _MOST:
                raise UsageError(f"Expected {name} of at most {_MOST}, got {value!r}; try a smaller number.")
        if self.recursion < _SHALLOWEST:
            raise UsageError(
                f"Expected recursion of at least {_SHALLOWEST}, which the interpreter needs for itself, "
                f"got {self.recursion}; try recursion={_SHALLOWEST}."
            )
        needed = 12 * self.output_chars + 12 * self.error_chars + (1 << 17)  # a character may take 12 bytes on the way
        if self.frame_bytes < needed:
            object.__setattr__(self, "frame_bytes", needed)


class Outcome(NamedTuple):
    """How a turn went."""

    output: str  # what was printed, and nothing else
    error: str  # "" or the useful end of the traceback
    kind: str  # one of KINDS
    fresh: bool  # the interpreter had to be replaced: variables are lost, as the error says
    shape: str  # canonical text of the live variables' shape; "" where there are none or it is unknown
