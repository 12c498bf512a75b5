"""The tiny policy trained by the usual runs on the embedded ALFWorld, until it improves no more.

A run is prolonged in stages: each case goes on from the weights of the one before it, if that was measured in the same
call. Otherwise it begins with the warm start.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from agentgym_hindsight.baselines.evaluation.results import Evaluation
from agentgym_hindsight.baselines.training.configuration import configure
from agentgym_hindsight.baselines.training.run import train
from agentgym_hindsight.baselines.training.run_settings import RunSettings
from agentgym_hindsight.cli.bench.gpu.cases import Case, Figures, Run
from agentgym_hindsight.cli.bench.gpu.device import peak_gib

__all__ = ["cases", "figures_of", "has_converged", "settings_of"]

#: Updates at the end of each stage; the first ones are short, because a machine may be slow.
_STAGES = (20, 40, 80, 120)
#: The run has converged if a stage of as many updates as these won hardly more of the panel than the one before.
_LEAST_UPDATES = 80
_GAIN = 0.02
_SOLVED = 0.98


def cases(run: Run) -> Iterator[Case]:
    """The stages of the run. After convergence, no further stage is begun."""
    with tempfile.TemporaryDirectory() as folder:
        won: list[float] = []
        spent: list[float] = []
        least, before = 60.0, 0
        for updates in (1, 2) if run.dry else _STAGES:
            settings = settings_of(run, updates)
            if spent:  # in proportion to the stage before, which is too much after the first one with its warm start
                least = spent[-1] * (updates - before)

            def measure(settings: RunSettings = settings, more: int = updates - before) -> Figures:
                started = time.perf_counter()
                path = train(settings, Path(folder) / "run")
                figures = figures_of(path, time.perf_counter() - started)
                won.append(figures["success after, greedy"])
                spent.append(figures["seconds of this stage"] / more)
                return {**figures, **peak_gib()}

            given = {"seed": run.seed, **json.loads(json.dumps(settings.as_dict()))}
            yield Case(f"serl, {updates} updates", given, measure, least)
            if not run.dry and updates >= _LEAST_UPDATES and has_converged(won):
                return
            before = updates


def settings_of(run: Run, updates: int) -> RunSettings:
    """The preset of tiny models, with an evaluation before and after each stage."""
    small = (
        "warm.tasks=4",
        "plan.tasks=2",
        "plan.siblings=2",
        "evaluation.tasks=2",
        "plan.prompt_tokens=256",
        "stage.settings.max_steps=3",
    )
    settings = configure("serl", settings=[f"plan.seed={run.seed}", "model=tiny:S", *(small if run.dry else ())])
    return replace(
        settings,
        plan=replace(settings.plan, updates=updates, save_every=0),
        evaluation=replace(settings.evaluation, every=0, temperatures=(0.0,)),
    )


def has_converged(won: list[float]) -> bool:
    """Whether the last stage won nearly all tasks, or hardly more than the one before.

    >>> has_converged([0.8]), has_converged([0.8, 0.9]), has_converged([0.8, 0.9, 0.91])
    (False, False, True)
    """
    return bool(won) and (won[-1] >= _SOLVED or (len(won) > 1 and won[-1] - won[-2] <= _GAIN))


def figures_of(folder: Path, seconds: float) -> dict[str, float]:
    """From the run's own records. ``seconds`` are those of this stage, with the warm start if it is the first one."""
    metrics, evaluations = _lines(folder / "metrics.jsonl"), _lines(folder / "eval.jsonl")
    last = metrics[-10:]
    figures: dict[str, float] = {"seconds of this stage": seconds, "updates": len(metrics)}
    for name in ("rollout", "teacher", "update"):
        key = f"seconds_{name}"
        figures[f"seconds of {name}, mean of the last ten updates"] = _mean([line.get(key, 0.0) for line in last])
    figures["turns of an update, mean of the last ten"] = _mean([line["rows"] for line in last])
    figures["padding, mean of the last ten updates"] = 1 - _mean([line["token_efficiency"] for line in last])
    for name, line in (("before", evaluations[0]), ("after", evaluations[-1])):
        figures[f"success {name}, {line['label']}"] = Evaluation.from_dict(line["evaluation"]).micro.success
    return figures


def _mean(values: list[float]) -> float:
    return sum(values) / max(1, len(values))


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
