"""Schedules: a coefficient as a function of the number of completed updates, and their text form."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Protocol, runtime_checkable

from agentgym_hindsight.errors import UsageError

__all__ = ["Constant", "LinearDecay", "Schedule", "Window", "parse_schedule"]

_EXAMPLES = "'0.5', '0.5->0/50' or '0.5->0/50@11-49'"


@runtime_checkable
class Schedule(Protocol):
    """A function from ``k``, the number of completed updates (0 for the first update), to a coefficient."""

    def __call__(self, k: int) -> float: ...


@dataclass(frozen=True, slots=True)
class Constant:
    """The same coefficient at every update.

    >>> Constant(0.01)(149), str(Constant(0.01))
    (0.01, '0.01')
    """

    value: float

    def __post_init__(self) -> None:
        _check_finite("value", self.value)

    def __call__(self, k: int) -> float:
        _check_update(k)
        return self.value

    def __str__(self) -> str:
        return _short(self.value)


@dataclass(frozen=True, slots=True)
class LinearDecay:
    """``start · max(0, 1 − k/steps)``, which is exactly 0 from update ``steps`` on. ``steps=0`` means no decay.

    The defaults are SERL's and RLSD's.

    >>> decay = LinearDecay()
    >>> [decay(k) for k in (0, 10, 25, 50, 60)], str(decay)
    ([0.5, 0.4, 0.25, 0.0, 0.0], '0.5->0/50')
    """

    start: float = 0.5
    steps: int = 50

    def __post_init__(self) -> None:
        _check_finite("start", self.start)
        if self.steps < 0:
            raise UsageError(f"Expected steps of 0 or more, got {self.steps}; try 50, or 0 for no decay.")

    def __call__(self, k: int) -> float:
        _check_update(k)
        return self.start * max(0.0, 1 - k / self.steps) if self.steps else self.start

    def __str__(self) -> str:
        return f"{_short(self.start)}->0/{self.steps}"


@dataclass(frozen=True, slots=True)
class Window:
    """Another schedule from update ``first`` to update ``last`` (inclusive), and 0 elsewhere.

    The inner schedule is not shifted; it counts from update 0. FACTOR's schedule is

    >>> eta = Window(LinearDecay(0.7, 50), 11, 49)
    >>> eta(10), round(eta(20), 6), eta(50), str(eta)
    (0.0, 0.42, 0.0, '0.7->0/50@11-49')
    """

    inner: Schedule
    first: int
    last: int

    def __post_init__(self) -> None:
        if not 0 <= self.first <= self.last:
            raise UsageError(
                f"Expected a window with 0 ≤ first ≤ last, got {self.first} to {self.last}; "
                "try 11 and 49, as in '0.5->0/50@11-49'."
            )

    def __call__(self, k: int) -> float:
        _check_update(k)
        return self.inner(k) if self.first <= k <= self.last else 0.0

    def __str__(self) -> str:
        return f"{self.inner}@{self.first}-{self.last}"


def parse_schedule(text: str) -> Constant | LinearDecay | Window:
    """Parse the text of a schedule; ``str`` of a schedule gives the text.

    ``"0.5"`` is constant, ``"0.5->0/50"`` decays to 0 in 50 updates, and the suffix ``@11-49`` restricts either to
    these updates.

    >>> parse_schedule("0.5->0/50@11-49")
    Window(inner=LinearDecay(start=0.5, steps=50), first=11, last=49)
    """
    inner, at, window = text.rpartition("@")
    if at:
        first, dash, last = window.partition("-")
        if not dash:
            raise UsageError(f"Expected a window such as '@11-49', got {text!r}; try {_EXAMPLES}.")
        return Window(parse_schedule(inner), _whole(first, text), _whole(last, text))
    start, arrow, rest = text.partition("->")
    if not arrow:
        return Constant(_number(text, text))
    end, slash, steps = rest.partition("/")
    if not slash or _number(end, text) != 0:
        raise UsageError(
            f"Expected a decay that ends in '->0/' and a number of updates, got {text!r}; try {_EXAMPLES}."
        )
    return LinearDecay(_number(start, text), _whole(steps, text))


def _number(part: str, text: str) -> float:
    try:
        value = float(part)
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        raise UsageError(f"Expected a number for {part.strip()!r}, got the schedule {text!r}; try {_EXAMPLES}.")
    return value


def _whole(part: str, text: str) -> int:
    # int() would also accept '1_0' and '-3'.
    if not (part.strip().isascii() and part.strip().isdigit()):
        raise UsageError(
            f"Expected a whole number of updates for {part.strip()!r}, got the schedule {text!r}; try {_EXAMPLES}."
        )
    return int(part)


def _short(value: float) -> str:
    # repr keeps every digit, so parsing the text gives the same value; a whole number needs no '.0'.
    return repr(float(value)).removesuffix(".0")


def _check_finite(name: str, value: float) -> None:
    if not isfinite(value):
        raise UsageError(f"Expected a finite {name}, got {value}; try 0.5.")


def _check_update(k: int) -> None:
    if k < 0:
        raise UsageError(f"Expected a number of completed updates, got {k}; try 0 for the first update.")
