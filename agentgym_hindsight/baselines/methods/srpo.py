"""SRPO (arXiv 2604.02288): failed turns imitate a teacher, all others have GRPO's policy gradient.

A turn of a failed rollout for which the teacher has a context (SDPO's: a successful rollout, else the feedback) takes
the branch of imitation, weighted by the teacher's entropy H_T; every other turn takes GRPO's branch::

    w_t = exp(−β_H·H_T(t)), divided by its mean over the imitated tokens of the update      β_H = 1
    L   = ( Σ_GRPO clipped token losses + λ Σ_SDPO w_t·ℓ_t ) / all response tokens          ℓ_t: JSD, α = 0.5

Without a context L is GRPO's loss.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from agentgym_hindsight.baselines.methods.base import Tokens
from agentgym_hindsight.baselines.methods.credit import GroupRelative
from agentgym_hindsight.baselines.methods.evidence import Evidence
from agentgym_hindsight.baselines.methods.imitation import Imitation
from agentgym_hindsight.baselines.methods.rows import Array, Rows
from agentgym_hindsight.baselines.methods.schedules import Constant
from agentgym_hindsight.baselines.methods.teachers import TeacherSpec
from agentgym_hindsight.baselines.settings import check_range
from agentgym_hindsight.hindsight.spec import ContextSpec

if TYPE_CHECKING:  # methods can be listed without torch
    from torch import Tensor

    from agentgym_hindsight.baselines.methods.batch import Batch, Scores

__all__ = ["METHOD", "SRPO"]


@dataclass(frozen=True)
class SRPO(Imitation):
    """Routes turns to imitation or to the policy gradient. ``entropy_slope`` is β_H; 0 weights all tokens equally."""

    alpha: float = 0.5
    entropy_slope: float = 1.0

    uses_teacher_entropy: ClassVar[bool] = True
    whole_batch: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "entropy_slope", least=0)

    def token_advantages(self, batch: Batch, student: Scores, teacher: Scores | None) -> Tensor:
        imitated = batch.chosen.any(-1)
        advantages = batch.advantages
        return advantages.masked_fill(imitated if advantages.dim() == 1 else imitated[:, None], 0.0)

    def update_signals(
        self, rows: Rows, advantages: Array, evidence: Evidence, lam: float, memory: MutableMapping[str, Any]
    ) -> list[Array | None]:
        """``w_t`` of every imitated token."""
        weights = [None if each is None else np.exp(-self.entropy_slope * each) for each in evidence.entropies]
        all_weights = np.concatenate([each for each in weights if each is not None] or [np.ones(1)])
        return [None if each is None else each / max(float(all_weights.mean()), 1e-12) for each in weights]

    def extra_loss(self, batch: Batch, student: Scores, teacher: Scores | None) -> Tensor | None:
        if teacher is None or not batch.lam or not batch.all_chosen:
            return None
        losses = self.token_losses(batch, student, teacher)
        weighted = losses if batch.signals is None else batch.signals * losses  # a batch without rows has no signals
        return batch.lam * batch.token_mean(weighted * batch.chosen)


PAPER = "arXiv 2604.02288"
EVIDENCE = "code"
METHOD = SRPO(
    "srpo",
    GroupRelative(scale="none"),
    what=ContextSpec.parse("success|immediate"),
    who=TeacherSpec("ema", 0.05),
    tokens=Tokens("response", "failed"),
    when=Constant(1.0),
    entropy=0.0,
)
