"""One optimizer step: micro-batches, the policy's scores with their gradient, token advantages, and the loss."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from functools import cache
from typing import Any

import torch
from torch import Tensor

from agentgym_hindsight.baselines.methods.batch import Batch, Scores
from agentgym_hindsight.baselines.training.collating import (
    Inputs,
    credit_tensors,
    no_rows,
    old_policy_tensors,
    text_tensors,
)
from agentgym_hindsight.baselines.training.critic import Critic
from agentgym_hindsight.baselines.training.importance import importance_ratio
from agentgym_hindsight.baselines.training.metrics import store_used
from agentgym_hindsight.baselines.training.running_figures import Means, TokenMean
from agentgym_hindsight.baselines.training.scoring import of_logits, pack_rows, without_dropout
from agentgym_hindsight.baselines.training.scoring_trainer import ScoringTrainer, sequences_of
from agentgym_hindsight.baselines.training.sequences import Sequences, tokens_of
from agentgym_hindsight.baselines.training.timing import PhaseTimer
from agentgym_hindsight.baselines.training.training_row import TrainingRow
from agentgym_hindsight.errors import UsageError

__all__ = ["LossTrainer"]


class LossTrainer(ScoringTrainer):
    """The part of :class:`~.trainer.HindsightTrainer` that computes losses and gradients. It is not used alone.

    It overrides ``training_step`` (one optimizer step over as many micro-batches as the token budget requires) and
    ``_compute_loss`` (TRL's loss on our token advantages, without a second pass).

    ``loss_type="dapo"`` is the mean over the tokens of the whole optimizer step. ``delta`` is SERL's dual clip c: for
    A < 0 TRL's −min(min(ρ, δ)·A, clip(ρ)·A) equals max(−Aρ, −A·clip(ρ)) bounded by −δA as soon as δ > 1 + ε.
    """

    critic: Critic | None
    memory: dict[str, Any]
    _mini_batches: list[list[TrainingRow]]
    _times: PhaseTimer
    _values: Means
    _entropy: TokenMean
    _chosen_tokens: float
    _turns: float
    _marked_tokens: float
    _marked_turns: float
    #: Whether a row of the update was sampled after another prompt than its own.
    _corrects_prompts: bool
    #: Whether rows keep the entropies of their tokens, for recorded rollouts. The loss does not depend on it.
    keeps_entropies: bool = False

    @property
    def updates_done(self) -> int:
        """Policy updates so far. λ, the tasks and all random numbers depend only on this counter and the seed."""
        return int(self.state.global_step) // self.plan.mini_batches

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        model.train()
        rows: list[TrainingRow] = self._prepare_inputs(inputs)
        with self._times.phase("update"):
            return self._accumulate_gradients(model, rows)

    def _accumulate_gradients(self, model: Any, rows: list[TrainingRow]) -> Tensor:
        tokens = self.processes.total(sum(len(row.response_ids) for row in rows))
        self._chosen_tokens = self.processes.total(
            sum(sum(row.chosen) for row in rows if row.teacher_logps is not None)
        )
        self._marked_tokens = self.processes.total(sum(sum(row.chosen) for row in rows))
        self._marked_turns = self.processes.total(sum(any(row.chosen) for row in rows))
        self._turns = self.processes.total(len(rows))
        # Without any row there is still an optimizer step, with one empty batch.
        batches = self.processes.align(self._micro_batches(rows) or [[]])
        chunks = [self._collate(batch) for batch in batches]
        if self.plan.mini_batches > 1 or self.plan.vllm or self._corrects_prompts:
            self._score_old(batches, chunks)
        device = self.accelerator.device
        total = torch.zeros((), device=device)
        for number, chunk in enumerate(chunks):
            # TRL divides by this, times the processes over which DDP takes the mean.
            count = max(1.0, self._tokens_of_mean(tokens, batches, number))
            chunk["num_items_in_batch"] = torch.tensor(count * self.plan.mini_batches, device=device)
            last = number + 1 == len(chunks)
            with nullcontext() if last else self.accelerator.no_sync(model):
                self.accelerator.gradient_state._set_sync_gradients(last)
                with self.compute_loss_context_manager():
                    loss = self.compute_loss(model, chunk)
                self.accelerator.backward(loss)
            total += loss.detach()
        if self.critic is not None:
            self._values.add(self.critic.step(rows, self._turns, tokens))
        self._step += 1
        return total

    def _micro_batches(self, rows: list[TrainingRow]) -> list[list[TrainingRow]]:
        size = self.plan.micro_rows
        if not size:
            return pack_rows(rows, self.plan.token_budget)
        return [rows[start : start + size] for start in range(0, len(rows), size)]

    def _tokens_of_mean(self, tokens: float, batches: list[list[TrainingRow]], number: int) -> float:
        """The number by which the sum over the tokens of a micro-batch is divided, over all processes."""
        if not self.plan.micro_rows:
            return tokens
        own = sum(len(row.response_ids) for row in batches[number])
        return float(own * sum(map(bool, batches)) * self.processes.count)

    def _compute_loss(self, model: Any, inputs: Inputs) -> Tensor:
        """TRL's loss on the token advantages of this pass, plus the terms that TRL does not have."""
        self._scored = None
        student, scored = self._student_scores(model, inputs)
        entropies = scored[1]
        teacher = self._teacher_scores(model, inputs)
        batch = self._batch(inputs)
        inputs["advantages"] = self._token_advantages(batch, student, teacher, inputs.get("rows", ()))
        self._scored = scored
        try:
            with self.processes.padded_gathers():
                loss: Tensor = super()._compute_loss(model, inputs)
        finally:
            self._scored = None
        tokens = inputs["completion_mask"]
        self._entropy.add(entropies.detach(), tokens)
        if self.keeps_entropies:
            for row, line in zip(inputs.get("rows", ()), entropies.detach().float().cpu(), strict=False):
                row.entropies = line[: len(row.response_ids)].clone()
        share = self.processes.count * self.plan.mini_batches / inputs["num_items_in_batch"]
        if self.method.entropy:
            loss = loss - self.method.entropy * (entropies * tokens).sum() * share
        extra = self.method.extra_loss(batch, student, teacher)
        return loss if extra is None else loss + extra

    def _batch(self, inputs: Inputs) -> Batch:
        return Batch(
            advantages=inputs["advantages"],
            tokens=inputs["completion_mask"].bool(),
            chosen=inputs["chosen"],
            marked=inputs.get("marked"),
            signals=inputs.get("signals"),
            row_signals=inputs.get("row_signals"),
            lam=inputs["lam"],
            update=self.updates_done,
            memory=self.memory,
            all_tokens=float(inputs["num_items_in_batch"]) / self.plan.mini_batches,
            all_chosen=self._chosen_tokens,
            all_marked=self._marked_tokens,
            all_turns=self._turns,
            all_marked_turns=self._marked_turns,
            processes=self.processes.count,
        )

    def _token_advantages(
        self, batch: Batch, student: Scores, teacher: Scores | None, rows: Sequence[TrainingRow]
    ) -> Tensor:
        """The advantages that the loss uses. What the teacher changed is stored in the rows, for the metrics."""
        detached = student.detached()
        with torch.no_grad():
            advantages = self.method.token_advantages(batch, detached, teacher)
            if teacher is not None:
                before = None if self.method.weights_updates else batch.per_token_of(batch.advantages)
                store_used(rows, batch.per_token_of(advantages), before, teacher.logps - detached.logps)
            factors = self.method.reduction_factors(batch)
            if factors is not None:
                advantages = batch.per_token_of(advantages) * factors
            return advantages * self.method.policy_weight if self.method.policy_weight != 1 else advantages

    def _student_scores(self, model: Any, inputs: Inputs) -> tuple[Scores, tuple[Any, ...]]:
        """The scores of the pass that has the gradient. Logits and hidden states are kept if the method uses them."""
        sequences, uses_hidden = sequences_of(inputs), self.method.uses_hidden
        if not (self.method.uses_logits or uses_hidden):
            scored = self._row_scores(model, sequences, entropy=True)
            return Scores(scored[0], lambda: self._logits(model, sequences)), (*scored, None)
        logits, states = self._logits_and_hidden(model, sequences, uses_hidden)
        scored = of_logits(logits, inputs["completion_ids"], inputs["completion_mask"], True)
        return Scores(scored[0], lambda: logits, None if states is None else lambda: states), (*scored, None)

    def _teacher_scores(self, model: Any, inputs: Inputs) -> Scores | None:
        """The teacher's scores; ``None`` if no row of the optimizer step has any, in all processes alike."""
        if not self._chosen_tokens or (not self._reads_teacher_pass and not inputs["chosen"].any()):
            return None
        logps = inputs.get("teacher_logps")
        read = cache(lambda: self._teacher_pass(model, inputs))
        if self._scores_teacher_in_loss:  # in every process, because the pass may be a collective call
            logps = self._teacher_logps(read()[0], inputs)
        return Scores(
            torch.zeros_like(inputs["chosen"], dtype=torch.float32) if logps is None else logps,
            lambda: read()[0],
            (lambda: read()[1]) if self.method.uses_hidden else None,  # type: ignore[arg-type,return-value]
        )

    def _teacher_logps(self, logits: Tensor, inputs: Inputs) -> Tensor:
        """The log-probabilities (B, T) from the logits of the teacher's pass; stored in the rows that it scores.

        They are 0 in other rows.
        """
        logps = of_logits(logits, inputs["completion_ids"], inputs["completion_mask"], False)[0]
        logps = logps.where(inputs["chosen"].any(-1, keepdim=True), 0.0)
        for row, line in zip(inputs["rows"], logps.float().cpu(), strict=False):  # an empty batch has a dummy row
            if row.teacher_logps is not None:
                row.teacher_logps = line[: len(row.response_ids)].clone()
        return logps

    def _score_old(self, batches: list[list[TrainingRow]], chunks: list[Inputs]) -> None:
        """Add π_old where it differs from π.

        It does at later mini-batches, where vLLM's sampler differs from the model, and where a row was sampled after
        another prompt: π_old is then the sampler's probability after that prompt.
        """
        if int(self.state.global_step) % self.plan.mini_batches == 0:
            # All rows of the update at once, before the first optimizer step changes the weights.
            for row, logps in self._scores([row for part in self._mini_batches for row in part]):
                row.old_logps = torch.tensor(row.logprobs) if row.other_prompt else logps
        for batch, chunk in zip(batches, chunks, strict=True):
            old = self.processes.to_device(old_policy_tensors(batch))
            chunk["old_per_token_logps"] = old["model_logps"]
            if self.plan.vllm and self.vllm_importance_sampling_correction:
                chunk["importance_sampling_ratio"] = importance_ratio(
                    old["model_logps"],
                    old["sampler_logps"],
                    chunk["completion_mask"],
                    mode=self.vllm_importance_sampling_mode,
                    low=self.vllm_importance_sampling_clip_min,
                    high=self.vllm_importance_sampling_clip_max,
                )

    def _collate(self, batch: list[TrainingRow]) -> Inputs:
        """The inputs of the loss, on this process's device."""
        if batch:
            credit = credit_tensors(batch, self._pad, teacher_prompts=self._reads_teacher_pass)
            inputs = self.processes.to_device({**text_tensors(batch, self._pad), **credit})
            inputs["sequences"] = Sequences.of_rows(tokens_of(batch), self._pad)
        else:
            inputs = self.processes.to_device(no_rows(self._pad))
        # For an empty batch as well: the teacher's pass of a loss is made by all processes or by none.
        inputs["lam"] = self.method.when(self.updates_done) if self.method.has_teacher else 0.0
        inputs["rows"] = batch
        if self.beta:  # for an empty batch as well: the weights of the initial policy may be sharded
            inputs["ref_per_token_logps"] = self._reference_logps(inputs)
        return inputs

    def _reference_logps(self, inputs: Inputs) -> Tensor:
        """Log-probabilities under the initial policy, for the KL penalty."""
        model, scope = self.ref_model, nullcontext()
        if model is None:  # adapters: the initial policy is the model without them
            model, scope = self.model, self.accelerator.unwrap_model(self.model).disable_adapter()
        with torch.no_grad(), scope, without_dropout(model):
            return self._row_scores(model, sequences_of(inputs), entropy=False)[0]

    # -- the critic ---------------------------------------------------------------------------------------------

    def _make_critic(self) -> Critic | None:
        if self.method.critic is None:
            return None
        if self._dist.is_zero3:
            raise UsageError(
                "Expected whole weights to copy for the critic, got DeepSpeed's ZeRO-3; try FSDP 2, or ZeRO-2."
            )
        return Critic(
            self.method.critic,
            self.accelerator.unwrap_model(self.model),
            seed=self.plan.seed,
            device=self.accelerator.device,
            budget=self.plan.token_budget,
            pad=self._pad,
            clip=self.plan.grad_clip,
            processes=self.processes.count,
            autocast=self.accelerator.autocast,
        )
