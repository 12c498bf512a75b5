"""One training run from its configuration to its folder: policy, warm start, updates, evaluations, checkpoints."""

from __future__ import annotations

import datetime
import platform
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from agentgym_hindsight.baselines.evaluation.panels import evaluate_policy
from agentgym_hindsight.baselines.evaluation.results import Evaluation, evaluate
from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.requirements import require_train
from agentgym_hindsight.baselines.training.plan import Plan
from agentgym_hindsight.baselines.training.progress import Observer, Silent
from agentgym_hindsight.baselines.training.quiet import quiet_libraries
from agentgym_hindsight.baselines.training.run_log import RunLog
from agentgym_hindsight.baselines.training.samples import draw_samples
from agentgym_hindsight.baselines.training.start import open_start
from agentgym_hindsight.baselines.training.warm_start import WarmStart
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.tasks import TaskPanel

__all__ = ["Examination", "Observer", "Stopped", "Training", "train"]


@dataclass(frozen=True)
class Examination:
    """When and on what a policy is evaluated: a fixed panel of a split that training never plays.

    * ``split``: "" takes the env's own held-out one.
    * ``tasks``: how many (0: the whole split), drawn by ``seed`` alone, so that all runs meet the same.
    * ``every``: updates between evaluations; 0: before the first and after the last alone.
    * ``temperatures``: 0 is greedy; the papers validate at 0.4.
    """

    split: str = ""
    tasks: int = 128
    every: int = 0
    temperatures: tuple[float, ...] = (0.0, 0.4)
    seed: int = 0
    envs: int = 64

    def __post_init__(self) -> None:
        if self.tasks < 0 or self.every < 0 or self.envs < 1:
            raise UsageError(
                f"Expected tasks ≥ 0, every ≥ 0 and envs ≥ 1 of an examination, got {self}; try 128, 0, 64."
            )
        if not self.temperatures or not all(0 <= value < float("inf") for value in self.temperatures):
            raise UsageError(f"Expected temperatures from 0 up, got {self.temperatures}; try [0, 0.4].")


@dataclass(frozen=True)
class Training:
    """Everything that decides a run.

    * ``model``: ``tiny:S``, ``tiny:M``, ``tiny:L`` (made from nothing, and warmed up as ``warm`` says), a folder, or a
      name that transformers can load. ``template`` goes to its chat template.
    * ``train_tasks``: how many tasks of the training split are walked through (0: all), in an order of the seed's.
    * ``samples_every``: updates between kept sample rollouts.
    * ``peft``: arguments of a LoraConfig, to train adapters alone.
    """

    method: Method
    stage: Stage
    plan: Plan
    examination: Examination = field(default_factory=Examination)
    model: str = "tiny:S"
    template: Mapping[str, Any] = field(default_factory=dict)
    warm: WarmStart = field(default_factory=WarmStart)
    train_tasks: int = 0
    samples_every: int = 10
    peft: Mapping[str, Any] | None = None
    judge: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Every setting as plain data (for run.json and configuration files)."""
        plain = asdict(replace(self, method=_NO_METHOD))
        plain["method"] = dict(self.method.as_dict())
        plain["plan"].pop("seed")  # a run's seed stands apart: runs that differ in it alone are one line of a report
        return plain


class Stopped(KeyboardInterrupt):
    """A run was asked to stop, finished its update and saved itself."""


def train(
    run: Training, out: str | Path, *, command: str = "", observer: Observer | None = None, fresh: bool = False
) -> Path:
    """Carry out a run, or go on with one that was stopped or killed; returns its folder.

    Ctrl-C ends it after the update that is being made, with a checkpoint; a second one at once. Whatever the reason,
    the same call goes on from the last checkpoint, to the same weights on a CPU.
    """
    require_train("training")
    with quiet_libraries():
        return _train(run, Path(out), command, observer or Silent(), fresh)


def _train(run: Training, folder: Path, command: str, news: Observer, fresh: bool) -> Path:
    from accelerate import PartialState
    from transformers import PrinterCallback

    from agentgym_hindsight.baselines.training import callbacks, checkpoints
    from agentgym_hindsight.baselines.training import trainer as trainers

    state = PartialState(cpu=_on_cpu())
    log = RunLog(folder, state.is_main_process)
    # What can be refused is refused before minutes are spent on a warm start, and before anything is deleted.
    judge = _judge(run.judge)
    if judge is None and run.method.what is not None and run.method.what.needs_judge:
        raise UsageError(
            f"Expected a judge for the context {str(run.method.what)!r}, got none; "
            "try --set judge.base_url=http://127.0.0.1:8000/v1 --set judge.model=NAME."
        )
    split = run.examination.split or run.stage.held_out
    panel = run.stage.panel(split, run.examination.tasks, run.examination.seed)
    tasks = run.stage.panel("train", run.train_tasks or run.stage.size("train"), run.plan.seed)
    if fresh and state.is_main_process and (folder / "run.json").exists():
        shutil.rmtree(folder)
    state.wait_for_everyone()
    log.check(_about(run, command, 0))
    policy = folder / "policy"
    if policy.exists():
        news.say(f"{folder} is complete already.")
        return folder
    with state.main_process_first():
        model, tokenizer, start = open_start(
            run.model, run.stage, run.warm, run.plan, news, adapters=run.peft is not None
        )
    log.begin(_about(run, command, _parameters(model)))
    encoder = PromptEncoder(tokenizer, run.plan.prompt_tokens, run.template)
    stop = _StopFlag()
    played = 0

    def updated(record: dict[str, Any], measured: Any) -> None:
        nonlocal played
        log.metrics(record)
        update = int(record["update"])
        if run.samples_every and (update % run.samples_every == 0 or trainer.budget_is_spent):
            for sample in draw_samples(measured, run.method, encoder, update):
                log.sample(sample)
        note = f"success {record['success']:.0%}, turns {record['episode_turns']:.1f}"
        if record.get("lambda") is not None:
            note += f", λ {record['lambda']:.2f}"
        news.advance(note, int(record["turns"]) - played if run.plan.turns else 1)
        played = int(record["turns"])

    trainer = trainers.HindsightTrainer(
        model,
        run.method,
        run.stage,
        run.plan,
        encoder=encoder,
        tasks=tasks,
        output_dir=folder,
        on_update=updated,
        judge=judge,
        peft_config=_lora(run.peft),
    )
    trainer.remove_callback(PrinterCallback)  # metrics.jsonl has it all, and the progress bar has the screen
    trainer.add_callback(callbacks.StopCallback(trainer, stop))
    trainer.add_callback(callbacks.EvaluationCallback(trainer, run.examination.every, lambda: examine()))

    def examine() -> None:
        done = trainer.updates_done
        for temperature in run.examination.temperatures:
            label = "greedy" if temperature == 0 else f"T={temperature:g}"
            key = {"panel": panel.fingerprint, "temperature": temperature, "stage": asdict(run.stage),
                   "tokens": [run.plan.prompt_tokens, run.plan.response_tokens], "template": run.template,
                   "seed": run.examination.seed}  # fmt: skip
            recallable = done == 0 and not run.peft
            there = any(line["update"] == done and line["label"] == label for line in log.read("eval"))
            # The first process decides for all: to play a panel is to meet.
            there, found = trainer.gather([(there, start.recall(key) if recallable else None)])[0]
            if there:
                continue
            if found is None:
                found = _examine(trainer, run, panel, temperature, news)
                if recallable and state.is_main_process:
                    start.remember(key, found)
            log.evaluation(
                {
                    "update": done,
                    "turns": trainer.turns_played,
                    "label": label,
                    "temperature": temperature,
                    "panel": panel.fingerprint,
                    "split": split,
                    "seed": run.examination.seed,
                    "evaluation": found.as_dict(),
                }
            )

    resume = checkpoints.last_checkpoint(folder)
    done = 0 if resume is None else checkpoints.updates_in(resume, run.plan)
    if resume is not None:
        news.say(f"going on after {done} of {run.plan.updates} updates")
    log.cut(done)
    played = 0 if resume is None else checkpoints.turns_in(resume)
    news.stage(run.method.name, run.plan.turns or run.plan.updates)
    news.advance(steps=played if run.plan.turns else done)
    if 0 < run.plan.turns <= played:
        trainer.args.max_steps = done * run.plan.mini_batches  # the budget is spent: the weights are all that is wanted
    try:
        with stop.listening(news):
            trainer.train(resume_from_checkpoint=None if resume is None else str(resume))
        if stop.asked and not trainer.budget_is_spent:
            raise Stopped(f"stopped after {trainer.updates_done} updates; the same command goes on from there")
        # Under another name until it is whole: a run with a policy is complete.
        part = folder / "policy.part"
        if state.is_main_process:
            shutil.rmtree(part, ignore_errors=True)
        state.wait_for_everyone()
        trainer.save_policy(part)
        if state.is_main_process:
            tokenizer.save_pretrained(part)
            part.rename(policy)
    finally:
        trainer.close()
    return folder


def _examine(trainer: Any, run: Training, panel: TaskPanel, temperature: float, news: Observer) -> Evaluation:
    """The panel played by all processes together, each a part of it."""
    accelerator = trainer.accelerator
    mine = list(panel)[accelerator.process_index :: accelerator.num_processes]
    played: list[Any] = []
    turns = 0

    def count(new: int) -> None:
        nonlocal turns
        turns += new
        news.advance(f"{panel.name}, {turns} turns", steps=0)

    with trainer.player(temperature, seed=f"eval:{run.examination.seed}") as policy:
        if mine:
            examination = run.examination
            _, played = evaluate_policy(
                policy, run.stage, mine, num_envs=examination.envs, seed=examination.seed, progress=count
            )
        trainer.drain(policy)
    return evaluate(trainer.gather(played))


def _about(run: Training, command: str, parameters: int) -> dict[str, Any]:
    import torch
    import transformers
    import trl

    return {
        "recipe": run.method.name,
        "env": run.stage.env,
        "backend": run.stage.backend(),
        "seed": run.plan.seed,
        "model": {"name": run.model, "parameters": parameters},
        "settings": run.as_dict(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "trl": trl.__version__,
        },
        "command": command or " ".join(sys.argv),
        "started": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def _parameters(model: Any) -> int:
    return sum(p.numel() for p in model.parameters())


def _on_cpu() -> bool:
    import torch

    return not torch.cuda.is_available()


def _lora(arguments: Mapping[str, Any] | None) -> Any:
    if arguments is None:
        return None
    try:
        from peft import LoraConfig
    except ImportError as error:
        from agentgym_hindsight.errors import MissingExtraError

        raise MissingExtraError("peft", "peft", "Training adapters") from error
    return LoraConfig(**{"task_type": "CAUSAL_LM", **arguments})


def _judge(arguments: Mapping[str, Any] | None) -> Any:
    if arguments is None:
        return None
    from agentgym_hindsight.hindsight import JudgeClient

    return JudgeClient(**arguments)


class _StopFlag:
    """Ctrl-C, remembered until the update is complete."""

    def __init__(self) -> None:
        self.asked = False

    @contextmanager
    def listening(self, news: Observer) -> Iterator[None]:
        def ask(signum: int, frame: Any) -> None:
            if self.asked:
                raise KeyboardInterrupt
            self.asked = True
            news.say("stopping when this update is complete; once more to stop at once")

        try:
            before = signal.signal(signal.SIGINT, ask)
        except ValueError:  # not the main thread: whoever runs us listens
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def _no_credit(rows: Any) -> Any:
    raise UsageError("Expected a method with a credit, got a placeholder.")


_NO_METHOD = Method("", _no_credit)
