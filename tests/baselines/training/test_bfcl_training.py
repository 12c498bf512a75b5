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
#: Calls as JSON in tags, which a larger policy writes.
TAGS = ["stage.protocol=plain", "stage.parser=tools", "stage.history=3"]


def test_the_preset_of_a_tiny_policy() -> None:
    run = configure("serl", settings=SETTINGS[:1])
    assert (run.stage.protocol, run.stage.parser) == ("short", "short")
    assert run.stage.settings["kinds"] == [
        "read_file+base",
        "delete_file+base",
        "make_folder+base",
        "measure_file+base",
    ]
    assert run.stage.world == "tools"
    assert len(run.stage.panel("train", 0)) == 4 * 48
    assert configure("serl", settings=SETTINGS[:1], quick=True).plan.updates == 2


def test_expert_play_is_one_call_and_the_end_of_the_turn() -> None:
    stage = configure("serl", settings=[*SETTINGS, *TAGS]).stage
    plain = WarmStart(siblings=1, noise=0.0, seek=False, hindsight=0.0)
    examples = [each for wave in expert_play(stage, list(stage.panel("train", 4)), plain) for each in wave]
    replies = [parse_response(each.response, "tools") for each in examples]
    assert all(reply.span == (0, len(each.response)) for reply, each in zip(replies, examples, strict=True))
    called = [each for each in examples if each.response.startswith("<tool_call>")]
    assert len(called) == len(examples) - len(called) == 4


def test_expert_play_in_short_names_with_a_needless_habit() -> None:
    stage = configure("serl", settings=SETTINGS[:1]).stage
    warm = WarmStart(siblings=1, noise=0.0, hindsight=0.0, needless_looks=0.5)
    examples = [each for wave in expert_play(stage, list(stage.panel("train", 24)), warm) for each in wave]
    needless = [each for each in examples if "[list_folder()]" in each.response]
    assert len(examples) / 5 < len(needless) < len(examples) / 2
    assert not any("\nNow: list_folder" in each.prompt for each in needless), "never twice in a row"
    calls = [each.response for each in examples if "(" in each.response and each not in needless]
    assert calls
    assert all("=@1)]" in call for call in calls), "the values are written by their marks"


def test_a_world_without_a_harmless_call_has_no_habit() -> None:
    stage = configure("serl", settings=[*SETTINGS[:1], 'stage.settings={"kinds": ["add+base"]}']).stage
    warm = WarmStart(siblings=1, noise=0.0, hindsight=0.0, needless_looks=1.0)
    examples = [each for wave in expert_play(stage, list(stage.panel("train", 2)), warm) for each in wave]
    assert len(examples) == 4


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
    train(configure(method, settings=[*SETTINGS, *TAGS]), tmp_path / "run")
    metrics = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert len(metrics) == 2
    # HERO only imitates, so an update without feedback on any turn has no gradient.
    learning = [each for each in metrics if method != "hero" or each["context_available"] > 0]
    assert learning
    assert all(each["grad_norm"] > 0 for each in learning)
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
