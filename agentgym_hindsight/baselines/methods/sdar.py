"""SDAR (arXiv 2605.15155): GRPO, and a gated imitation of tokens that are more probable for the teacher.

With Δ the teacher's log-probability of a sampled token minus the policy's::

    g_t = sg σ(β·Δ_t)                                          β = 5
    L   = L_GRPO + λ · mean over tokens of g_t·(sg log π_T(y_t) − log π_θ(y_t))         λ = 0.01

The gate is near 0 for tokens that the teacher finds less probable. β = 0 gives GRPO+OPSD's constant ½. The paper also
studies a gate of the policy's entropy H_t and the soft OR of both, without formulas; ours are, with the mean H̄ over the
chosen tokens of the same turn::

    e_t = sg σ(β_H·(H_t − H̄))          gates="entropy"
    1 − (1 − g_t)(1 − e_t)              gates="either"

The paper's teacher is the policy itself with a text of a skill bank; here it reads a successful rollout of the same
task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

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

__all__ = ["METHOD", "SDAR", "entropy_gate", "sdar_gate"]

#: Values that runs from before they existed lack. They are omitted at their defaults.
_LATER = ("gates", "entropy_slope")
_OTHER = object()


@dataclass(frozen=True)
class SDAR(TeacherLoss):
    """GRPO with gated imitation; ``gate_slope`` is β, ``entropy_slope`` β_H.

    ``gates``: ``gap`` (the released code's), ``entropy`` or ``either`` (ours).
    """

    gate_slope: float = 5.0
    gates: Literal["gap", "entropy", "either"] = "gap"
    entropy_slope: float = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "gate_slope", "entropy_slope", least=0)

    @property
    def uses_logits(self) -> bool:
        return self.gates != "gap"

    def as_dict(self) -> Mapping[str, Any]:
        # Runs from before the gates existed have no such values, and can be continued.
        later = {each.name: each.default for each in fields(SDAR) if each.name in _LATER}
        return {name: value for name, value in super().as_dict().items() if later.get(name, _OTHER) != value}

    def token_losses(self, batch: Batch, student: Scores, teacher: Scores) -> Tensor:
        gap = teacher.logps.detach() - student.logps
        gate = sdar_gate(gap, self.gate_slope)
        if self.gates != "gap":
            entropy = entropy_gate(student.logits, batch.chosen, self.entropy_slope)
            gate = entropy if self.gates == "entropy" else 1 - (1 - gate) * (1 - entropy)
        return gate * gap


def sdar_gate(gap: Tensor, beta: float = 5.0) -> Tensor:
    """``σ(β·Δ)``, detached: the weight of a token in SDAR's imitation loss. ``beta=0`` gives GRPO+OPSD's constant ½.

    >>> import torch
    >>> [round(gate, 4) for gate in sdar_gate(torch.tensor([-0.5, 0.0, 0.5])).tolist()]
    [0.0759, 0.5, 0.9241]
    """
    from agentgym_hindsight.baselines.methods.tensor_checks import detached

    return (beta * detached(gap)).sigmoid()


def entropy_gate(logits: Tensor, chosen: Tensor, beta: float = 5.0) -> Tensor:
    """``σ(β_H·(H_t − H̄))``, detached, for logits (B, T, V); H̄ is the mean over the chosen tokens (B, T) of a turn.

    >>> import torch
    >>> logits = torch.tensor([[[0.0, 0.0], [9.0, 0.0]]])
    >>> [round(gate, 2) for gate in entropy_gate(logits, torch.tensor([[True, True]]))[0].tolist()]
    [0.85, 0.15]
    """
    scores = logits.detach().float().log_softmax(-1)
    entropies = -(scores.exp() * scores).sum(-1)
    counts = chosen.sum(-1, keepdim=True).clamp(min=1)
    mean = (entropies * chosen).sum(-1, keepdim=True) / counts
    return (beta * (entropies - mean)).sigmoid()


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
