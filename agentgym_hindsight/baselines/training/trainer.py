"""HindsightTrainer: TRL's GRPOTrainer over rows of turns. All code that depends on TRL's internals is in this file.

TRL trains one flat sequence per episode, with one scalar reward, and exactly one row per prompt. Here an update plays
groups of siblings, makes one row per turn, and gives TRL's loss one advantage per token. The overridden methods:

* ``_prepare_inputs``: plays an update where TRL would generate, and returns its rows. No row is dropped.
* ``training_step``: one optimizer step over as many micro-batches as the token budget requires.
* ``_compute_loss``: computes the student's log-probabilities in the pass that has the gradient, computes the token
  advantages from these and the teacher's log-probabilities, and calls TRL's loss without a second pass.
* ``_get_per_token_logps_and_entropies``: returns the scores of that pass to TRL's loss; on a CPU it computes logits at
  the response's positions only, which halves the work.
* ``_save_checkpoint``, ``_load_optimizer_and_scheduler``: add teacher, counters and reference store to a checkpoint.
* ``log``: adds the figures of the update to TRL's.

Loss: ``loss_type="dapo"`` is the mean over the tokens of the whole optimizer step. ``delta`` is SERL's dual clip c: for
A < 0 TRL's −min(min(ρ, δ)·A, clip(ρ)·A) equals max(−Aρ, −A·clip(ρ)) bounded by −δA as soon as δ > 1 + ε.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from trl import GRPOConfig, GRPOTrainer

from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.methods.batch import Batch, Scores
from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.policies.transformers import TransformersPolicy
from agentgym_hindsight.baselines.policies.vllm import VLLMPolicy
from agentgym_hindsight.baselines.rollout import Episode
from agentgym_hindsight.baselines.training.callbacks import AfterStep
from agentgym_hindsight.baselines.training.checkpoints import delete_old_checkpoints, load_state, save_state
from agentgym_hindsight.baselines.training.collating import (
    Inputs,
    credit_tensors,
    no_rows,
    old_policy_tensors,
    text_tensors,
)
from agentgym_hindsight.baselines.training.collectives import Processes
from agentgym_hindsight.baselines.training.critic import Critic
from agentgym_hindsight.baselines.training.hidden_states import recorded_hidden_states
from agentgym_hindsight.baselines.training.importance import importance_ratio
from agentgym_hindsight.baselines.training.memory import peak_memory_mb
from agentgym_hindsight.baselines.training.metrics import (
    Means,
    Measured,
    TokenMean,
    add_weights,
    from_trl,
    measure,
    store_used,
    to_trl,
)
from agentgym_hindsight.baselines.training.plan import Plan
from agentgym_hindsight.baselines.training.row_credit import add_evidence
from agentgym_hindsight.baselines.training.scoring import Scorer, join, pack_rows, score_rows, without_dropout
from agentgym_hindsight.baselines.training.sharding import whole_model
from agentgym_hindsight.baselines.training.teacher_weights import Teacher
from agentgym_hindsight.baselines.training.timing import PhaseTimer
from agentgym_hindsight.baselines.training.training_row import TrainingRow
from agentgym_hindsight.baselines.training.training_rows import (
    columns_of,
    group_episodes,
    judge_texts,
    make_rows,
    split_rows,
)
from agentgym_hindsight.baselines.training.trl_config import check_save_steps, trl_arguments
from agentgym_hindsight.baselines.training.update_player import UpdatePlayer
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.reference_store import ReferenceStore
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.tasks import TaskPanel

__all__ = ["HindsightTrainer"]


def _no_reward(*args: Any, **kwargs: Any) -> list[float]:
    raise AssertionError("Rewards come from the environments; TRL must not compute them.")


class HindsightTrainer(GRPOTrainer):  # type: ignore[misc]  # TRL is untyped
    """Trains a policy by a :class:`~.method.Method` on a :class:`~.stage.Stage`.

    * ``model``: a causal model of transformers, or its path or name; adapters through ``peft_config`` as in TRL.
    * ``encoder``: tokenizer, chat template and prompt limit.
    * ``tasks``: played in order, again and again.
    * ``on_update``: called after every update with its figures as a dictionary, and with its rows and their tokens.
    * ``on_turns``: called during the rollouts of an update with the number of turns just played.
    * ``judge``: required if the method's context contains a judge (``hindsight.JudgeClient``).

    All other parts are TRL's: logging, checkpoints, PEFT, accelerate, DeepSpeed, FSDP, vLLM.
    """

    _tag_names = ["trl", "agentgym-hindsight"]  # noqa: RUF012  # TRL's own attribute

    def __init__(
        self,
        model: Any,
        method: Method,
        stage: Stage,
        plan: Plan,
        *,
        encoder: PromptEncoder,
        tasks: TaskPanel,
        output_dir: str | Path,
        on_update: Callable[[dict[str, Any], Measured], object] | None = None,
        on_turns: Callable[[int], object] | None = None,
        judge: Any = None,
        callbacks: Sequence[Any] = (),
        peft_config: Any = None,
        args: GRPOConfig | None = None,
    ) -> None:
        from accelerate import PartialState

        processes = PartialState(cpu=not torch.cuda.is_available()).num_processes
        arguments = args or trl_arguments(plan, method, output_dir, processes)
        check_save_steps(arguments, plan)
        if method.what is not None and method.what.needs_judge and judge is None:
            raise UsageError(f"Expected a judge for context {str(method.what)!r}, got none; try judge=JudgeClient(…).")
        self.method, self.stage, self.plan, self.encoder, self.judge = method, stage, plan, encoder, judge
        self.store = ReferenceStore()
        self.turns_played = 0
        self.seconds_played = 0.0
        self._on_update, self._on_turns = on_update, on_turns
        self._mini_batches: list[list[TrainingRow]] = []
        self._scored: tuple[Tensor, Tensor | None, Tensor | None] | None = None
        self._chosen_tokens = 0.0
        self._measured: Measured | None = None
        self._times = PhaseTimer()
        self._entropy = TokenMean()
        self._turns = self._marked_tokens = self._marked_turns = 0.0
        self._values = Means()
        self._teacher_state: dict[str, Any] | None = None
        #: What the method keeps between updates; stored with the checkpoints.
        self.memory: dict[str, Any] = {}
        placeholder = Dataset.from_dict({"prompt": [""] * plan.tasks * plan.mini_batches})
        super().__init__(
            model=model,
            reward_funcs=_no_reward,
            args=arguments,
            train_dataset=placeholder,
            processing_class=encoder.tokenizer,
            callbacks=list(callbacks),
            peft_config=peft_config,
        )
        # Every layer of FSDP 1 makes collective calls, in rollouts too, and FSDP 1 cannot gather all weights before.
        if self._dist.fsdp_version == 1:
            raise UsageError("Expected FSDP 2, got FSDP 1; try fsdp_version: 2 in accelerate's configuration.")
        self.add_callback(AfterStep(self))
        self.processes = Processes(self.accelerator)
        self.player = UpdatePlayer(stage, tasks, plan, self.processes)
        self._scorer = Scorer(self.temperature, self.accelerator.autocast)
        self._pad = encoder.tokenizer.pad_token_id
        self._synced_step = -1
        self.teacher: Teacher | None = None
        self.critic = self._make_critic()

    # -- one update ---------------------------------------------------------------------------------------------

    @property
    def updates_done(self) -> int:
        """Policy updates so far. λ, the tasks and all random numbers depend only on this counter and the seed."""
        return int(self.state.global_step) // self.plan.mini_batches

    @property
    def budget_is_spent(self) -> bool:
        """Whether all updates, or all environment turns, of the plan were made."""
        turns = self.plan.turns
        return self.updates_done >= self.plan.updates or (turns > 0 and self.turns_played >= turns)

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        if not self.model.training:
            raise UsageError("Expected evaluation by evaluate_policy(), got Trainer.evaluate(); try evaluate_policy().")
        index = int(self.state.global_step) % self.plan.mini_batches
        if index == 0 or not self._mini_batches:
            self._mini_batches = self._play_update(self.updates_done)
        return self._mini_batches[index]

    def _play_update(self, update: int) -> list[list[TrainingRow]]:
        if self.teacher is None:  # not in __init__, because TRL moves and wraps the weights after it
            self._make_teacher()
        lam = self.method.when(update) if self.method.has_teacher else 0.0
        self._times.reset()
        # A reply depends only on (seed, update, task, sibling, turn), which a resumed run has too.
        seed = f"{self.plan.seed}:{update}"
        with self._times.phase("rollout"), self.current_policy(self.plan.temperature, seed) as policy:
            episodes = self._play(update, policy)
        with self._times.phase("teacher"):  # includes the time to make the contexts
            asks_teacher = self.method.needs_teacher(update)
            rows = self._rows(episodes, asks_teacher)
            if asks_teacher:
                self._score_teacher([row for row in rows if row.teacher_ids])
                columns = columns_of(group_episodes(episodes), self.method)
                add_evidence(rows, columns, self.method, lam, self.memory, self.processes)
        if self.plan.references:
            # Only after the contexts are made: they must contain only successes of earlier updates.
            self.store.add(episode.trajectory for episode in episodes)
        self.turns_played += int(self.processes.total(sum(len(episode.trajectory) for episode in episodes)))
        self._measured = measure(episodes, rows, self.method, lam, self.processes.gather)
        self._measured.record["rollout_tokens_per_second"] = self._measured.record.pop("rollout_tokens") / max(
            self._times.seconds["rollout"], 1e-9
        )
        return split_rows(rows, self.plan.mini_batches, self.plan.seed, update)

    def _play(self, update: int, policy: Any) -> list[Episode]:
        return self.player.play(update, policy, self._on_turns)

    def _rows(self, episodes: list[Episode], asks_teacher: bool) -> list[TrainingRow]:
        return make_rows(
            episodes,
            self.method,
            self.encoder,
            asks_teacher,
            parser=self.stage.parser,
            references=self.store if self.plan.references else None,
            context_tokens=self.plan.context_tokens or None,
            judgements=judge_texts(episodes, self.method.what, self.judge) if asks_teacher else None,
            predict=None if self.critic is None else self.critic.predict,
            processes=self.processes,
        )

    @contextmanager
    def current_policy(self, temperature: float, seed: object) -> Iterator[Any]:
        """The current weights as a policy, in vLLM if ``plan.vllm`` is set.

        All processes must enter the block. With vLLM, the end of the block waits for the rollouts of all processes.
        """
        if self.plan.vllm:
            if self.state.global_step != self._synced_step:
                self.vllm_generation.sync_weights()
                self._synced_step = int(self.state.global_step)
            before, self.vllm_generation.temperature = self.vllm_generation.temperature, temperature
            try:
                policy = VLLMPolicy(self.vllm_generation, self.encoder.tokenizer, self.encoder)
                yield policy
                policy.drain()
            finally:
                self.vllm_generation.temperature = before
            return
        gather = self.args.ds3_gather_for_generation
        with (
            whole_model(self.model_wrapped, self.accelerator, zero3=gather) as model,
            torch.no_grad(),
            self.accelerator.autocast(),
        ):
            yield TransformersPolicy(
                model,
                self.encoder,
                temperature=temperature,
                seed=seed,
                max_new_tokens=self.plan.response_tokens,
                batch_tokens=self.plan.play_budget,
                native=self.plan.generate,
                name=self.method.name,
            )

    # -- the teacher --------------------------------------------------------------------------------------------

    def _make_teacher(self) -> None:
        self.teacher = Teacher(self.method.who, self.model) if self.method.has_teacher else None
        if self.teacher is not None and self._teacher_state is not None:
            self.teacher.load_state_dict(self._teacher_state)
        self._teacher_state = None

    def _score_teacher(self, rows: list[TrainingRow]) -> None:
        """Set the teacher's log-probabilities of the sampled tokens, given the teacher's prompt."""
        assert self.teacher is not None
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

    def _scores(
        self, rows: list[TrainingRow], teacher: bool = False, entropy: bool = False
    ) -> Iterator[tuple[TrainingRow, Tensor]]:
        score = self._score_with_entropies if entropy else self._score
        return score_rows(rows, score, self.processes, budget=self.plan.token_budget, pad=self._pad, teacher=teacher)

    def _score(self, ids: Tensor, mask: Tensor, width: int) -> Tensor:
        with torch.no_grad(), without_dropout(self.model):
            logps: Tensor = self._get_per_token_logps_and_entropies(self.model, ids, mask, width)[0]
        return logps

    def _score_with_entropies(self, ids: Tensor, mask: Tensor, width: int) -> Tensor:
        """Log-probabilities and entropies of one pass, (B, T, 2)."""
        with torch.no_grad(), without_dropout(self.model):
            scored = self._get_per_token_logps_and_entropies(self.model, ids, mask, width, compute_entropy=True)
        return torch.stack([each.float() for each in scored[:2]], -1)

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

    # -- one optimizer step -------------------------------------------------------------------------------------

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
        batches = self.processes.align(pack_rows(rows, self.plan.token_budget) or [[]])
        chunks = [self._collate(batch) for batch in batches]
        if self.plan.mini_batches > 1 or self.plan.vllm:
            self._score_old(batches, chunks)
        device = self.accelerator.device
        total = torch.zeros((), device=device)
        for number, chunk in enumerate(chunks):
            # TRL divides by this, times the processes over which DDP takes the mean.
            chunk["num_items_in_batch"] = torch.tensor(max(1.0, tokens) * self.plan.mini_batches, device=device)
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

    def _compute_loss(self, model: Any, inputs: Inputs) -> Tensor:
        """TRL's loss on the token advantages of this pass, plus the terms that TRL does not have."""
        ids, mask, width = join(inputs)
        self._scored = None
        student, scored = self._student_scores(model, ids, mask, width)
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

    def _student_scores(self, model: Any, ids: Tensor, mask: Tensor, width: int) -> tuple[Scores, tuple[Any, ...]]:
        """The scores of the pass that has the gradient. Logits and hidden states are kept if the method uses them."""
        uses_hidden = self.method.uses_hidden
        if not (self.method.uses_logits or uses_hidden):
            scored = self._get_per_token_logps_and_entropies(model, ids, mask, width, compute_entropy=True)
            return Scores(scored[0], lambda: self._scorer.logits(model, ids, mask, width)), scored
        with recorded_hidden_states(self.accelerator.unwrap_model(model), uses_hidden) as states:
            logits = self._scorer.logits(model, ids, mask, width)
        scored = (*self._scorer.of_logits(logits, ids, mask, width, True), None)
        return Scores(scored[0], lambda: logits, (lambda: states[0][:, :-1]) if uses_hidden else None), scored

    def _teacher_scores(self, model: Any, inputs: Inputs) -> Scores | None:
        """The teacher's scores; ``None`` if no row of the optimizer step has any, in all processes alike."""
        reads_pass = self.method.uses_logits or self.method.uses_hidden
        if not self._chosen_tokens or (not reads_pass and not inputs["chosen"].any()):
            return None
        logps = inputs.get("teacher_logps")
        read = cache(lambda: self._teacher_pass(model, inputs))
        return Scores(
            torch.zeros_like(inputs["chosen"], dtype=torch.float32) if logps is None else logps,
            lambda: read()[0],
            (lambda: read()[1][0][:, :-1]) if self.method.uses_hidden else None,
        )

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

    def _teacher_pass(self, model: Any, inputs: Inputs) -> tuple[Tensor, list[Tensor]]:
        """The teacher's scaled logits (B, T, V) for the response tokens, given its prompt, and its hidden states."""
        assert self.teacher is not None
        width = inputs["completion_ids"].size(1)
        teacher_ids = torch.cat([inputs["teacher_ids"], inputs["completion_ids"]], 1)
        teacher_mask = torch.cat([inputs["teacher_mask"], inputs["completion_mask"]], 1)
        plain = self.accelerator.unwrap_model(model)
        with (
            self.teacher.acting(),
            torch.no_grad(),
            without_dropout(model),
            recorded_hidden_states(plain, self.method.uses_hidden) as states,
        ):
            return self._scorer.logits(model, teacher_ids, teacher_mask, width), states

    def _score_old(self, batches: list[list[TrainingRow]], chunks: list[Inputs]) -> None:
        """Add π_old where it differs from π: at later mini-batches, and where vLLM's sampler differs from the model."""
        if int(self.state.global_step) % self.plan.mini_batches == 0:
            # All rows of the update at once, before the first optimizer step changes the weights.
            for row, logps in self._scores([row for part in self._mini_batches for row in part]):
                row.old_logps = logps
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
            credit = credit_tensors(
                batch, self._pad, teacher_prompts=self.method.uses_logits or self.method.uses_hidden
            )
            inputs = self.processes.to_device({**text_tensors(batch, self._pad), **credit})
            inputs["lam"] = self.method.when(self.updates_done) if self.method.has_teacher else 0.0
        else:
            inputs = self.processes.to_device(no_rows(self._pad))
        inputs["rows"] = batch
        if self.beta:  # for an empty batch as well: the weights of the initial policy may be sharded
            inputs["ref_per_token_logps"] = self._reference_logps(inputs)
        return inputs

    def _reference_logps(self, inputs: Inputs) -> Tensor:
        """Log-probabilities under the initial policy, for the KL penalty."""
        ids, mask, width = join(inputs)
        model, scope = self.ref_model, nullcontext()
        if model is None:  # adapters: the initial policy is the model without them
            model, scope = self.model, self.accelerator.unwrap_model(self.model).disable_adapter()
        with torch.no_grad(), scope, without_dropout(model):
            logps: Tensor = self._get_per_token_logps_and_entropies(model, ids, mask, width)[0]
        return logps

    # -- logs and checkpoints -----------------------------------------------------------------------------------

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the update's figures to TRL's logs, then call ``on_update`` with both."""
        measured = self._measured if "loss" in logs else None
        if measured is not None:
            add_weights(measured, self.method, self.processes.gather)
            measured.record.update(self._values.result())
            self.seconds_played += sum(self._times.seconds.values())
            measured.record.update(
                # TRL's entropy is the mean of the means of its micro-batches, which depends on how rows were packed.
                entropy=self._entropy.result(self.processes.gather),
                update=self.updates_done - 1,
                turns=self.turns_played,
                seconds=self.seconds_played,
                memory_mb=peak_memory_mb(),
                **{f"seconds_{name}": value for name, value in self._times.seconds.items()},
            )
            logs.update(to_trl(measured.record))
        super().log(logs, start_time)
        if measured is not None:
            measured.record.update(from_trl(logs))
            if self.accelerator.is_main_process and self._on_update is not None:
                self._on_update(measured.record, measured)
            self._measured = None

    def after_step(self) -> None:
        """Update the teacher. Called after every optimizer step, before a checkpoint is written."""
        self._times.extend("update")  # gradient clipping and the optimizer
        if self.teacher is not None and int(self.state.global_step) % self.plan.mini_batches == 0:
            with self._times.phase("teacher"):
                self.teacher.after_update(self.updates_done)

    @property
    def _shares(self) -> int:
        """The number of processes that share the weights."""
        return self.processes.count if self.is_fsdp_enabled or self._dist.is_zero3 else 1

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        folder = Path(self._get_output_dir(trial=trial)) / f"checkpoint-{self.state.global_step}"
        state = {
            "teacher": None if self.teacher is None else self.teacher.state_dict(),
            "memory": self.memory,
            "critic": None if self.critic is None else self.critic.state_dict(),
            "turns": self.turns_played,
            "seconds": self.seconds_played,
            "shares": self._shares,
        }
        if self._shares > 1:
            if not self.accelerator.is_main_process:
                save_state(state, folder, share=self.accelerator.process_index)
            self.accelerator.wait_for_everyone()
        if not self.args.should_save:
            return
        (folder / "README.md").unlink(missing_ok=True)  # PEFT's empty model card
        self.store.save(folder / "references.jsonl")
        save_state(state, folder)
        # TRL's save_total_limit is not used: it deletes old checkpoints before the new one is complete.
        if self.plan.keep:
            delete_old_checkpoints(folder.parent, self.plan.keep)

    def _load_optimizer_and_scheduler(self, checkpoint: Any) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None:
            return
        share = self.accelerator.process_index if self._shares > 1 else 0
        state = load_state(Path(checkpoint), share=share, shares=self._shares)
        self._teacher_state = state["teacher"]
        self.teacher = None
        self.memory = dict(state.get("memory", {}))
        if self.critic is not None:
            self.critic.load_state_dict(state["critic"])
        self.turns_played, self.seconds_played = int(state["turns"]), float(state["seconds"])
        references = Path(checkpoint) / "references.jsonl"
        if references.exists():
            self.store = ReferenceStore.load(references)

    def save_policy(self, folder: str | Path) -> None:
        """Write the whole policy in transformers' format; under FSDP, ``save_model`` may write shards."""
        if not self.is_fsdp_enabled:
            self.save_model(str(folder))
            return
        state_dict = self.accelerator.get_state_dict(self.model)
        if self.args.should_save:
            self._save(str(folder), state_dict=state_dict)

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write nothing: TRL's card does not name the base model. :mod:`.model_card` writes the policy's card."""

    def close(self) -> None:
        """Close the environments."""
        self.player.close()
