"""SDAR (arXiv 2605.15155): GRPO, and a gated imitation of tokens that are more probable for the teacher.

With Δ the teacher's log-probability of a sampled token minus the policy's::

    g_t = sg σ(β·Δ_t)                                          β = 5
    L   = L_GRPO + λ · mean over tokens of g_t·(sg log π_T(y_t) − log π_θ(y_t))         λ = 0.01

The gate is near 0 for tokens that the teacher finds less probable. β = 0 gives GRPO+OPSD's constant ½. The paper's
teacher is the policy itself with a text of a skill bank; here it reads a successful rollout of the same task.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentgym_hindsight.baselines.methods.base import Tokens
from agentgym_hindsight.baselines.methods.credit import GroupRelative
from agentgym_hindsight.baselines.methods.imitation import TeacherLoss
from agentgym_hindsight.baselines.methods.schedules import Constant
from agentgym_hindsight.baselines.methods.teachers import TeacherSpec
from agentgym_hindsight.baselines.settings import check_range
from agentgym_hindsight.hindsight.spec import ContextSpec

if TYPE_CHECKING:  # methods can be listed without torch
    from torch import Tensor

    from agentgym_hindsight.baselines.methods.batch import Batch, Scores

__all__ = ["METHOD", "SDAR", "sdar_gate"]


@dataclass(frozen=True)
class SDAR(TeacherLoss):
    """GRPO with gated imitation; ``gate_slope`` is β."""

    gate_slope: float = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "gate_slope", least=0)

    def token_losses(self, batch: Batch, student: Scores, teacher: Scores) -> Tensor:
        gap = teacher.logps.detach() - student.logps
        return sdar_gate(gap, self.gate_slope) * gap


def sdar_gate(gap: Tensor, beta: float = 5.0) -> Tensor:
    """``σ(β·Δ)``, detached: the weight of a token in SDAR's imitation loss. ``beta=0`` gives GRPO+OPSD's constant ½.

    >>> import torch
    >>> [round(gate, 4) for gate in sdar_gate(torch.tensor([-0.5, 0.0, 0.5])).tolist()]
    [0.0759, 0.5, 0.9241]
    """
    from agentgym_hindsight.baselines.methods.tensor_checks import detached

    return (beta * detached(gap)).sigmoid()


PAPER = "arXiv 2605.15155"
EVIDENCE = "code"
METHOD = SDAR(
    "sdar",
    GroupRelative(),
    what=ContextSpec.parse("success"),
    who=TeacherSpec("current"),
    tokens=Tokens("response"),
    when=Constant(0.01),
    kl=0.01,
)
