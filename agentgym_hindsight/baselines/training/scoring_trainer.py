"""The trainer's passes without a gradient: the teacher's scores, and the policy's where they are needed again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from trl import GRPOTrainer

from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.training.collating import Inputs, no_rows
from agentgym_hindsight.baselines.training.collectives import Processes
from agentgym_hindsight.baselines.training.hidden_states import recorded_hidden_states
from agentgym_hindsight.baselines.training.plan import Plan
from agentgym_hindsight.baselines.training.running_figures import TokenCounts
from agentgym_hindsight.baselines.training.scoring import Scorer, pack_rows, score_rows, without_dropout
from agentgym_hindsight.baselines.training.sequences import Sequences, tokens_of
from agentgym_hindsight.baselines.training.shared_prefixes import PrefixScorer
from agentgym_hindsight.baselines.training.teacher_weights import Teacher
from agentgym_hindsight.baselines.training.training_row import TrainingRow
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.wrappers.protocols import CONVERSATION

__all__ = ["ScoringTrainer", "sequences_of"]


def sequences_of(inputs: Inputs) -> Sequences:
    """The sequences of a micro-batch; one for every row if they were not made."""
    sequences: Sequences | None = inputs.get("sequences")
    return Sequences.of_tensors(inputs) if sequences is None else sequences


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
    stage: Stage
    _scorer: Scorer
    _tokens: TokenCounts
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
        if self._scores_teacher_in_loss:
            for row in rows:
                row.teacher_logps = torch.zeros(len(row.response_ids))  # until the loss sets them
            return
        with self.teacher.acting():
            if self.method.uses_teacher_entropy:
                for row, both in self._scores(rows, teacher=True, entropy=True):
                    row.teacher_logps, row.teacher_entropies = (part.contiguous() for part in both.unbind(-1))
            else:
                for row, logps in self._scores(rows, teacher=True):
                    row.teacher_logps = logps
            if self.method.compares_teacher:
                for row, logps in self._scores(rows):
                    row.plain_logps = logps

    @property
    def _reads_teacher_pass(self) -> bool:
        """Whether a token hook reads the teacher's logits or hidden states."""
        return self.method.uses_logits or self.method.uses_hidden

    @property
    def _scores_teacher_in_loss(self) -> bool:
        """Whether the pass of the loss, which such a hook needs, gives the teacher's log-probabilities too.

        It does unless they are needed before: by a hook for the whole update, or because later mini-batches are scored
        when a teacher of the current weights has changed.
        """
        method = self.method
        needs_evidence = method.weights_updates or type(method).update_signals is not Method.update_signals
        needs_more = method.uses_teacher_entropy or method.compares_teacher
        return self._reads_teacher_pass and self.plan.mini_batches == 1 and not (needs_evidence or needs_more)

    def _scores(
        self, rows: list[TrainingRow], teacher: bool = False, entropy: bool = False
    ) -> Iterator[tuple[TrainingRow, Tensor]]:
        score = self._score_with_entropies if entropy else self._score
        budget, pad = self.plan.token_budget, self._pad
        if teacher and self.stage.history == CONVERSATION:
            later = [row for row in rows if row.teacher_reads_past]
            rows = [row for row in rows if not row.teacher_reads_past]
            scorer = PrefixScorer(
                self.model, self._scorer, self.processes, self._tokens, self.accelerator.device, budget, pad
            )
            with torch.no_grad(), without_dropout(self.model):
                scored = list(scorer.score(later, entropy=entropy))
            yield from scored
        yield from score_rows(rows, score, self.processes, budget=budget, pad=pad, teacher=teacher)

    def _score(self, sequences: Sequences) -> Tensor:
        with torch.no_grad(), without_dropout(self.model):
            return self._row_scores(self.model, sequences, entropy=False)[0]

    def _score_with_entropies(self, sequences: Sequences) -> Tensor:
        """Log-probabilities and entropies of one pass, (B, T, 2)."""
        with torch.no_grad(), without_dropout(self.model):
            scored = self._row_scores(self.model, sequences, entropy=True)
        return torch.stack([each.float() for each in scored if each is not None], -1)

    def _row_scores(self, model: Any, sequences: Sequences, entropy: bool) -> tuple[Tensor, Tensor | None]:
        """Log-probabilities and entropies (B, T) of the response tokens; 0 where there is none."""
        self._tokens.add(sequences)  # on the CPU, where it needs no synchronization
        sequences = sequences.to(self.accelerator.device)
        # TRL's scores are those of the last tokens.
        keep, choose = (None, sequences.of_last) if self._scores_by_trl else (sequences.keep, sequences.of_kept)
        scored = self._get_per_token_logps_and_entropies(
            model, sequences.ids, sequences.mask, sequences.width, compute_entropy=entropy, keep=keep
        )
        logps, entropies = (None if each is None else choose(each).where(sequences.present, 0.0) for each in scored[:2])
        assert logps is not None
        return logps, entropies

    @property
    def _scores_by_trl(self) -> bool:
        """Whether TRL computes the scores: on a GPU, where it makes no whole logits."""
        return bool(self.accelerator.device.type != "cpu")

    def _logits(self, model: Any, sequences: Sequences) -> Tensor:
        """Scaled logits (B, T, V) of the response tokens."""
        return self._logits_and_hidden(model, sequences)[0]

    def _logits_and_hidden(
        self, model: Any, sequences: Sequences, hidden: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Scaled logits (B, T, V) of the response tokens, and the last hidden states (B, T, H) that predict them."""
        self._tokens.add(sequences)  # on the CPU, where it needs no synchronization
        sequences = sequences.to(self.accelerator.device)
        with recorded_hidden_states(self.accelerator.unwrap_model(model), hidden) as states:
            logits = self._scorer.logits(model, sequences)
        if not hidden:
            return logits, None
        return logits, sequences.of_kept(states[0] if sequences.keep is not None else states[0][:, :-1])

    def _get_per_token_logps_and_entropies(self, *args: Any, keep: Tensor | None = None, **kwargs: Any) -> Any:
        if self._scored is not None:  # TRL's loss needs the scores that this step has already computed
            return self._scored
        if self._scores_by_trl or kwargs.get("compute_aux_loss"):
            return super()._get_per_token_logps_and_entropies(*args, **kwargs)
        return self._score_on_cpu(*args, **{"keep": keep, **kwargs})

    def _score_on_cpu(
        self,
        model: Any,
        ids: Tensor,
        mask: Tensor,
        width: int,
        compute_entropy: bool = False,
        keep: Tensor | None = None,
        **_: Any,
    ) -> tuple[Tensor, Tensor | None, None]:
        """The same numbers as TRL's. Without Triton, TRL also projects every prompt token onto the vocabulary."""
        return (*self._scorer.logps_and_entropies(model, ids, mask, width, compute_entropy, keep), None)

    def _teacher_pass(self, model: Any, inputs: Inputs) -> tuple[Tensor, Tensor | None]:
        """The teacher's scaled logits (B, T, V) for the response tokens, given its prompt, and its hidden states."""
        assert self.teacher is not None
        rows: list[TrainingRow] = inputs["rows"]
        with self.teacher.acting(), torch.no_grad(), without_dropout(model):
            if self.stage.history == CONVERSATION:
                return self._teacher_pass_in_parts(model, rows)
            sequences = Sequences.of_rows(tokens_of(rows, teacher=True), self._pad) if rows else sequences_of(inputs)
            return self._logits_and_hidden(model, sequences, self.method.uses_hidden)

    def _teacher_pass_in_parts(self, model: Any, rows: list[TrainingRow]) -> tuple[Tensor, Tensor | None]:
        """The same by several passes, each within the budget.

        The teacher's prompts of a conversation do not extend one another, so together they are several times as long as
        the conversation.
        """
        # A pass is a collective call: shards are gathered, and replicas share their buffers.
        batches = self.processes.align(pack_rows(rows, self.plan.token_budget, teacher=True) or [[]])
        places = {id(row): place for place, row in enumerate(rows)}
        width = max((len(row.response_ids) for row in rows), default=1)
        whole: list[Tensor | None] = [None, None]
        for batch in batches:
            tokens = tokens_of(batch, teacher=True)
            sequences = Sequences.of_rows(tokens, self._pad) if batch else Sequences.of_tensors(no_rows(self._pad))
            for side, part in enumerate(self._logits_and_hidden(model, sequences, self.method.uses_hidden)):
                if part is None:
                    continue
                if (values := whole[side]) is None:
                    values = whole[side] = part.new_zeros((max(1, len(rows)), width, part.size(-1)))
                if batch:
                    values[[places[id(row)] for row in batch], : part.size(1)] = part
        logits, hidden = whole
        assert logits is not None
        return logits, hidden
