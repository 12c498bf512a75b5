"""AntiSD (arXiv 2605.11609): a penalty on tokens that are more probable with the privileged context than without it.

With u the teacher's gap of a token and c a successful rollout of the same task::

    u_t = log π_T(y_t | x, c, y_<t) − log π_S(y_t | x, y_<t)
    φ(u) = ½ (softplus(u) − log 2)
    Â_t = A − g λ φ(u_t)                                    λ = 0.5

The bonus is at most ½ log 2; the penalty is not bounded. The first ``warmup`` updates (5) measure the median entropy of
the teacher and have no penalty. Then the gate g closes where the median falls below ``low`` (0.93) times the measured
one, and opens again where it reaches it. The paper has no results for agents.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from math import log
from typing import Any, ClassVar

import numpy as np

from agentgym_hindsight.baselines.methods.base import Method, Tokens
from agentgym_hindsight.baselines.methods.credit import GroupRelative
from agentgym_hindsight.baselines.methods.evidence import Evidence
from agentgym_hindsight.baselines.methods.rows import Array, Rows
from agentgym_hindsight.baselines.methods.schedules import Constant
from agentgym_hindsight.baselines.methods.teachers import TeacherSpec
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.spec import ContextSpec

__all__ = ["METHOD", "AntiSD", "antisd_phi"]


@dataclass(frozen=True)
class AntiSD(Method):
    """A penalty of tokens that the context explains, with a gate on the teacher's entropy."""

    warmup: int = 5
    low: float = 0.93

    weights_updates: ClassVar[bool] = True
    scores_zero_advantages: ClassVar[bool] = True
    whole_batch: ClassVar[bool] = True
    uses_teacher_entropy: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.warmup < 0 or not 0 < self.low <= 1:
            raise UsageError(
                f"Expected warmup of 0 or more and 0 < low ≤ 1, got {self.warmup} and {self.low}; try 5 and 0.93."
            )

    def update_advantages(
        self, rows: Rows, advantages: Array, evidence: Evidence, lam: float, memory: MutableMapping[str, Any]
    ) -> list[Array | None]:
        scored = [entropy for entropy in evidence.entropies if entropy is not None and len(entropy)]
        if not scored:
            return [None] * len(rows)
        is_open = self.gate(float(np.median(np.concatenate(scored))), memory)
        strength = lam if is_open else 0.0
        return [
            None if gap is None else advantage - strength * antisd_phi(gap)
            for advantage, gap in zip(advantages.tolist(), evidence.gaps, strict=True)
        ]

    def gate(self, entropy: float, memory: MutableMapping[str, Any]) -> bool:
        """Whether the penalty applies to this update, from the median entropy of the teacher."""
        warm: list[float] = memory.setdefault("warm_entropies", [])
        if len(warm) < self.warmup:
            warm.append(entropy)
            return False
        if warm:
            reference = sum(warm) / len(warm)
            if entropy < self.low * reference:
                memory["open"] = False
            elif entropy >= reference:
                memory["open"] = True
        is_open: bool = memory.setdefault("open", True)
        return is_open


def antisd_phi(u: Array) -> Array:
    """``½·(softplus(u) − log 2)``.

    >>> antisd_phi(np.array([-5.0, 0.0, 5.0])).round(4).tolist()
    [-0.3432, 0.0, 2.1568]
    """
    phi: Array = (np.logaddexp(0.0, u) - log(2)) / 2
    return phi


PAPER = "arXiv 2605.11609"
EVIDENCE = "notes"
METHOD = AntiSD(
    "antisd",
    GroupRelative(),
    what=ContextSpec.parse("success"),
    who=TeacherSpec("current"),
    tokens=Tokens("response"),
    when=Constant(0.5),
)
