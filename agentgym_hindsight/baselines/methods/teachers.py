"""Which weights the teacher has: the policy's current ones, an earlier copy, a moving average, or the initial ones.

``baselines.training.teacher_weights`` stores the weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Literal

from agentgym_hindsight.errors import UnknownNameError, UsageError

__all__ = ["TeacherSpec"]

_KINDS = ("current", "sync", "ema", "frozen")


@dataclass(frozen=True, slots=True)
class TeacherSpec:
    """``current`` · ``sync:n`` (hard copy every n updates) · ``ema:rate`` (θ_T ← (1−rate)·θ_T + rate·θ) · ``frozen``.

    >>> TeacherSpec.parse("sync:10")
    TeacherSpec(kind='sync', value=10.0)
    >>> str(TeacherSpec.parse("ema:0.05"))
    'ema:0.05'
    """

    kind: Literal["current", "sync", "ema", "frozen"] = "current"
    value: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise UnknownNameError("teacher", self.kind, _KINDS)
        if not isfinite(self.value):
            raise UsageError(f"Expected a finite number, got {self.kind}:{self.value:g}; try sync:10 or ema:0.05.")
        if self.kind in ("current", "frozen") and self.value:
            raise UsageError(f"Expected {self.kind} without a number, got {self.kind}:{self.value:g}; try {self.kind}.")
        if self.kind == "sync" and (self.value < 1 or self.value != int(self.value)):
            raise UsageError(f"Expected sync:n with n ≥ 1 updates, got sync:{self.value:g}; try sync:10.")
        if self.kind == "ema" and not 0 < self.value <= 1:
            raise UsageError(f"Expected ema:rate with 0 < rate ≤ 1, got ema:{self.value:g}; try ema:0.05.")

    @classmethod
    def parse(cls, text: str) -> TeacherSpec:
        """Read ``"current"``, ``"sync:10"``, ``"ema:0.05"`` or ``"frozen"``."""
        kind, _, value = text.partition(":")
        try:
            number = float(value or {"sync": 10, "ema": 0.05}.get(kind, 0))
        except ValueError:
            raise UsageError(f"Expected a number after {kind}:, got {value!r}; try sync:10 or ema:0.05.") from None
        return cls(kind, number)  # type: ignore[arg-type]  # checked above

    def __str__(self) -> str:
        # repr keeps every digit, so parsing the text gives the same value.
        value = repr(float(self.value)).removesuffix(".0")
        return f"{self.kind}:{value}" if self.kind in ("sync", "ema") else self.kind
