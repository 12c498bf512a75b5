"""The time of an update by GRPO, SERL and RLSD on the same rows.

The episodes of an update are played once. Then each method trains on them, from copies of the same weights, so that
only the method differs. No optimizer step is made, because it costs the same for all methods.
"""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch

from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.methods.rows import Array, Rows
from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.rollout import Episode
from agentgym_hindsight.baselines.training.run import RunSettings
from agentgym_hindsight.baselines.training.trainer import HindsightTrainer
from agentgym_hindsight.baselines.training.training_row import TrainingRow
from agentgym_hindsight.cli.bench.figures import Row

__all__ = ["GOAL", "EveryTurn", "Replay", "StepTime", "clock", "one_thread", "step_rows", "step_times", "worst"]

#: The project's goal for the time of SERL's update divided by GRPO's, on equal rows.
GOAL = 1.15
_WORST = "serl, teacher on every row"


class StepTime(NamedTuple):
    """Seconds of one update, its rows and tokens, and the rows and tokens of the teacher.

    ``ratio`` is the median, over updates and repeats, of the method's total by GRPO's that was measured just before.
    """

    rollout: float
    rows: float
    teacher: float
    update: float
    turns: float
    tokens: float
    teacher_rows: float
    teacher_tokens: float
    ratio: float = 1.0

    @property
    def recorded(self) -> float:
        """The sum of the times that ``metrics.jsonl`` records: rollout, teacher and update."""
        return self.rollout + self.teacher + self.update

    @property
    def total(self) -> float:
        """The time of the whole update, including the contexts and the metrics."""
        return self.recorded + self.rows


@dataclass(frozen=True, slots=True)
class EveryTurn:
    """A credit that is never 0, so that the teacher skips no row, even if no rollout won."""

    def __call__(self, rows: Rows) -> Array:
        advantages: Array = np.where(np.arange(len(rows)) % 2 == 0, np.float32(1.0), np.float32(-1.0))
        return advantages


def worst() -> Method:
    """The most expensive form of SERL: a context for every turn, a weight for every token, no advantage of 0."""
    return replace(recipe("serl").changed(tokens="response"), credit=EveryTurn())


class Replay(HindsightTrainer):
    """A trainer that plays an update only once and then trains on the stored episodes."""

    def __init__(self, *args: Any, played: dict[int, list[Episode]], **options: Any) -> None:
        super().__init__(*args, **options)
        self.played = played
        self.play_seconds = self.rollout_seconds = self.teacher_seconds = 0.0
        self.current_gradient_accumulation_steps = 1  # as Trainer.train sets it

    def _play(self, update: int, policy: Any) -> list[Episode]:
        started = clock()
        if update not in self.played:
            self.played[update] = super()._play(update, policy)
        self.rollout_seconds = clock() - started
        return self.played[update]

    def _score_teacher(self, rows: list[TrainingRow]) -> None:
        started = clock()
        super()._score_teacher(rows)
        self.teacher_seconds = clock() - started

    def _play_update(self, update: int) -> list[list[TrainingRow]]:
        self.teacher_seconds = 0.0  # set by _score_teacher, which is not called when λ is 0
        started = clock()
        mini_batches = super()._play_update(update)
        self.play_seconds = clock() - started
        return mini_batches

    def counted(self) -> dict[str, float]:
        """The tokens of the passes since the last call."""
        return self._tokens.result(self.processes.gather)

    def timed(self, update: int) -> StepTime:
        """One training step with the tasks and the λ of this update. The weights are not changed."""
        self.state.global_step = update * self.plan.mini_batches
        self.model.zero_grad(set_to_none=True)
        started = clock()
        self.training_step(self.model, None)
        step_seconds = clock() - started
        rows = [row for part in self._mini_batches for row in part]
        with_teacher = [row for row in rows if row.teacher_logps is not None]
        return StepTime(
            rollout=self.rollout_seconds,
            rows=self.play_seconds - self.rollout_seconds - self.teacher_seconds,
            teacher=self.teacher_seconds,
            update=step_seconds - self.play_seconds,
            turns=len(rows),
            tokens=sum(len(row.prompt_ids) + len(row.response_ids) for row in rows),
            teacher_rows=len(with_teacher),
            teacher_tokens=sum(len(row.teacher_ids) + len(row.response_ids) for row in with_teacher),
        )


def step_times(
    training: RunSettings,
    model: Any,
    tokenizer: Any,
    *,
    updates: int,
    repeats: int,
    note: Callable[[str], object] = lambda _: None,
) -> tuple[dict[str, StepTime], list[Episode]]:
    """For each method the mean over updates of the median over repeats, and the episodes of all updates."""
    plan = replace(training.plan, mini_batches=1, save_every=0, updates=max(updates, training.plan.updates))
    tasks = training.stage.panel("train", updates * plan.tasks, plan.seed)
    played: dict[int, list[Episode]] = {}
    step_times_by_method: dict[str, list[StepTime]] = {}
    ratios: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        learners = {
            name: stack.enter_context(
                closing(
                    Replay(
                        copy.deepcopy(model),
                        worst() if name == _WORST else _with_penalty(name, training.method),
                        training.stage,
                        plan,
                        encoder=PromptEncoder(tokenizer, plan.prompt_tokens, training.template),
                        tasks=tasks,
                        output_dir=folder,
                        played=played,
                    )
                )
            )
            for name in ("grpo", "serl", "rlsd", _WORST)
        }
        for update in range(updates):
            note(f"update {update + 1} of {updates}: playing")
            # The first method's time includes the rollout. Then every method makes one unmeasured step, to warm up.
            rollout = learners["grpo"].timed(update).rollout
            for learner in [*learners.values()][1:]:
                learner.timed(update)
            times: dict[str, list[StepTime]] = {name: [] for name in learners}
            for number in range(repeats):
                for name, learner in learners.items():
                    note(f"update {update + 1} of {updates}: {name}, {number + 1} of {repeats}")
                    times[name].append(learner.timed(update))
            for name, repeated_times in times.items():
                median_time = StepTime(*(median(values) for values in zip(*repeated_times, strict=True)))
                step_times_by_method.setdefault(name, []).append(median_time._replace(rollout=rollout))
                pairs = zip(repeated_times, times["grpo"], strict=True)
                ratios.setdefault(name, []).extend(
                    own._replace(rollout=rollout).total / base._replace(rollout=rollout).total for own, base in pairs
                )
    return {
        name: StepTime(*(sum(values) / updates for values in zip(*each, strict=True)))._replace(
            ratio=median(ratios[name])
        )
        for name, each in step_times_by_method.items()
    }, [episode for episodes in played.values() for episode in episodes]


def _with_penalty(name: str, run_method: Method) -> Method:
    """A recipe with the run's penalty. The penalty decides which groups have variance and need a teacher."""
    penalty = getattr(run_method.credit, "penalty", None)
    return recipe(name) if penalty is None else recipe(name).changed(penalty=penalty)


def step_rows(model: str, steps: Mapping[str, StepTime]) -> list[Row]:
    """The times of each method by part, and their ratios to GRPO."""
    base = steps["grpo"]
    rows = [Row(f"an update of {model}", f"{base.turns:,.0f} rows, {base.tokens:,.0f} tokens")]
    for name, step in steps.items():
        parts = " + ".join(f"{value:.3f}" for value in (step.rollout, step.rows, step.teacher, step.update))
        rows.append(Row(f"{name}: rollout + rows + teacher + update", f"{parts} = {step.total:.3f} s"))
        if name == "grpo":
            continue
        share = step.teacher_rows / max(1.0, step.turns)
        rows += [
            Row("  relative to grpo, whole update, median of pairs", f"{step.ratio:.3f}× (goal: ≤ {GOAL}×)"),
            Row("  relative to grpo, rollout + teacher + update", f"{step.recorded / base.recorded:.3f}×"),
            Row(
                "  rows scored by the teacher",
                f"{step.teacher_rows:,.0f} rows ({share:.0%}), {step.teacher_tokens:,.0f} tokens",
            ),
        ]
    return rows


def clock() -> float:
    """CPU seconds, which other processes hardly change. With a GPU: wall-clock seconds after its work is finished."""
    if not torch.cuda.is_available():
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one thread on a CPU: only then are CPU seconds equal to the seconds on an idle machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(before if torch.cuda.is_available() else 1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
