"""A short run of a pretrained model in which every other sibling wins: its own replies win nothing."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.baselines.training import trainer as trainers
from agentgym_hindsight.baselines.training.configuration import configure
from agentgym_hindsight.baselines.training.progress import Observer
from agentgym_hindsight.baselines.training.run import train
from tests.baselines.training.tiny_runs import HalfWonTrainer

SETTINGS = (
    'stage.settings={"data": "embedded", "difficulty": "bare", "max_steps": 2}',
    "stage.protocol=brief",
    "evaluation.tasks=2",
    "evaluation.temperatures=[0.4]",
    "train_tasks=4",
    "plan.updates=2",
    "plan.tasks=1",
    "plan.siblings=2",
    "plan.prompt_tokens=512",
    "plan.response_tokens=12",
    "plan.context_tokens=256",
    "plan.token_budget=2048",
)


def short_run(
    monkeypatch: pytest.MonkeyPatch, out: Path, method: str, *settings: str, observer: Observer | None = None
) -> list[dict[str, Any]]:
    """The metrics of a run, whose values are finite."""
    monkeypatch.setattr(trainers, "HindsightTrainer", HalfWonTrainer)
    train(configure(method, settings=[*SETTINGS, *settings]), out, observer=observer)
    records: list[dict[str, Any]] = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert all(math.isfinite(record["loss"]) and math.isfinite(record["grad_norm"]) for record in records)
    return records
