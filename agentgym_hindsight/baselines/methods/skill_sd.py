"""Skill-SD (arXiv 2605.15155's baseline): GRPO, and a KL estimate to a teacher with privileged text.

With ℓ = log π_θ − log π_T of a sampled token and ρ = π_θ/π_old::

    L = L_GRPO + λ · mean over tokens of ρ_t·(e^(−ℓ_t) − 1 + ℓ_t)      λ = 0.001

ρ carries gradient: only then is the expected gradient that of KL(π_θ ‖ π_T) (our reading; where ρ is 1 its value is 1).
The teacher is the policy itself after a successful rollout of the same task; in the paper, after a skill.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentgym_hindsight.baselines.methods.base import Tokens
from agentgym_hindsight.baselines.methods.credit import GroupRelative
from agentgym_hindsight.baselines.methods.evidence import Evidence
from agentgym_hindsight.baselines.methods.imitation import TeacherLoss
from agentgym_hindsight.baselines.methods.rows import Array, Rows
from agentgym_hindsight.baselines.methods.schedules import Constant
from agentgym_hindsight.baselines.methods.teachers import TeacherSpec
from agentgym_hindsight.hindsight.spec import ContextSpec

if TYPE_CHECKING:  # methods can be listed without torch
    from torch import Tensor

    from agentgym_hindsight.baselines.methods.batch import Batch, Scores

__all__ = ["METHOD", "SkillSD"]


@dataclass(frozen=True)
class SkillSD(TeacherLoss):
    """GRPO with the k3 estimate of the KL to a teacher."""

    def update_signals(
        self, rows: Rows, advantages: Array, evidence: Evidence, lam: float, memory: MutableMapping[str, Any]
    ) -> list[Array | None]:
        """``log π_old`` of the tokens, for the ratio."""
        return list(evidence.logps)

    def token_losses(self, batch: Batch, student: Scores, teacher: Scores) -> Tensor:
        from agentgym_hindsight.baselines.methods.divergences import k3

        losses = k3((student.logps - teacher.logps.detach()).clamp(-20.0, 20.0))
        if batch.signals is None:
            return losses
        return losses * (student.logps - batch.signals).clamp(-20.0, 20.0).exp()


PAPER = "arXiv 2605.15155"
EVIDENCE = "code"
METHOD = SkillSD(
    "skill-sd",
    GroupRelative(),
    what=ContextSpec.parse("success"),
    who=TeacherSpec("current"),
    tokens=Tokens("response"),
    when=Constant(0.001),
    kl=0.01,
)
