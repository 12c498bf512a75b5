"""The resource limits of a turn, and its outcome."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

from agentgym_hindsight.errors import UsageError

__all__ = ["KINDS", "Limits", "Outcome"]

_MAXIMUM = 10**9  # of every limit: larger values overflow the integers of the system calls
_LOWEST_RECURSION = 100

#: How a turn can fail.
KINDS = ("", "syntax", "exception", "timeout", "memory", "died", "protocol")


@dataclass(frozen=True)
class Limits:
    """What the code of the agent may use. Exceeding a limit gives feedback, never an exception in the env.

    >>> Limits(seconds=0)
    Traceback (most recent call last):
    agentgym_hindsight.errors.UsageError: Expected seconds above 0, got 0; try a positive number.
    """

    seconds: float = 5.0  # wall-clock time of a turn; then an exception stops the code and variables are kept
    grace: float = 1.0  # further seconds until a worker whose code did not stop is killed
    cpu_seconds: int = 600  # processor time of a worker, over all its turns
    memory_mb: int = 256  # in addition to the memory of the bare interpreter
    output_chars: int = 10_000  # printed in a turn; longer output loses its middle
    error_chars: int = 4_000
    code_chars: int = 100_000
    calls: int = 500  # API calls in a turn
    recursion: int = 1_000  # Python's recursion limit
    frame_bytes: int = 1 << 20  # one message from the worker, such as an API call with its arguments
    reply_bytes: int = 4 << 20  # one reply of an API

    def __post_init__(self) -> None:
        for field in fields(self):
            name, value = field.name, getattr(self, field.name)
            if not isinstance(value, (int, float)) or isinstance(value, bool) or not value > 0:
                raise UsageError(f"Expected {name} above 0, got {value!r}; try a positive number.")
            if isinstance(value, float) and name not in ("seconds", "grace"):
                raise UsageError(
                    f"Expected {name} as a whole number, got {value!r}; try {max(1, int(min(value, _MAXIMUM)))}."
                )
            if value > _MAXIMUM:
                raise UsageError(f"Expected {name} of at most {_MAXIMUM}, got {value!r}; try a smaller number.")
        if self.recursion < _LOWEST_RECURSION:
            raise UsageError(
                f"Expected recursion of at least {_LOWEST_RECURSION}, which the interpreter needs for itself, "
                f"got {self.recursion}; try recursion={_LOWEST_RECURSION}."
            )
        # JSON in ASCII takes up to 12 bytes for a character.
        needed = 12 * self.output_chars + 12 * self.error_chars + (1 << 17)
        if self.frame_bytes < needed:
            object.__setattr__(self, "frame_bytes", needed)


class Outcome(NamedTuple):
    """The result of a turn."""

    output: str  # what was printed, and nothing else
    error: str  # "", or the part of the traceback that lies in the agent's code
    kind: str  # one of KINDS
    fresh: bool  # the interpreter was replaced, so variables are lost; `error` mentions it
    shape: str  # names, types and lengths of the live variables; "" if there are none or if they are unknown
