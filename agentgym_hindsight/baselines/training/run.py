"""One training run: policy, warm start, updates, evaluations, checkpoints and the run's folder."""

from __future__ import annotations

import datetime
import platform
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agentgym_hindsight.baselines.evaluation.panels import evaluate_policy
from agentgym_hindsight.baselines.evaluation.results import Evaluation, evaluate
from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.requirements import require_train
from agentgym_hindsight.baselines.run_log import RunLog
from agentgym_hindsight.baselines.training.interrupt import StopFlag, Stopped
from agentgym_hindsight.baselines.training.model_card import write_model_card
from agentgym_hindsight.baselines.training.progress import Observer, SilentObserver
from agentgym_hindsight.baselines.training.quiet import quiet_libraries
from agentgym_hindsight.baselines.training.run_folder import check_run_folder, delete_run
from agentgym_hindsight.baselines.training.run_settings import EvaluationSettings, RunSettings
from agentgym_hindsight.baselines.training.samples import draw_samples
from agentgym_hindsight.baselines.training.start import Start, open_start
from agentgym_hindsight.errors import MissingExtraError, UsageError
from agentgym_hindsight.tasks import TaskPanel

__all__ = ["EvaluationSettings", "Observer", "RunSettings", "Stopped", "train"]


def train(
    settings: RunSettings,
    out: str | Path,
    *,
    command: str = "",
    observer: Observer | None = None,
    fresh: bool = False,
) -> Path:
    """Start a run, or continue one that was stopped or killed. Returns its folder.

    Ctrl-C ends the run after the current update, with a checkpoint; a second Ctrl-C ends it at once. In both cases the
    same call continues from the last checkpoint; on a CPU the final weights are the same as without the interruption.
    """
    require_train("training")
    with quiet_libraries():
        return _Run(settings, Path(out), command, observer or SilentObserver()).run(fresh)


class _Run:
    """A run with the objects that its steps share."""

    def __init__(self, settings: RunSettings, folder: Path, command: str, observer: Observer) -> None:
        from accelerate import PartialState

        self.settings, self.folder, self.command, self.observer = settings, folder, command, observer
        self.state = PartialState(cpu=_on_cpu())
        self.log = RunLog(folder, self.state.is_main_process)
        self.stop = StopFlag()
        self.turns_seen = 0
        self.trainer: Any = None
        self.encoder: Any = None
        self.start: Start | None = None
        self.panel: TaskPanel | None = None
        self.split = settings.evaluation.split or settings.stage.held_out
        # Read once: no environment has to be opened after training, when a failure would lose the policy.
        self.backend = settings.stage.backend()

    def run(self, fresh: bool) -> Path:
        settings, plan = self.settings, self.settings.plan
        # All settings are checked before the warm start, which takes minutes, and before a folder is deleted.
        judge = _judge(settings)
        evaluation = settings.evaluation
        self.panel = settings.stage.panel(self.split, evaluation.tasks, evaluation.seed)
        tasks = settings.stage.panel("train", settings.train_tasks or settings.stage.size("train"), plan.seed)
        check_run_folder(self.folder, fresh=fresh)
        if fresh and self.state.is_main_process:
            delete_run(self.folder)
        self.state.wait_for_everyone()
        self.log.check(self._description(parameters=0))
        if (self.folder / "policy").exists():
            self.observer.say(f"{self.folder} is complete already.")
            return self.folder
        with self.state.main_process_first():
            model, tokenizer, self.start = open_start(
                settings.model, settings.stage, settings.warm, plan, self.observer, adapters=settings.peft is not None
            )
        self.log.begin(self._description(parameters=sum(p.numel() for p in model.parameters())))
        self.encoder = PromptEncoder(tokenizer, plan.prompt_tokens, settings.template)
        self._make_trainer(model, tasks, judge)
        try:
            self._train()
            self._save(tokenizer)
        finally:
            self.trainer.close()
        return self.folder

    def _make_trainer(self, model: Any, tasks: TaskPanel, judge: Any) -> None:
        from transformers import PrinterCallback

        from agentgym_hindsight.baselines.training.callbacks import EvaluationCallback, StopCallback
        from agentgym_hindsight.baselines.training.trainer import HindsightTrainer

        settings = self.settings
        self.trainer = HindsightTrainer(
            model,
            settings.method,
            settings.stage,
            settings.plan,
            encoder=self.encoder,
            tasks=tasks,
            output_dir=self.folder,
            on_update=self._updated,
            judge=judge,
            peft_config=_lora(settings.peft),
        )
        self.trainer.remove_callback(PrinterCallback)  # metrics.jsonl and the observer get everything that it prints
        self.trainer.add_callback(StopCallback(self.trainer, self.stop))
        self.trainer.add_callback(EvaluationCallback(self.trainer, settings.evaluation.every, self._evaluate))

    def _train(self) -> None:
        from agentgym_hindsight.baselines.training.checkpoints import last_checkpoint, turns_in, updates_in

        plan, trainer = self.settings.plan, self.trainer
        checkpoint = last_checkpoint(self.folder)
        done = 0 if checkpoint is None else updates_in(checkpoint, plan)
        if checkpoint is not None:
            self.observer.say(f"continuing after {done} of {plan.updates} updates")
        self.log.cut(done)
        self.turns_seen = 0 if checkpoint is None else turns_in(checkpoint)
        self.observer.stage(self.settings.method.name, plan.turns or plan.updates)
        self.observer.advance(steps=self.turns_seen if plan.turns else done)
        if 0 < plan.turns <= self.turns_seen:
            trainer.args.max_steps = done * plan.mini_batches  # the budget is spent: only load the weights
        with self.stop.listening(self.observer):
            trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        if self.stop.requested and not trainer.budget_is_spent:
            raise Stopped(f"stopped after {trainer.updates_done} updates; the same command continues from there")

    def _save(self, tokenizer: Any) -> None:
        """Save the policy under a temporary name, then rename it: a run with a ``policy`` folder is complete."""
        part = self.folder / "policy.part"
        if self.state.is_main_process:
            shutil.rmtree(part, ignore_errors=True)
        self.state.wait_for_everyone()
        self.trainer.save_policy(part)
        if self.state.is_main_process:
            tokenizer.save_pretrained(part)
            records, updates = self.log.read("eval"), self.trainer.updates_done
            write_model_card(part, self.settings, self.backend, records, updates=updates)
            part.rename(self.folder / "policy")

    def _updated(self, record: dict[str, Any], measured: Any) -> None:
        """Log an update."""
        settings = self.settings
        self.log.metrics(record)
        update = int(record["update"])
        if settings.samples_every and (update % settings.samples_every == 0 or self.trainer.budget_is_spent):
            for sample in draw_samples(measured, settings.method, self.encoder, update):
                self.log.sample(sample)
        note = f"success {record['success']:.0%}, turns {record['episode_turns']:.1f}"
        if record.get("lambda") is not None:
            note += f", λ {record['lambda']:.2f}"
        turns = int(record["turns"])
        self.observer.advance(note, turns - self.turns_seen if settings.plan.turns else 1)
        self.turns_seen = turns

    def _evaluate(self) -> None:
        """Evaluate on the panel at every temperature. Evaluations that are already logged are not repeated."""
        assert self.panel is not None
        assert self.start is not None
        evaluation, trainer = self.settings.evaluation, self.trainer
        done = trainer.updates_done
        for temperature in evaluation.temperatures:
            label = "greedy" if temperature == 0 else f"T={temperature:g}"
            cacheable = done == 0 and not self.settings.peft
            logged = any(line["update"] == done and line["label"] == label for line in self.log.read("eval"))
            key = self._cache_key(temperature)
            # All processes follow the first one, because playing a panel makes collective calls.
            cached = self.start.cached_evaluation(key) if cacheable else None
            logged, result = trainer.processes.gather([(logged, cached)])[0]
            if logged:
                continue
            if result is None:
                result = self._play_panel(temperature)
                if cacheable and self.state.is_main_process:
                    self.start.cache_evaluation(key, result)
            self.log.evaluation(
                {
                    "update": done,
                    "turns": trainer.turns_played,
                    "label": label,
                    "temperature": temperature,
                    "panel": self.panel.fingerprint,
                    "split": self.split,
                    "seed": evaluation.seed,
                    "evaluation": result.as_dict(),
                }
            )

    def _play_panel(self, temperature: float) -> Evaluation:
        """Evaluate on the panel; every process plays its share of the tasks."""
        assert self.panel is not None
        panel, evaluation, trainer = self.panel, self.settings.evaluation, self.trainer
        own_tasks = trainer.processes.share(panel)
        played: list[Any] = []
        turns = 0

        def count(new: int) -> None:
            nonlocal turns
            turns += new
            self.observer.advance(f"{panel.name}, {turns} turns", steps=0)

        with trainer.current_policy(temperature, seed=f"eval:{evaluation.seed}") as policy:
            if own_tasks:
                _, played = evaluate_policy(
                    policy,
                    self.settings.stage,
                    own_tasks,
                    num_envs=evaluation.envs,
                    seed=evaluation.seed,
                    progress=count,
                )
        return evaluate(trainer.processes.gather(played))

    def _cache_key(self, temperature: float) -> dict[str, Any]:
        """The key of a cached evaluation: all values that the evaluation of the initial policy depends on."""
        assert self.panel is not None
        settings = self.settings
        return {
            "panel": self.panel.fingerprint,
            "temperature": temperature,
            "stage": asdict(settings.stage),
            "tokens": [settings.plan.prompt_tokens, settings.plan.response_tokens],
            "template": settings.template,
            "seed": settings.evaluation.seed,
        }

    def _description(self, parameters: int) -> dict[str, Any]:
        """The content of run.json."""
        import torch
        import transformers
        import trl

        settings = self.settings
        return {
            "recipe": settings.method.name,
            "env": settings.stage.env,
            "backend": self.backend,
            "seed": settings.plan.seed,
            "model": {"name": settings.model, "parameters": parameters},
            "settings": settings.as_dict(),
            "versions": {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "transformers": transformers.__version__,
                "trl": trl.__version__,
            },
            "command": self.command or " ".join(sys.argv),
            "started": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        }


def _on_cpu() -> bool:
    import torch

    return not torch.cuda.is_available()


def _lora(arguments: Mapping[str, Any] | None) -> Any:
    if arguments is None:
        return None
    try:
        from peft import LoraConfig
    except ImportError as error:
        raise MissingExtraError("peft", "peft", "Training adapters") from error
    return LoraConfig(**{"task_type": "CAUSAL_LM", **arguments})


def _judge(settings: RunSettings) -> Any:
    """The judge's client, if the settings describe one. Raises if the method needs a judge and there is none."""
    if settings.judge is not None:
        from agentgym_hindsight.hindsight import JudgeClient

        return JudgeClient(**settings.judge)
    what = settings.method.what
    if what is not None and what.needs_judge:
        raise UsageError(
            f"Expected a judge for the context {str(what)!r}, got none; "
            "try --set judge.base_url=http://127.0.0.1:8000/v1 --set judge.model=NAME."
        )
    return None
