"""HindsightTrainer: TRL's GRPOTrainer over rows of turns.

TRL trains one flat sequence per episode, with one scalar reward, and exactly one row per prompt. Here an update plays
groups of siblings, makes one row per turn, and gives TRL's loss one advantage per token. Five files override methods of
TRL; no other file depends on its internals:

* this one: ``_prepare_inputs`` plays an update where TRL would generate, and returns its rows (no row is dropped);
  ``log`` adds the figures of the update to TRL's;
* :mod:`.generating_trainer`: the policy and the teacher, to sample from; synchronises vLLM's weights;
* :mod:`.scoring_trainer`: scores of rows without a gradient, by the policy and by the teacher;
* :mod:`.loss_trainer`: the optimizer step and its loss;
* :mod:`.saving_trainer`: checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from trl import GRPOConfig

from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.methods.replacing import checked_replacements
from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.policies.conversation import Conversations
from agentgym_hindsight.baselines.rollout import Episode
from agentgym_hindsight.baselines.training.analyser_client import AnalyserClient
from agentgym_hindsight.baselines.training.asker import Asker
from agentgym_hindsight.baselines.training.callbacks import AfterStep
from agentgym_hindsight.baselines.training.collectives import Processes
from agentgym_hindsight.baselines.training.dynamic_sampling import trained_episodes
from agentgym_hindsight.baselines.training.generating_trainer import GeneratingTrainer
from agentgym_hindsight.baselines.training.loss_trainer import LossTrainer
from agentgym_hindsight.baselines.training.memory import peak_memory_mb
from agentgym_hindsight.baselines.training.metrics import (
    Measured,
    add_questions,
    add_weights,
    from_trl,
    measure,
    to_trl,
)
from agentgym_hindsight.baselines.training.plan import Plan
from agentgym_hindsight.baselines.training.released_batching import BatchOrder, order_batch
from agentgym_hindsight.baselines.training.resampling import (
    PromptedPolicy,
    Replaced,
    check_resampling,
    replaced_episodes,
)
from agentgym_hindsight.baselines.training.row_credit import add_evidence
from agentgym_hindsight.baselines.training.running_figures import Means, TokenCounts, TokenMean
from agentgym_hindsight.baselines.training.saving_trainer import SavingTrainer
from agentgym_hindsight.baselines.training.scoring import Scorer
from agentgym_hindsight.baselines.training.teacher_contexts import Composer
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
from agentgym_hindsight.hindsight.trajectory import Group
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.tasks import TaskPanel
from agentgym_hindsight.wrappers.protocols import CONVERSATION

__all__ = ["HindsightTrainer"]


def _no_reward(*args: Any, **kwargs: Any) -> list[float]:
    raise AssertionError("Rewards come from the environments; TRL must not compute them.")


class HindsightTrainer(GeneratingTrainer, LossTrainer, SavingTrainer):
    """Trains a policy by a :class:`~.method.Method` on a :class:`~.stage.Stage`.

    * ``model``: a causal model of transformers, or its path or name; adapters through ``peft_config`` as in TRL.
    * ``encoder``: tokenizer, chat template and prompt limit.
    * ``tasks``: played in order, again and again.
    * ``on_update``: called after every update with its figures as a dictionary, and with its rows and their tokens.
    * ``on_turns``: called during the rollouts of an update with the number of turns just played.
    * ``judge``: required if the method's context contains a judge (``hindsight.JudgeClient``).
    * ``analyser``: required if the method asks an endpoint (:class:`~.analyser_client.AnalyserClient`).

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
        analyser: AnalyserClient | None = None,
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
        check_resampling(method, stage)
        plan.batching.check_history(stage.history)
        if stage.history == CONVERSATION:
            Conversations.of(encoder)  # raises for a chat template that changes earlier replies
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
        self._corrects_prompts = False
        self._tokens = TokenCounts()
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
        self.asker = Asker(
            encoder,
            self.answering,
            seed=plan.seed,
            gather=self.processes.gather,
            together=self.answers_together,
            has_teacher=method.has_teacher,
            analyser=analyser,
            most_tokens=arguments.vllm_max_model_length if plan.vllm else None,
            timed=lambda: self._times.phase("ask"),
        )
        self._replaced = Replaced()
        self.player = UpdatePlayer(stage, tasks, plan, self.processes)
        self._scorer = Scorer(self.temperature, self.accelerator.autocast)
        self._pad = encoder.tokenizer.pad_token_id
        self._synced = (-1, "policy")
        self.teacher: Teacher | None = None
        self.critic = self._make_critic()

    # -- one update ---------------------------------------------------------------------------------------------

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
        self.asker.begin(update, self.memory)
        # A reply depends only on (seed, update, task, sibling, turn), which a resumed run has too.
        seed = f"{self.plan.seed}:{update}"
        with self._times.phase("rollout"), self.current_policy(self.plan.temperature, seed) as policy:
            played = self._play(update, policy)
        episodes = trained_episodes(played, self.processes) if self.plan.rounds > 1 else played
        if self.method.replaces_rollouts:
            episodes = self._resample(update, episodes)
        with self._times.phase("teacher"):  # includes the time to make the contexts
            asks_teacher = self.method.needs_teacher(update)
            groups = group_episodes(episodes)
            batch = order_batch(groups, self.plan.batching, self.plan.seed, update, self.processes)
            rows = self._rows(episodes, asks_teacher, batch)
            if asks_teacher:
                self._score_teacher([row for row in rows if row.teacher_ids])
                columns = columns_of(groups, self.method, self.plan.context_settings, batch)
                add_evidence(rows, columns, self.method, lam, self.memory, self.processes)
                self.method.share_memory(self.memory, self.processes.gather)
        if self.asker.kept:
            episodes = [self._with_analyses(episode) for episode in episodes]
        if self.plan.references:
            # Only after the contexts are made: they must contain only successes of earlier updates.
            self.store.add(episode.trajectory for episode in episodes)
        # With dynamic sampling, the turns and figures are of all rollouts, also of those that are not trained on.
        counted = played if self.plan.rounds > 1 else episodes
        self.turns_played += self._turns_of(counted)
        self._corrects_prompts = self.method.replaces_rollouts and any(
            self.processes.gather([any(row.other_prompt for row in rows)])
        )
        self._measured = measure(counted, rows, self.method, lam, self.processes.gather)
        self._measured.episodes = episodes  # those of the rows, for the samples
        add_questions(self._measured, self.method, self.asker.figures, self._replaced, self.processes.gather)
        self._measured.record["rollout_tokens_per_second"] = self._measured.record.pop("rollout_tokens") / max(
            self._times.seconds["rollout"], 1e-9
        )
        return split_rows(rows, self.plan.mini_batches, self.plan.seed, update, batch)

    def _play(self, update: int, policy: Any) -> list[Episode]:
        return self.player.play(update, policy, self._on_turns)

    def _turns_of(self, episodes: Sequence[Episode]) -> int:
        """The turns that all processes played in this update, with those that were replaced."""
        own = sum(len(episode.trajectory) for episode in episodes) + self._replaced.turns
        return int(self.processes.total(own))

    def _resample(self, update: int, episodes: list[Episode]) -> list[Episode]:
        """The episodes after the rounds of the method's ``resample``. All processes make the same number of rounds."""
        self._replaced = Replaced()
        for number in range(self.method.resample_rounds):
            if 0 < self.plan.turns <= self.turns_played + self._turns_of(episodes):
                break
            members = group_episodes(episodes)
            groups = [Group(episode.trajectory for episode in each) for each in members]
            tokens, settings = self.plan.context_tokens or None, self.plan.context_settings
            composer = Composer(self.method, self.encoder, self._references, tokens, contexts=settings)
            given = self.method.resample(groups, self.asker.hook(composer.compose, groups))
            self.asker.drain()
            replacements = {
                (groups[each.group].task_id, groups[each.group][each.member].sibling): each
                for each in checked_replacements(given, groups, self.method.name)
            }
            if not any(self.processes.gather([bool(replacements)])):
                break
            seed = f"{self.plan.seed}:{update}:again{number}"
            with self._times.phase("rollout"), self.current_policy(self.plan.temperature, seed) as policy:
                played = self._play_again(update, PromptedPolicy(policy, replacements)) if replacements else []
            episodes = replaced_episodes(episodes, played, replacements, self.encoder, self._replaced)
        return episodes

    def _play_again(self, update: int, policy: PromptedPolicy) -> list[Episode]:
        return self.player.play_again(list(policy.replacements), update, policy, self._on_turns)

    def _with_analyses(self, episode: Episode) -> Episode:
        trajectory = episode.trajectory
        kept = self.asker.kept.get((trajectory.task_id, trajectory.sibling), [])
        return episode._replace(trajectory=trajectory.replace(analyses=(*trajectory.analyses, *kept)))

    @property
    def _references(self) -> ReferenceStore | None:
        return self.store if self.plan.references else None

    def _rows(self, episodes: list[Episode], asks_teacher: bool, batch: BatchOrder | None = None) -> list[TrainingRow]:
        rows = make_rows(
            episodes,
            self.method,
            self.encoder,
            asks_teacher,
            parser=self.stage.parser,
            references=self._references,
            context_tokens=self.plan.context_tokens or None,
            judgements=judge_texts(episodes, self.method.what, self.judge) if asks_teacher else None,
            predict=None if self.critic is None else self.critic.predict,
            processes=self.processes,
            asker=self.asker,
            contexts=self.plan.context_settings,
            batch=batch,
        )
        if asks_teacher and self.method.writes_contexts:
            self.asker.drain()
        return rows

    # -- logs ---------------------------------------------------------------------------------------------------

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
                **self._tokens.result(self.processes.gather),
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

    def close(self) -> None:
        """Close the environments."""
        self.player.close()
