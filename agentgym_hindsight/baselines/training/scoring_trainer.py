"""The trainer's passes without a gradient: the teacher's scores, and the policy's where they are needed again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from trl import GRPOTrainer

from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.training.collating import Inputs
from agentgym_hindsight.baselines.training.collectives import Processes
from agentgym_hindsight.baselines.training.plan import Plan
from agentgym_hindsight.baselines.training.scoring import Scorer, score_rows, without_dropout
from agentgym_hindsight.baselines.training.teacher_weights import Teacher
from agentgym_hindsight.baselines.training.training_row import TrainingRow

__all__ = ["ScoringTrainer"]


class ScoringTrainer(GRPOTrainer):  # type: ignore[misc]  # TRL is untyped
    """The part of :class:`~.trainer.HindsightTrainer` that scores rows. It is not used alone.

    It overrides ``_get_per_token_logps_and_entropies``: TRL's loss gets the scores of the pass that this step has
    already made, and on a CPU logits are computed at the response's positions only, which halves the work.
    """

    method: Method
    plan: Plan
    processes: Processes
    teacher: Teacher | None
    _scored: tuple[Tensor, Tensor | None, Tensor | None] | None
    _scorer: Scorer
    _pad: int
    _teacher_state: dict[str, Any] | None

    def _make_teacher(self) -> None:
        self.teacher = Teacher(self.method.who, self.model) if self.method.has_teacher else None
        if self.teacher is not None and self._teacher_state is not None:
            self.teacher.load_state_dict(self._teacher_state)
        self._teacher_state = None

    def _score_teacher(self, rows: list[TrainingRow]) -> None:
        """Set the teacher's log-probabilities of the sampled tokens, given the teacher's prompt."""
        assert self.teacher is not None
        with self.teacher.acting():
            for row, logps in self._scores(rows, teacher=True):
                row.teacher_logps = logps
            if self.method.compares_teacher:
                for row, logps in self._scores(rows):
                    row.plain_logps = logps
            if self.method.uses_teacher_entropy:
                for row, entropies in self._scores(rows, teacher=True, entropy=True):
                    row.teacher_entropies = entropies

    def _scores(
        self, rows: list[TrainingRow], teacher: bool = False, entropy: bool = False
    ) -> Iterator[tuple[TrainingRow, Tensor]]:
        score = self._entropies if entropy else self._score
        return score_rows(rows, score, self.processes, budget=self.plan.token_budget, pad=self._pad, teacher=teacher)

    def _score(self, ids: Tensor, mask: Tensor, width: int) -> Tensor:
        with torch.no_grad(), without_dropout(self.model):
            logps: Tensor = self._get_per_token_logps_and_entropies(self.model, ids, mask, width)[0]
        return logps

    def _entropies(self, ids: Tensor, mask: Tensor, width: int) -> Tensor:
        with torch.no_grad(), without_dropout(self.model):
            entropies: Tensor = self._get_per_token_logps_and_entropies(
                self.model, ids, mask, width, compute_entropy=True
            )[1]
        return entropies

    def _get_per_token_logps_and_entropies(self, *args: Any, **kwargs: Any) -> Any:
        if self._scored is not None:  # TRL's loss needs the scores that this step has already computed
            return self._scored
        if self.accelerator.device.type != "cpu" or kwargs.get("compute_aux_loss"):
            return super()._get_per_token_logps_and_entropies(*args, **kwargs)
        return self._score_on_cpu(*args, **kwargs)

    def _score_on_cpu(
        self, model: Any, ids: Tensor, mask: Tensor, width: int, compute_entropy: bool = False, **_: Any
    ) -> tuple[Tensor, Tensor | None, None]:
        """The same numbers as TRL's. Without Triton, TRL also projects every prompt token onto the vocabulary."""
        return (*self._scorer.logps_and_entropies(model, ids, mask, width, compute_entropy), None)

    def _teacher_logits(self, model: Any, inputs: Inputs) -> Tensor:
        """The teacher's scaled logits (B, T, V) for the response tokens, given its prompt."""
        assert self.teacher is not None
        width = inputs["completion_ids"].size(1)
        teacher_ids = torch.cat([inputs["teacher_ids"], inputs["completion_ids"]], 1)
        teacher_mask = torch.cat([inputs["teacher_mask"], inputs["completion_mask"]], 1)
        with self.teacher.acting(), torch.no_grad(), without_dropout(model):
            return self._scorer.logits(model, teacher_ids, teacher_mask, width)
