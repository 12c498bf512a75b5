"""The common part of methods that imitate a teacher: λ times a divergence of teacher and policy, on chosen tokens."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.methods.checks import check_unit
from agentgym_hindsight.baselines.methods.evidence import Evidence
from agentgym_hindsight.baselines.methods.rows import Array, Rows
from agentgym_hindsight.errors import UsageError

if TYPE_CHECKING:  # methods can be listed without torch
    from torch import Tensor

    from agentgym_hindsight.baselines.methods.batch import Batch, Scores

__all__ = ["Imitation", "TeacherLoss"]


@dataclass(frozen=True)
class TeacherLoss(Method):
    """Adds λ times the mean of :meth:`token_losses` over the chosen tokens. The credit is not changed."""

    scores_zero_advantages: ClassVar[bool] = True

    def token_advantages(self, batch: Batch, student: Scores, teacher: Scores | None) -> Tensor:
        return batch.advantages

    def token_losses(self, batch: Batch, student: Scores, teacher: Scores) -> Tensor:
        """The loss of every token (B, T), with gradient to the policy."""
        raise NotImplementedError(f"Expected {type(self).__name__} to define token_losses.")

    def extra_loss(self, batch: Batch, student: Scores, teacher: Scores | None) -> Tensor | None:
        # all_chosen is the same in all processes, so that all of them make the teacher's pass or none does.
        if teacher is None or not batch.lam or not batch.all_chosen:
            return None
        return batch.lam * batch.chosen_mean(self.token_losses(batch, student, teacher))


@dataclass(frozen=True)
class Imitation(TeacherLoss):
    """The loss of a token is the divergence of teacher and policy.

    * ``alpha``: 0 is KL(teacher ‖ policy), 1 is KL(policy ‖ teacher), between them the generalised JSD.
    * ``top_k``: the policy's most probable tokens, with one bucket for all others; ``None``: the whole vocabulary.
    * ``importance``: bounds the ratio π_θ/π_old by which a token's loss is multiplied, without gradient; ``None``: no
      ratio.
    """

    alpha: float = 1.0
    top_k: int | None = 100
    importance: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_unit("alpha", self.alpha, example=1.0)
        if self.top_k is not None and self.top_k < 1:
            raise UsageError(f"Expected top_k of 1 or more, got {self.top_k}; try 100, or null for all tokens.")
        if self.importance is not None and not self.importance >= 1:
            raise UsageError(f"Expected importance ≥ 1, got {self.importance}; try 2, or null for no ratio.")

    @property
    def uses_logits(self) -> bool:
        return True

    def update_signals(
        self, rows: Rows, advantages: Array, evidence: Evidence, lam: float, memory: MutableMapping[str, Any]
    ) -> list[Array | None] | None:
        """``log π_old`` of the tokens, for the ratio."""
        return None if self.importance is None else list(evidence.logps)

    def token_losses(self, batch: Batch, student: Scores, teacher: Scores) -> Tensor:
        from agentgym_hindsight.baselines.methods.divergences import divergence

        losses = divergence(teacher.logits, student.logits, alpha=self.alpha, top_k=self.top_k)
        if self.importance is None or batch.signals is None:
            return losses
        ratio = (student.logps.detach() - batch.signals).clamp(-20.0, 20.0).exp()
        return losses * ratio.clamp(max=self.importance)
