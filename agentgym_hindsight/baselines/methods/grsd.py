"""GRSD (arXiv 2607.28076): a factor for each turn from the mean gap of its tokens, compared within the group.

In groups with a success and a failure, with δ̄ the mean over a turn's tokens of ``Δ = log π_T − log π_θ``::

    s = expm1( clip(sgn(A)·δ̄, −20, 20) )        s ← s / (mean over the group of |s| + 1e-6), 0 where |s| ≤ η
    Â = A · max( 1 + λ · clip(s, −g_max, g_max), 0.1 )            λ = 0.5, g_max = 0.2 (the ALFWorld script), η = 0

Other groups keep A. The paper's context is written by the policy: reflections on all rollouts of the group, fused into
points to do and mistakes to avoid. Here it is a successful rollout of the same task, which needs no writing.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
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

__all__ = ["GRSD", "METHOD", "turn_factors"]


@dataclass(frozen=True)
class GRSD(Method):
    """Factors of turns from their mean gap. ``g_max`` bounds the change, ``dead_zone`` is η."""

    g_max: float = 0.2
    dead_zone: float = 0.0

    weights_updates: ClassVar[bool] = True
    scores_zero_advantages: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.g_max > 0 or self.dead_zone < 0:
            raise UsageError(
                f"Expected g_max above 0 and dead_zone of 0 or more, got {self.g_max} and {self.dead_zone}; "
                "try g_max=0.2, dead_zone=0."
            )

    def update_advantages(
        self, rows: Rows, advantages: Array, evidence: Evidence, lam: float, memory: MutableMapping[str, Any]
    ) -> list[Array | None]:
        gaps = evidence.gaps
        assert rows.won is not None
        result: list[Array | None] = [None] * len(rows)
        for group in np.unique(rows.group).tolist():
            members = np.flatnonzero(rows.group == group)
            scored = [row for row in members.tolist() if gaps[row] is not None]
            if not scored or rows.won[members].all() or not rows.won[members].any():
                continue
            means = np.array([np.mean(gaps[row], dtype=np.float64) for row in scored])
            factors = turn_factors(means, advantages[scored], lam, g_max=self.g_max, dead_zone=self.dead_zone)
            for row, factor in zip(scored, factors.tolist(), strict=True):
                result[row] = np.full(len(gaps[row]), advantages[row] * factor)
        return result


def turn_factors(gaps: Array, advantages: Array, lam: float, *, g_max: float = 0.2, dead_zone: float = 0.0) -> Array:
    """The factor of every turn of a group from its mean gap and its advantage.

    >>> turn_factors(np.array([0.1, -0.2, 0.05]), np.array([1.0, 1.0, -1.0]), 0.5).round(6).tolist()
    [1.1, 0.9, 0.9]
    """
    # Clamping the gap before multiplying by the sign gives the same result and avoids 0 · inf.
    strength = np.expm1(np.sign(advantages) * np.clip(gaps, -20.0, 20.0))
    strength = strength / (np.abs(strength).mean() + 1e-6)
    strength = np.where(np.abs(strength) > dead_zone, strength, 0.0)
    return np.maximum(1 + lam * np.clip(strength, -g_max, g_max), 0.1)


PAPER = "arXiv 2607.28076"
EVIDENCE = "code"
METHOD = GRSD(
    "grsd",
    GroupRelative(),
    what=ContextSpec.parse("success"),
    who=TeacherSpec("current"),
    tokens=Tokens("response"),
    when=Constant(0.5),
    kl=0.01,
)
