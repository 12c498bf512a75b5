"""One training run: policy, warm start, updates, evaluations, checkpoints and the run's folder."""

from __future__ import annotations

import datetime
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

from agentgym_hindsight.baselines.evaluation.panels import evaluate_policy
from agentgym_hindsight.baselines.evaluation.results import Evaluation, evaluate
from agentgym_hindsight.baselines.own_modules import stage_hashes
from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.policies.tool_template import with_tools
from agentgym_hindsight.baselines.requirements import require_train
from agentgym_hindsight.baselines.run_log import RunLog
from agentgym_hindsight.baselines.training.cautions import Cautions
from agentgym_hindsight.baselines.training.checkpoints import last_checkpoint, turns_in, updates_in
from agentgym_hindsight.baselines.training.estimates import PhaseEstimate
from agentgym_hindsight.baselines.training.interrupt import StopFlag, Stopped
from agentgym_hindsight.baselines.training.model_card import write_model_card
from agentgym_hindsight.baselines.training.own_code import changed_modules, imported_names, module_hashes
from agentgym_hindsight.baselines.training.preflight import prepare
from agentgym_hindsight.baselines.training.progress import Observer, SilentObserver, evaluation_text
from agentgym_hindsight.baselines.training.prolonging import check_length, done_in
from agentgym_hindsight.baselines.training.quiet import quiet_libraries
from agentgym_hindsight.baselines.training.run_folder import check_run_folder, check_writable, delete_run, keep_policy
from agentgym_hindsight.baselines.training.run_settings import EvaluationSettings, RunSettings
from agentgym_hindsight.baselines.training.samples import draw_samples
from agentgym_hindsight.baselines.training.start import Start, open_start

_UPDATES = "updates, evaluations not included"

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
    A run is prolonged by the same call with more ``plan.updates`` or ``plan.turns``, which gives the same weights as a
    run that was made at once.
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
        self.turns_of_update = 0
        self.samples_said = False
        self.updates_estimate: PhaseEstimate | None = None
        self.cautions = Cautions(settings.method, settings.plan.updates)
        self.trainer: Any = None
        self.encoder: Any = None
        self.start: Start | None = None
        # All settings are checked before the warm start, which takes minutes, and before a folder is deleted.
        self.prepared = prepare(settings, folder, self.state.num_processes)

    def run(self, fresh: bool) -> Path:
        from agentgym_hindsight.baselines.training.trl_config import length_of_schedule

        settings, plan = self.settings, self.settings.plan
        check_run_folder(self.folder, fresh=fresh)
        if fresh and self.state.is_main_process:
            delete_run(self.folder)
        self.state.wait_for_everyone()
        self.log.check(self._description(parameters=0))
        before = self.log.description()
        is_complete = bool(before) and (self.folder / "policy").exists()
        done = done_in(self.folder, self.log, plan, is_complete=is_complete)
        check_length(self.folder, done, before.get("settings", {}).get("plan", {}), plan, length_of_schedule(plan))
        if is_complete and done.is_enough(plan):
            self.observer.say(f"{self.folder} is complete already ({done.updates} updates, {done.turns} turns).")
            return self.folder
        for module in changed_modules(before.get("code"), settings):
            self.observer.say(f"the module {module} has changed since the run began; its new code is used from here on")
        check_writable(self.folder)
        with self.state.main_process_first():
            model, tokenizer, self.start = open_start(
                settings.model,
                settings.stage,
                settings.warm,
                plan,
                self.observer,
                adapters=settings.peft is not None,
                template=with_tools(settings.template, settings.stage),
            )
        if is_complete and self.state.is_main_process:
            keep_policy(self.folder, done.updates)
        self.log.begin(self._description(parameters=sum(p.numel() for p in model.parameters())))
        template = with_tools(settings.template, settings.stage)
        self.encoder = PromptEncoder(tokenizer, plan.prompt_tokens, template)
        self._make_trainer(model)
        try:
            self._train()
            self._save(tokenizer)
        finally:
            self.trainer.close()
        return self.folder

    def _make_trainer(self, model: Any) -> None:
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
            tasks=self.prepared.tasks,
            output_dir=self.folder,
            on_update=self._updated,
            on_turns=self._played,
            judge=self.prepared.judge,
            analyser=self.prepared.analyser,
            peft_config=self.prepared.lora,
        )
        self.trainer.keeps_entropies = settings.samples_every > 0
        self.trainer.remove_callback(PrinterCallback)  # metrics.jsonl and the observer get everything that it prints
        self.trainer.add_callback(StopCallback(self.trainer, self.stop))
        self.trainer.add_callback(EvaluationCallback(self.trainer, settings.evaluation.every, self._evaluate))

    def _train(self) -> None:
        plan, trainer = self.settings.plan, self.trainer
        checkpoint = last_checkpoint(self.folder)
        done = 0 if checkpoint is None else updates_in(checkpoint, plan)
        if checkpoint is not None:
            self.observer.say(f"continuing after {done} of {plan.updates} updates")
        for caution in self.cautions.before():
            self.observer.say(caution)
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
            write_model_card(part, self.settings, self.prepared.backend, records, updates=updates)
            part.rename(self.folder / "policy")

    def _played(self, turns: int) -> None:
        """Show the turns of the update that is being played."""
        if self.updates_estimate is None:  # after the first evaluation, which is not part of an update
            rest = self.settings.plan.updates - self.trainer.updates_done
            self.updates_estimate = PhaseEstimate(self.settings.method.name, rest, _UPDATES, self.observer.say)
        self.turns_of_update += turns
        self.observer.advance(f"update {self.trainer.updates_done + 1}, {self.turns_of_update} turns played", steps=0)

    def _updated(self, record: dict[str, Any], measured: Any) -> None:
        """Log an update."""
        settings = self.settings
        self.log.metrics(record)
        for caution in self.cautions.about(record):
            self.observer.say(caution)
        update = int(record["update"])
        if settings.samples_every and (update % settings.samples_every == 0 or self.trainer.budget_is_spent):
            before = self._samples_bytes()
            for sample in draw_samples(measured, settings.method, self.encoder, update, settings.samples):
                self.log.sample(sample)
            if settings.samples == "all" and not self.samples_said:
                self.samples_said = True
                size = (self._samples_bytes() - before) / 2**20
                self.observer.say(f"samples.jsonl grows by {size:.1f} MiB for each recorded update (samples=all)")
        self.turns_of_update = 0
        note = f"success {record['success']:.0%}, turns {record['episode_turns']:.1f}"
        if record.get("lambda") is not None:
            note += f", λ {record['lambda']:.2f}"
        note += f", useful tokens {record['token_efficiency']:.0%}, saved {record['tokens_saved']:,.0f}"
        turns = int(record["turns"])
        self.observer.advance(note, turns - self.turns_seen if settings.plan.turns else 1)
        if self.updates_estimate is not None and not settings.plan.turns:
            self.updates_estimate.advance()
        self.turns_seen = turns

    def _samples_bytes(self) -> int:
        path = self.folder / "samples.jsonl"
        return path.stat().st_size if path.exists() else 0

    def _evaluate(self) -> None:
        """Evaluate on the panel at every temperature. Evaluations that are already logged are not repeated."""
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
                result = self._play_panel(temperature, label)
                if cacheable and self.state.is_main_process:
                    self.start.cache_evaluation(key, result)
            self.observer.say(evaluation_text(done, label, result))
            self.log.evaluation(
                {
                    "update": done,
                    "turns": trainer.turns_played,
                    "label": label,
                    "temperature": temperature,
                    "panel": self.prepared.panel.fingerprint,
                    "split": self.prepared.split,
                    "seed": evaluation.seed,
                    "evaluation": result.as_dict(),
                }
            )

    def _play_panel(self, temperature: float, label: str) -> Evaluation:
        """Evaluate on the panel; every process plays its share of the tasks."""
        panel, evaluation, trainer = self.prepared.panel, self.settings.evaluation, self.trainer
        own_tasks = trainer.processes.share(panel)
        played: list[Any] = []
        turns = 0
        estimate: PhaseEstimate | None = None

        def count(new: int) -> None:
            nonlocal turns, estimate
            turns += new
            if estimate is None:  # the number of turns is known only in the env
                at_most = len(own_tasks) * self._max_steps()
                estimate = PhaseEstimate(
                    f"evaluation, {label}", at_most, "turns", self.observer.say, after=at_most // 10, at_most=True
                )
            estimate.advance(new)
            self.observer.advance(f"evaluation, {label}, on {panel.name}: {turns} turns", steps=0)

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

    def _max_steps(self) -> int:
        """The turn limit of an episode."""
        env = self.settings.stage.make(self.prepared.split)
        try:
            return int(env.unwrapped.max_steps)
        finally:
            env.close()

    def _cache_key(self, temperature: float) -> dict[str, Any]:
        """The key of a cached evaluation: all values that the evaluation of the initial policy depends on."""
        settings = self.settings
        return {
            "panel": self.prepared.panel.fingerprint,
            "temperature": temperature,
            "stage": settings.stage.as_dict(),
            "tokens": [settings.plan.prompt_tokens, settings.plan.response_tokens],
            "template": settings.template,
            "seed": settings.evaluation.seed,
            **({"code": hashes} if (hashes := stage_hashes(settings.stage)) else {}),
        }

    def _description(self, parameters: int) -> dict[str, Any]:
        """The content of run.json."""
        import torch
        import transformers
        import trl

        settings = self.settings
        own = {"imports": imported_names(settings), "code": module_hashes(settings)}
        return {
            "recipe": settings.method.name,
            **{name: value for name, value in own.items() if value},
            "env": settings.stage.env,
            "backend": self.prepared.backend,
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
