"""Peak memory of an update: that of a process that makes two updates, so that the optimizer's state is allocated.

The learning rate is almost 0, so all methods train on the same rows. SERL needs more memory than GRPO: its teacher
is one more copy of the trained weights and reads longer prompts.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import replace
from typing import Any, NamedTuple

from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.training.memory import peak_memory_mb
from agentgym_hindsight.baselines.training.progress import SilentObserver
from agentgym_hindsight.baselines.training.quiet import quiet_libraries
from agentgym_hindsight.baselines.training.run import RunSettings
from agentgym_hindsight.baselines.training.start import open_start
from agentgym_hindsight.baselines.training.tiny import make_model
from agentgym_hindsight.baselines.training.trainer import HindsightTrainer
from agentgym_hindsight.cli.bench.figures import Row
from agentgym_hindsight.cli.bench.training.step_times import worst
from agentgym_hindsight.errors import WorkerError

__all__ = ["Memory", "memory_of", "memory_rows", "open_model"]


class Memory(NamedTuple):
    """MiB: the peak before the first update, the peak at the end, and the size of one copy of the weights."""

    before: float
    peak: float
    weights: float


def memory_rows(name: str, training: RunSettings, note: Callable[[str], object] = lambda _: None) -> list[Row]:
    """Peaks of GRPO and SERL with the model ``name``: the run's model, or a tiny one with random weights."""
    by_method = {}
    for method in ("grpo", "serl"):
        note(f"memory: {name}, {method}")
        by_method[method] = memory_of(method, name, training)
    grpo, serl = by_method["grpo"], by_method["serl"]
    difference = f"{serl.peak - grpo.peak:+,.1f} MiB; a copy of the weights is {serl.weights:,.1f} MiB"
    return [
        *(
            Row(
                f"{name}: {method}, peak memory",
                f"{memory.peak:,.0f} MiB ({memory.before:,.0f} before the first update)",
            )
            for method, memory in by_method.items()
        ),
        Row("  serl minus grpo", difference),
    ]


def memory_of(method: str, name: str, training: RunSettings) -> Memory:
    """The memory of two updates by a method, measured in a new process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(_two_updates, method, name, training).result()
        except BrokenProcessPool as error:
            raise WorkerError(
                f"Expected two updates of {name} by {method}, got a process that was killed, probably because memory "
                "ran out; try --set plan.token_budget=4096."
            ) from error


def _two_updates(method: str, name: str, training: RunSettings) -> Memory:
    from transformers import PrinterCallback

    plan = replace(training.plan, mini_batches=1, save_every=0, updates=2, learning_rate=1e-12, warmup=0, turns=0)
    # A random policy wins nothing, so no group has variance and the teacher would not run. worst() runs it on all rows.
    method_values = worst() if method == "serl" else replace(recipe(method), credit=worst().credit)
    with quiet_libraries(), tempfile.TemporaryDirectory() as folder:
        run_model, tokenizer, _ = open_start(
            training.model, training.stage, training.warm, training.plan, SilentObserver()
        )
        model = open_model(name, training.model, run_model, tokenizer)
        trainer = HindsightTrainer(
            model,
            method_values,
            training.stage,
            plan,
            encoder=PromptEncoder(tokenizer, plan.prompt_tokens, training.template),
            tasks=training.stage.panel("train", 2 * plan.tasks, plan.seed),
            output_dir=folder,
        )
        trainer.remove_callback(PrinterCallback)
        before = peak_memory_mb()
        with closing(trainer):
            trainer.train()
    weights = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    return Memory(before, peak_memory_mb(), weights / 2**20)


def open_model(name: str, run_name: str, run_model: Any, tokenizer: Any) -> Any:
    """The run's model ``own``, or a tiny one with random weights and the run's tokenizer."""
    return run_model if name == run_name else make_model(tokenizer, name.removeprefix("tiny:"))
