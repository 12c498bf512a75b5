"""Training at the embedded desks: a tiny policy on the easiest kind, with weights on the tokens of the calls."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("trl", reason="needs the extra [train]")

from agentgym_hindsight.baselines.training import trainer as trainers
from agentgym_hindsight.baselines.training.configuration import configure
from agentgym_hindsight.baselines.training.run import train
from agentgym_hindsight.baselines.training.warm_start import WarmStart, expert_play
from agentgym_hindsight.wrappers import parse_response
from tests.baselines.training.tiny_runs import HalfWonTrainer

SETTINGS = [
    "stage.env=TauBench-Hindsight-v0",
    'stage.settings={"data": "embedded", "kinds": ["cancel_order"], "user": "scripted-all", "introduce": false, '
    '"max_steps": 3}',
    "evaluation.split=train",
    "evaluation.tasks=2",
    "evaluation.temperatures=[0.4]",
    "warm.tasks=4",
    "warm.siblings=1",
    "warm.epochs=4",
    "warm.batch=4",
    "plan.updates=2",
    "plan.tasks=2",
    "plan.siblings=4",
    "plan.response_tokens=64",
]
#: Calls as JSON in tags, which a larger policy writes.
TAGS = ["stage.protocol=plain", "stage.parser=tools", "stage.history=3"]


def test_the_preset_of_a_tiny_policy() -> None:
    run = configure("serl", settings=SETTINGS[:1])
    assert (run.stage.protocol, run.stage.parser) == ("short", "short")
    assert run.stage.settings["kinds"] == ["cancel_order"]
    assert configure("serl", settings=SETTINGS[:1], quick=True).plan.updates == 2
    assert run.stage.world == "tools"


def test_expert_play_is_the_reference_call_by_call() -> None:
    stage = configure("serl", settings=[*SETTINGS, *TAGS]).stage
    plain = WarmStart(siblings=1, noise=0.0, seek=False, hindsight=0.0)
    examples = [each for wave in expert_play(stage, list(stage.panel("train", 2)), plain) for each in wave]
    calls = [json.loads(each.response.removeprefix("<tool_call>").removesuffix("</tool_call>")) for each in examples]
    assert [call["name"] for call in calls][1:3] == ["get_order_details", "cancel_pending_order"]
    assert all(parse_response(each.response, "tools").span == (0, len(each.response)) for each in examples)


def test_expert_play_in_short_names_with_a_needless_habit() -> None:
    stage = configure("serl", settings=[*SETTINGS[:1], "stage.settings.data=embedded"]).stage
    warm = WarmStart(siblings=1, noise=0.0, hindsight=0.0, needless_looks=0.5)
    examples = [each for wave in expert_play(stage, list(stage.panel("train", 6)), warm) for each in wave]
    replies = [each.response for each in examples]
    needless = [reply for reply in replies if "think(" in reply]
    assert len(replies) / 5 < len(needless) < len(replies) / 2
    assert any("[cancel_pending_order(order_id=@" in reply for reply in replies)
    assert not any("think(" in one and "think(" in two for one, two in pairwise(replies))
    assert all("policy" not in each.prompt.lower() for each in examples)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["hint-sd", "hero", "serl"])
def test_the_preset_trains_every_method_of_the_benchmark(method: str, tmp_path: Path) -> None:
    small = ["warm.tasks=16", "warm.epochs=1", "plan.updates=1", "plan.tasks=2", "plan.siblings=2"]
    panel = ["evaluation.tasks=2", "evaluation.temperatures=[0.4]"]
    if method == "hero":
        small.append("method.analyser_tokens=48")
    train(configure(method, settings=[*SETTINGS[:1], *small, *panel]), tmp_path / "run")
    (metrics,) = (json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines())
    assert metrics["turns"] > 0
    assert (tmp_path / "run" / "policy").is_dir()


@pytest.mark.parametrize("method", ["serl", pytest.param("grpo", marks=pytest.mark.slow)])
def test_updates_change_the_policy(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    seen: list[Any] = []
    original = HalfWonTrainer._rows

    def record(self: Any, *arguments: Any) -> Any:
        rows = original(self, *arguments)
        seen.extend((row, self.encoder.decode) for row in rows)
        return rows

    monkeypatch.setattr(HalfWonTrainer, "_rows", record)
    monkeypatch.setattr(trainers, "HindsightTrainer", HalfWonTrainer)
    train(configure(method, settings=[*SETTINGS, *TAGS]), tmp_path / "run")
    metrics = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert len(metrics) == 2
    assert all(each["grad_norm"] > 0 for each in metrics)
    assert seen
    if method == "serl":
        for row, decode in seen:
            text = decode(row.response_ids)
            span = parse_response(text, "tools", world="tools").span
            if span is None:
                assert not any(row.chosen)
            else:
                weighted = decode([each for each, chosen in zip(row.response_ids, row.chosen, strict=True) if chosen])
                assert text[slice(*span)].strip() in weighted
