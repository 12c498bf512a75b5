"""The trainer: TRL's GRPOTrainer over rows of turns. All that is known of its inside is known in this file.

TRL trains one flat sequence an episode, one scalar reward, exactly one row a prompt. Here an update plays groups of
siblings, makes a row of every turn, and hands TRL's own loss an advantage a token. What is overridden, and why:

* ``_prepare_inputs``: where TRL would generate, an update is played; where it would split, rows are never dropped.
* ``training_step``: one optimizer step over as many micro-batches as a budget of tokens asks for.
* ``_compute_loss``: the student's log-probabilities come from the pass that has the gradient; from them and the
  teacher's the token advantages are made, and TRL's loss goes on from there without a second pass.
* ``_get_per_token_logps_and_entropies``: what the step has scored is not scored again; on a CPU, half of the work.
* ``_save_checkpoint``, ``_load_optimizer_and_scheduler``: teacher, counters and reference store live in a checkpoint.
* ``log``: an update's own figures stand among TRL's.

Loss: ``loss_type="dapo"`` is the mean over the tokens of the whole optimizer step; ``delta`` is SERL's dual clip c: for
A < 0 TRL's −min(min(ρ, δ)·A, clip(ρ)·A) equals max(−Aρ, −A·clip(ρ)) bounded by −δA as soon as δ > 1 + ε.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from trl import GRPOConfig, GRPOTrainer

from agentgym_hindsight.baselines.methods import divergences, signals
from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.padding import pack, pad_right
from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.policies.transformers import TransformersPolicy
from agentgym_hindsight.baselines.policies.vllm import VLLMPolicy
from agentgym_hindsight.baselines.rollout import Episode, assignments, play
from agentgym_hindsight.baselines.training.callbacks import AfterStep
from agentgym_hindsight.baselines.training.checkpoints import all_checkpoints, load_state, save_state
from agentgym_hindsight.baselines.training.collating import Inputs, credit_tensors, no_rows, text_tensors
from agentgym_hindsight.baselines.training.importance import importance_ratio
from agentgym_hindsight.baselines.training.memory import peak_memory_mb
from agentgym_hindsight.baselines.training.metrics import Measured, measure
from agentgym_hindsight.baselines.training.plan import Plan
from agentgym_hindsight.baselines.training.sharding import gathered
from agentgym_hindsight.baselines.training.teacher_weights import Teacher
from agentgym_hindsight.baselines.training.training_rows import TrainingRow, group_episodes, make_rows
from agentgym_hindsight.baselines.training.trl_config import trl_arguments
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.reference_store import ReferenceStore
from agentgym_hindsight.hindsight.trajectory import Group
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.tasks import Task, TaskPanel, seeded_int

__all__ = ["HindsightTrainer"]


def _no_reward(*args: Any, **kwargs: Any) -> list[float]:
    raise AssertionError("Rewards come from the environments; TRL has no reason to ask for them.")


class HindsightTrainer(GRPOTrainer):  # type: ignore[misc]  # TRL is untyped
    """Trains a policy by a :class:`~.method.Method` on a :class:`~.stage.Stage`.

    * ``model``: a causal model of transformers, or its path or name; PEFT by ``peft_config`` as in TRL.
    * ``encoder``: tokenizer, chat template and prompt limit.
    * ``tasks``: what is played, from the first on, again from the start when all were played.
    * ``on_update``: told after every update what happened: a plain dictionary, and the rows with their tokens.
    * ``judge``: asked where the method's context names a judge (``hindsight.JudgeClient``).

    All of TRL stays: its logging, checkpoints, PEFT, accelerate, DeepSpeed, FSDP, vLLM.
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
        judge: Any = None,
        callbacks: Sequence[Any] = (),
        peft_config: Any = None,
        args: GRPOConfig | None = None,
    ) -> None:
        from accelerate import PartialState

        processes = PartialState(cpu=not torch.cuda.is_available()).num_processes
        arguments = args or trl_arguments(plan, method, output_dir, processes)
        if arguments.save_strategy == "steps" and arguments.save_steps % plan.mini_batches:
            raise UsageError("Expected checkpoints between updates only; try save_steps as a multiple of mini_batches.")
        if len(tasks) < plan.tasks:  # a reply follows from seed, update, task and sibling: it would be played twice
            raise UsageError(
                f"Expected at least {plan.tasks} tasks, as many as an update plays, got {len(tasks)}; "
                "try a larger panel or a smaller plan.tasks."
            )
        if method.what is not None and method.what.needs_judge and judge is None:
            raise UsageError(f"Expected a judge for context {str(method.what)!r}, got none; try judge=JudgeClient(…).")
        self.method, self.stage, self.plan, self.encoder, self.tasks, self.judge = (
            method, stage, plan, encoder, tasks, judge
        )  # fmt: skip
        self.store = ReferenceStore()
        self.turns_played = 0
        self.seconds_played = 0.0
        self._on_update = on_update
        self._mini: list[list[TrainingRow]] = []
        self._scored: tuple[Tensor, Tensor | None, Tensor | None] | None = None
        self._chosen = 0.0
        self._measured: Measured | None = None
        self._seconds: dict[str, float] = {}
        self._backward_done = 0.0
        self._entropy = torch.zeros(2, dtype=torch.float64)  # sum over tokens, tokens
        self._teacher_state: dict[str, Any] | None = None
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
        if self._dist.fsdp_version == 1:  # its passes meet at every layer, in rollouts too, and nothing lifts that
            raise UsageError("Expected FSDP 2, got FSDP 1; try fsdp_version: 2 in accelerate's configuration.")
        self.add_callback(AfterStep(self))
        self._pad = encoder.tokenizer.pad_token_id
        self._venv: Any = None
        self._synced_step = -1
        self.teacher: Teacher | None = None

    # -- one update ---------------------------------------------------------------------------------------------

    @property
    def updates_done(self) -> int:
        """Policy updates so far: the one counter from which λ, the tasks and all random numbers follow."""
        return int(self.state.global_step) // self.plan.mini_batches

    @property
    def budget_is_spent(self) -> bool:
        """Every update, or every env turn, of the plan has been made."""
        turns = self.plan.turns
        return self.updates_done >= self.plan.updates or (turns > 0 and self.turns_played >= turns)

    def tasks_of(self, update: int) -> list[Task]:
        """What an update plays on all processes together."""
        start = update * self.plan.tasks
        return [self.tasks[(start + i) % len(self.tasks)] for i in range(self.plan.tasks)]

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        if not self.model.training:
            raise UsageError("Expected evaluation by evaluate_policy(), got Trainer.evaluate(); rows need an update.")
        place = int(self.state.global_step) % self.plan.mini_batches
        if place == 0 or not self._mini:
            self._mini = self._play_update(self.updates_done)
        return self._mini[place]

    def _play_update(self, update: int) -> list[list[TrainingRow]]:
        if self.teacher is None:  # made here: only now the weights are where training will change them
            self._make_teacher()
        lam = self.method.when(update) if self.method.has_teacher else 0.0
        started = time.perf_counter()
        # A reply depends on (seed, update, task, sibling, turn), and on nothing that a resumed run would lack.
        with self.player(self.plan.temperature, seed=f"{self.plan.seed}:{update}") as policy:
            episodes = self._play(update, policy)
        self._seconds = {"rollout": time.perf_counter() - started}
        started = time.perf_counter()  # making contexts is part of what a teacher costs
        rows = self._rows(episodes, lam)
        asked = [row for row in rows if row.teacher_ids]
        if lam > 0:
            self._ask_teacher(asked)
        self._seconds["teacher"] = time.perf_counter() - started
        if self.plan.references:
            self.store.add(episode.trajectory for episode in episodes)  # after composing: earlier updates alone teach
        self.turns_played += int(self._total(sum(len(episode.trajectory) for episode in episodes)))
        self._measured = measure(episodes, rows, self.method, lam, self.gather)
        self._measured.record["rollout_tokens_per_second"] = self._measured.record.pop("rollout_tokens") / max(
            self._seconds["rollout"], 1e-9
        )
        return self._split(rows, update)

    def _rows(self, episodes: list[Episode], lam: float) -> list[TrainingRow]:
        judgements = None
        if self.method.what is not None and self.method.what.needs_judge and lam > 0:
            groups = [Group(e.trajectory for e in members) for members in group_episodes(episodes)]
            judged = self.judge.judge_groups(groups, with_success=self.method.what.judge_sees_success)
            judgements = [[each.text for each in members] for members in judged]
        return make_rows(
            episodes,
            self.method,
            self.encoder,
            lam,
            parser=self.stage.parser,
            references=self.store if self.plan.references else None,
            context_tokens=self.plan.context_tokens or None,
            judgements=judgements,
        )

    def _play(self, update: int, policy: Any) -> list[Episode]:
        tasks = self.tasks_of(update)
        mine = tasks[self.accelerator.process_index :: self.accelerator.num_processes]
        todo = assignments(mine, self.plan.siblings)
        if self._venv is None:
            self._venv = self.stage.vector(self.plan.envs or len(todo), "train")
        # The envs' seed is the run's: siblings of a task meet the same world, whatever the update.
        episodes = list(play(self._venv, policy, todo, seed=self.plan.seed))
        self.drain(policy)
        return episodes

    @contextmanager
    def player(self, temperature: float, seed: object) -> Iterator[Any]:
        """The current weights as a policy, through vLLM where that plays; every process has to ask for it."""
        if self.plan.vllm:
            if self.state.global_step != self._synced_step:
                self.vllm_generation.sync_weights()
                self._synced_step = int(self.state.global_step)
            before, self.vllm_generation.temperature = self.vllm_generation.temperature, temperature
            try:
                yield VLLMPolicy(self.vllm_generation, self.encoder.tokenizer, self.encoder)
            finally:
                self.vllm_generation.temperature = before
            return
        with self._whole() as model, torch.no_grad(), self.accelerator.autocast():
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

    @contextmanager
    def _whole(self) -> Iterator[Any]:
        """The model without its distributed wrapping, its weights whole on this process."""
        if self.is_deepspeed_enabled:
            from trl.models.utils import unwrap_model_for_generation

            gather = self.args.ds3_gather_for_generation
            with unwrap_model_for_generation(
                self.model_wrapped, self.accelerator, gather_deepspeed3_params=gather
            ) as model:
                yield model
            return
        plugin = getattr(self.accelerator.state, "fsdp_plugin", None)
        with gathered(self.model_wrapped, reshard=bool(plugin and plugin.reshard_after_forward)):
            yield self.accelerator.unwrap_model(self.model_wrapped)

    def drain(self, policy: Any) -> None:
        """Keep taking part until every process has played to its end."""
        if isinstance(policy, VLLMPolicy):
            policy.drain()

    def _split(self, rows: list[TrainingRow], update: int) -> list[list[TrainingRow]]:
        """Mini-batches of nearly equal size in an order drawn from the seed; every row is in exactly one."""
        count = self.plan.mini_batches
        if count > 1:
            rows = sorted(
                rows, key=lambda row: seeded_int("mini", self.plan.seed, update, row.step.index, row.episode, row.group)
            )
        return [rows[i::count] for i in range(count)]

    # -- the teacher --------------------------------------------------------------------------------------------

    def _make_teacher(self) -> None:
        self.teacher = Teacher(self.method.who, self.model) if self.method.has_teacher else None
        if self.teacher is not None and self._teacher_state is not None:
            self.teacher.load_state_dict(self._teacher_state)
        self._teacher_state = None

    def _ask_teacher(self, asked: list[TrainingRow]) -> None:
        """The teacher's log-probabilities of the student's very tokens, after the teacher's prompt."""
        assert self.teacher is not None
        with self.teacher.acting():
            for row, logps in self._scores(asked, teacher=True):
                row.teacher_logps = logps

    def _scores(self, rows: list[TrainingRow], teacher: bool = False) -> Iterator[tuple[TrainingRow, Tensor]]:
        """Every row with the model's log-probabilities (T) of its response, after its own or the teacher's prompt."""
        batches = pack(
            rows,
            self.plan.token_budget,
            lambda row: (len(row.teacher_ids if teacher else row.prompt_ids), len(row.response_ids)),
        )
        for batch in self._aligned(batches):
            inputs = self._placed(text_tensors(batch, self._pad, teacher=teacher) if batch else no_rows(self._pad))
            with torch.no_grad(), _without_dropout(self.model):
                logps, _, _ = self._get_per_token_logps_and_entropies(
                    self.model,
                    torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1),
                    torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], 1),
                    inputs["completion_ids"].size(1),
                )
            for row, line in zip(batch, logps.float().cpu(), strict=False):
                yield row, line[: len(row.response_ids)]

    # -- one optimizer step -------------------------------------------------------------------------------------

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        model.train()
        rows: list[TrainingRow] = self._prepare_inputs(inputs)
        started = time.perf_counter()
        tokens = self._total(sum(len(row.response_ids) for row in rows))
        self._chosen = self._total(sum(sum(row.chosen) for row in rows if row.teacher_logps is not None))
        batches = self._aligned(
            # A step without a single row is still a step: of one empty batch.
            pack(rows, self.plan.token_budget, lambda row: (len(row.prompt_ids), len(row.response_ids))) or [[]]
        )
        chunks = [self._collate(batch) for batch in batches]
        if self.plan.mini_batches > 1 or self.plan.vllm:
            self._score_old(batches, chunks)
        total = torch.zeros((), device=self.accelerator.device)
        for number, chunk in enumerate(chunks):
            # TRL divides by this, times the processes over which DDP takes the mean.
            chunk["num_items_in_batch"] = torch.tensor(
                max(1.0, tokens) * self.plan.mini_batches, device=self.accelerator.device
            )
            last = number + 1 == len(chunks)
            with nullcontext() if last else self.accelerator.no_sync(model):
                self.accelerator.gradient_state._set_sync_gradients(last)
                with self.compute_loss_context_manager():
                    loss = self.compute_loss(model, chunk)
                self.accelerator.backward(loss)
            total += loss.detach()
        self._step += 1
        self._seconds["update"] = self._seconds.get("update", 0.0) + time.perf_counter() - started
        self._backward_done = time.perf_counter()
        return total

    def _compute_loss(self, model: Any, inputs: Inputs) -> Tensor:
        """TRL's loss on token advantages made from this very pass; plus what TRL lacks."""
        ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1)
        mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], 1)
        self._scored = None
        scored = self._get_per_token_logps_and_entropies(
            model, ids, mask, inputs["completion_ids"].size(1), compute_entropy=True
        )
        logps, entropies, _ = scored
        if inputs["chosen"].any():
            inputs["advantages"] = signals.reweight(
                inputs["advantages"],
                signals.gap(inputs["teacher_logps"], logps),
                inputs["chosen"],
                inputs["lam"],
                clip=self.method.how.clip,
                mean_one=self.method.how.mean_one,
            )
        self._scored = scored
        try:
            with self._uneven_gathers():
                loss: Tensor = super()._compute_loss(model, inputs)
        finally:
            self._scored = None
        tokens = inputs["completion_mask"]
        self._entropy += torch.stack([(entropies.detach() * tokens).sum(), tokens.sum()]).double().cpu()
        share = self.accelerator.num_processes * self.plan.mini_batches / inputs["num_items_in_batch"]
        if self.method.entropy:
            loss = loss - self.method.entropy * (entropies * tokens).sum() * share
        if self.method.aux_kl and self._chosen:  # on every process or on none: wrapped models wait for each other
            loss = loss + inputs["lam"] * self.method.aux_kl * self._teacher_kl(model, ids, mask, inputs)
        return loss

    def _get_per_token_logps_and_entropies(self, *args: Any, **kwargs: Any) -> Any:
        if self._scored is not None:  # TRL's loss asks for what this step has computed already
            return self._scored
        if self.accelerator.device.type != "cpu" or kwargs.get("compute_aux_loss"):
            return super()._get_per_token_logps_and_entropies(*args, **kwargs)
        return self._score_on_cpu(*args, **kwargs)

    def _score_on_cpu(
        self, model: Any, ids: Tensor, mask: Tensor, width: int, compute_entropy: bool = False, **_: Any
    ) -> tuple[Tensor, Tensor | None, None]:
        """The same numbers. Without Triton TRL projects every prompt token onto the vocabulary too, twice as long."""
        scores = torch.log_softmax(self._logits(model, ids, mask, width), -1)
        chosen = scores.gather(-1, ids[:, -width:].unsqueeze(-1)).squeeze(-1)
        entropies = -(scores.exp() * scores).sum(-1) if compute_entropy else None
        keep = mask[:, -width:].bool()
        return chosen.where(keep, 0.0), None if entropies is None else entropies.where(keep, 0.0), None

    def _teacher_kl(self, model: Any, ids: Tensor, mask: Tensor, inputs: Inputs) -> Tensor:
        """Mean over the step's chosen tokens of KL(teacher ‖ policy) over the whole vocabulary: the paper's Eq. 14."""
        assert self.teacher is not None
        width = inputs["completion_ids"].size(1)
        told = torch.cat([inputs["teacher_ids"], inputs["completion_ids"]], 1)
        told_mask = torch.cat([inputs["teacher_mask"], inputs["completion_mask"]], 1)
        with self.teacher.acting(), torch.no_grad(), _without_dropout(model):
            teacher = self._logits(model, told, told_mask, width)
        student = self._logits(model, ids, mask, width)
        divergence = divergences.divergence(teacher, student, alpha=0.0)
        mean: Tensor = (divergence * inputs["chosen"]).sum() * self.accelerator.num_processes / self._chosen
        return mean

    def _logits(self, model: Any, ids: Tensor, mask: Tensor, width: int) -> Tensor:
        with self.accelerator.autocast():
            logits = model(input_ids=ids, attention_mask=mask, logits_to_keep=width + 1).logits
        scaled: Tensor = logits[:, :-1].float() / self.temperature
        return scaled

    def _score_old(self, batches: list[list[TrainingRow]], chunks: list[Inputs]) -> None:
        """π_old where it is not π: at later mini-batches, and where vLLM's sampler differs from the trainer's model."""
        if int(self.state.global_step) % self.plan.mini_batches == 0:
            # All rows of the update at once, before anything has changed.
            for row, logps in self._scores([row for part in self._mini for row in part]):
                row.old_logps = logps
        for batch, chunk in zip(batches, chunks, strict=True):
            if not batch:  # nothing was played, and the masked token stands for it
                chunk["old_per_token_logps"] = torch.zeros_like(chunk["advantages"])[None]
                chunk["importance_sampling_ratio"] = torch.ones_like(chunk["old_per_token_logps"])
                continue
            old = pad_right([row.old_logps for row in batch if row.old_logps is not None], 0.0, torch.float32)
            chunk["old_per_token_logps"] = old.to(self.accelerator.device)
            if self.plan.vllm and self.vllm_importance_sampling_correction:
                sampled = pad_right([row.logprobs for row in batch], 0.0, torch.float32).to(self.accelerator.device)
                chunk["importance_sampling_ratio"] = self._correction(chunk, sampled)

    def _correction(self, chunk: Inputs, sampled: Tensor) -> Tensor:
        return importance_ratio(
            chunk["old_per_token_logps"],
            sampled,
            chunk["completion_mask"],
            mode=self.vllm_importance_sampling_mode,
            low=self.vllm_importance_sampling_clip_min,
            high=self.vllm_importance_sampling_clip_max,
        )

    def _collate(self, batch: list[TrainingRow]) -> Inputs:
        """What the loss reads, where it is computed."""
        if batch:
            credit = credit_tensors(batch, self._pad, teacher_prompts=self.method.aux_kl > 0)
            inputs = self._placed({**text_tensors(batch, self._pad), **credit})
            inputs["lam"] = self.method.when(self.updates_done) if self.method.has_teacher else 0.0
        else:
            inputs = self._placed(no_rows(self._pad))
        if self.beta:  # of an empty batch as well: the first policy may be spread over processes
            inputs["ref_per_token_logps"] = self._reference(inputs)
        return inputs

    def _placed(self, inputs: Inputs) -> Inputs:
        device = self.accelerator.device
        return {key: value.to(device) if isinstance(value, Tensor) else value for key, value in inputs.items()}

    def _reference(self, inputs: Inputs) -> Tensor:
        """The first policy's log-probabilities, for a KL penalty."""
        ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1)
        mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], 1)
        model, scope = self.ref_model, nullcontext()
        if model is None:  # adapters: the first policy is the model without them
            model, scope = self.model, self.accelerator.unwrap_model(self.model).disable_adapter()
        with torch.no_grad(), scope, _without_dropout(model):
            scored = self._get_per_token_logps_and_entropies(model, ids, mask, inputs["completion_ids"].size(1))
        logps: Tensor = scored[0]
        return logps

    # -- many processes -----------------------------------------------------------------------------------------

    def _aligned(self, batches: list[list[TrainingRow]]) -> list[list[TrainingRow]]:
        """As many batches on every process, empty ones last: gathers and sharded weights wait for each other."""
        most = max(self.gather([len(batches)]))
        return batches + [[] for _ in range(most - len(batches))]

    @contextmanager
    def _uneven_gathers(self) -> Iterator[None]:
        """TRL's logs gather a number a row and take for granted that every process has as many rows; ours have not."""
        if self.accelerator.num_processes == 1:
            yield
            return
        accelerator, gather = self.accelerator, self.accelerator.gather
        # NaN is what a row without tokens has there already, and is left out.
        accelerator.gather = lambda each: gather(accelerator.pad_across_processes(each, pad_index=float("nan")))
        try:
            yield
        finally:
            del accelerator.gather

    def gather(self, values: list[Any]) -> list[Any]:
        """The values of all processes, in the processes' order."""
        if self.accelerator.num_processes == 1:
            return values
        from accelerate.utils import gather_object

        gathered: list[Any] = gather_object(values)
        return gathered

    @property
    def _shares(self) -> int:
        """Over how many processes the weights are spread."""
        return self.accelerator.num_processes if self.is_fsdp_enabled or self._dist.is_zero3 else 1

    def _total(self, value: float) -> float:
        return float(sum(self.gather([value])))

    # -- what is told and kept ----------------------------------------------------------------------------------

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """TRL's logs with ours among them; then ``on_update`` hears of the whole."""
        finished = "loss" in logs and self._measured is not None
        if finished:
            measured = self._measured
            assert measured is not None
            seconds = {f"seconds_{name}": value for name, value in self._seconds.items()}
            self.seconds_played += sum(self._seconds.values())
            # TRL takes the mean of its micro-batches' means, which depends on how rows were packed.
            entropy = sum(torch.tensor(self.gather([self._entropy.tolist()]), dtype=torch.float64))
            self._entropy.zero_()
            measured.record.update(
                entropy=float(entropy[0] / entropy[1].clamp(min=1)),  # type: ignore[index]
                update=self.updates_done - 1,
                turns=self.turns_played,
                seconds=self.seconds_played,
                memory_mb=peak_memory_mb(),
                **seconds,
            )
            plain = {key: value for key, value in measured.record.items() if isinstance(value, (int, float))}
            logs.update({f"hindsight/{key}": float(value) for key, value in plain.items()})
        super().log(logs, start_time)
        if finished:
            assert self._measured is not None
            for key in ("loss", "grad_norm", "learning_rate", "kl", "clip_ratio/region_mean"):
                if logs.get(key) is not None:
                    self._measured.record[key.replace("clip_ratio/region_mean", "ratio_clipped")] = logs[key]
            if self.accelerator.is_main_process and self._on_update is not None:
                self._on_update(self._measured.record, self._measured)
            self._measured = None

    def after_step(self) -> None:
        """Called after every optimizer step, before a checkpoint is written: where it ends an update, the teacher may
        follow."""
        now = time.perf_counter()
        self._seconds["update"] += now - self._backward_done  # clipping, and the step itself
        if self.teacher is not None and int(self.state.global_step) % self.plan.mini_batches == 0:
            self.teacher.after_update(self.updates_done)
            self._seconds["teacher"] += time.perf_counter() - now

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        folder = Path(self._get_output_dir(trial=trial)) / f"checkpoint-{self.state.global_step}"
        state = {
            "teacher": None if self.teacher is None else self.teacher.state_dict(),
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
        self.store.save(folder / "references.jsonl")
        save_state(state, folder)
        # Ours to do, and here: TRL would delete the old ones while the new one is not whole yet.
        if self.plan.keep:
            for old in all_checkpoints(folder.parent)[: -self.plan.keep]:
                shutil.rmtree(old, ignore_errors=True)

    def _load_optimizer_and_scheduler(self, checkpoint: Any) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None:
            return
        share = self.accelerator.process_index if self._shares > 1 else 0
        state = load_state(Path(checkpoint), share=share, shares=self._shares)
        self._teacher_state = state["teacher"]
        self.teacher = None
        self.turns_played, self.seconds_played = int(state["turns"]), float(state["seconds"])
        references = Path(checkpoint) / "references.jsonl"
        if references.exists():
            self.store = ReferenceStore.load(references)

    def save_policy(self, folder: str | Path) -> None:
        """The whole policy as transformers loads it, where FSDP's own files would be of its shares."""
        if not self.is_fsdp_enabled:
            self.save_model(str(folder))
            return
        whole = self.accelerator.get_state_dict(self.model)
        if self.args.should_save:
            self._save(str(folder), state_dict=whole)

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write nothing: TRL's draft does not know the base model. The run writes a card beside the policy."""

    def close(self) -> None:
        """Close the environments."""
        if self._venv is not None:
            self._venv.close()
            self._venv = None


@contextmanager
def _without_dropout(model: Any) -> Iterator[None]:
    """What is compared with something else is no draw of its own."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
