"""Training in the embedded world of BFCL: a tiny policy on the easiest kinds, with weights on the calls."""

from __future__ import annotations

import json
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
    "stage.env=BFCL-Hindsight-v0",
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
    "plan.response_tokens=48",
]


def test_the_preset_of_a_tiny_policy() -> None:
    run = configure("serl", settings=SETTINGS[:1])
    assert (run.stage.protocol, run.stage.parser) == ("plain", "tools")
    assert run.stage.settings["kinds"] == ["switch+base", "set_lock+base", "set_heating+base", "ask_sensors+base"]
    assert run.stage.world == "tools"
    assert len(run.stage.panel("train", 0)) == 4 * 48


def test_expert_play_is_one_call_and_the_end_of_the_turn() -> None:
    stage = configure("serl", settings=SETTINGS).stage
    plain = WarmStart(siblings=1, noise=0.0, seek=False, hindsight=0.0)
    examples = [each for wave in expert_play(stage, list(stage.panel("train", 4)), plain) for each in wave]
    replies = [parse_response(each.response, "tools") for each in examples]
    assert all(reply.span == (0, len(each.response)) for reply, each in zip(replies, examples, strict=True))
    called = [each for each in examples if each.response.startswith("<tool_call>")]
    assert len(called) == len(examples) - len(called) == 4


@pytest.mark.parametrize(
    "method",
    [
        "serl",
        pytest.param("hint-sd", marks=pytest.mark.slow),
        pytest.param("hero", marks=pytest.mark.slow),
        pytest.param("grpo", marks=pytest.mark.slow),
    ],
)
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
    train(configure(method, settings=SETTINGS), tmp_path / "run")
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
