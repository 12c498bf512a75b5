"""All figures of ``agh bench training-speed``: update times of SERL and GRPO, credit times, sampling times, memory.

Times are medians of the repeats: CPU seconds of one core, or wall-clock seconds with a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.training.quiet import quiet_libraries
from agentgym_hindsight.baselines.training.run import RunSettings
from agentgym_hindsight.baselines.training.start import open_start
from agentgym_hindsight.cli.bench.figures import Row
from agentgym_hindsight.cli.bench.training.credit_times import credit_rows
from agentgym_hindsight.cli.bench.training.sampling_times import open_endpoint, open_engine, sampling_rows, served_rows
from agentgym_hindsight.cli.bench.training.step_times import one_thread, step_rows, step_times
from agentgym_hindsight.cli.bench.training.update_memory import memory_rows, open_model
from agentgym_hindsight.errors import UsageError

__all__ = ["StatusLine", "measure"]


def measure(
    training: RunSettings,
    *,
    updates: int = 2,
    repeats: int = 3,
    sizes: Sequence[str] = ("S", "M"),
    batches: Sequence[int] = (1, 16, 128),
    endpoint: str = "",
    updates_only: bool = False,
    note: Callable[[str], object] = lambda _: None,
) -> list[Row]:
    """All figures: updates of the model of ``training``; sampling and memory of it and of the tiny ``sizes``.

    With ``updates_only``, only those of updates and of credit.
    """
    if updates < 1 or repeats < 1:
        raise UsageError(f"Expected at least one update and one repeat, got {updates} and {repeats}; try 2 and 3.")
    plan = training.plan
    policy = open_endpoint(endpoint, plan) if endpoint else None  # first: a bad address is rejected at once
    with quiet_libraries():
        progress = StatusLine(note)
        model, tokenizer, start = open_start(training.model, training.stage, training.warm, plan, progress)
        encoder = PromptEncoder(tokenizer, plan.prompt_tokens, training.template)
        names = [training.model, *(name for size in sizes if (name := f"tiny:{size}") != training.model)]
        with one_thread():
            steps, episodes = step_times(training, model, tokenizer, updates=updates, repeats=repeats, note=note)
            rows = step_rows(training.model, steps)
            note("credit")
            rows += credit_rows(episodes, steps["grpo"], repeats)
            if updates_only:
                return rows
            prompts = [step.prompt for episode in episodes for step in episode.trajectory.steps]
            for name in names:
                sized_model = open_model(name, training.model, model, tokenizer)
                sized_model.to("cuda" if torch.cuda.is_available() else "cpu")
                rows += sampling_rows(name, sized_model, encoder, prompts, plan, batches, repeats, note)
        rows += served_rows("vLLM", prompts, batches, *open_engine(str(start.folder or training.model), plan), note)
        rows += served_rows(
            "endpoint", prompts, batches, policy, "not measured: --endpoint URL#MODEL was not given", note
        )
        for name in names:
            rows += memory_rows(name, training, note)
    return rows


class StatusLine:
    """An observer that shows the progress of the warm start as one line."""

    def __init__(self, note: Callable[[str], object]) -> None:
        self._note, self._name = note, ""

    def stage(self, name: str, total: int) -> None:
        self._name = name
        self._note(name)

    def advance(self, note: str = "", steps: int = 1) -> None:
        self._note(f"{self._name} {note}")

    def say(self, text: str) -> None:
        self._note(text)
