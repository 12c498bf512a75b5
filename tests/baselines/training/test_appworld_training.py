"""SERL in AppWorld's miniature: replies with code, weights on the tokens of the code, a policy that changes."""

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
    "stage.env=AppWorld-Hindsight-v0",
    "stage.protocol=code",
    'stage.settings={"templates": ["ask_the_time"], "max_steps": 3}',
    "evaluation.split=train",
    "evaluation.tasks=4",
    "evaluation.temperatures=[0.4]",
    "warm.tasks=4",
    "warm.siblings=1",
    "warm.epochs=12",  # more, and all siblings win: then no row has an advantage
    "warm.batch=4",
    "plan.updates=2",
    "plan.tasks=2",
    "plan.siblings=4",
    "plan.response_tokens=48",
    "samples_every=1",
]


def test_the_preset_has_training_templates_and_holds_tasks_out() -> None:
    run = configure("serl", settings=SETTINGS[:1])
    assert (run.stage.protocol, run.stage.parser) == ("short", "short")
    assert run.stage.settings["held_out"] == "tasks"
    assert run.stage.held_out == "test"
    train_panel, test_panel = run.stage.panel("train"), run.stage.panel("test")
    assert {task.category for task in train_panel} == set(run.stage.settings["templates"])
    assert not {task.id for task in train_panel} & {task.id for task in test_panel}
    assert run.plan.prompt_tokens > run.plan.response_tokens > 16


@pytest.mark.parametrize("setting", ["stage.settings.backend=official", "stage.settings.difficulty=1"])
def test_other_tasks_have_no_templates_of_the_preset(setting: str) -> None:
    run = configure("serl", settings=[SETTINGS[0], setting])
    assert not {"templates", "held_out"} & run.stage.settings.keys()


PLAIN = WarmStart(siblings=1, noise=0.0, seek=False, hindsight=0.0)


def test_expert_play_is_the_reference_solution_turn_by_turn() -> None:
    stage = configure("serl", settings=SETTINGS).stage
    examples = [each for wave in expert_play(stage, list(stage.panel("train", 3)), PLAIN) for each in wave]
    assert len(examples) == 6
    assert {each.response for each in examples} == {
        '```python\nnow = apis.phone.show_time()["now"]\nprint(now)\n```',
        "```python\napis.supervisor.complete_task(answer=now[11:16])\n```",
    }
    assert all("Go on with one ```python block." in each.prompt for each in examples)


@pytest.mark.slow
def test_serl_out_of_the_box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run writes its metrics, the policy changes, and only tokens of the code are weighted."""
    monkeypatch.chdir(tmp_path)
    seen: list[Any] = []
    original = HalfWonTrainer._rows

    def record(self: Any, *arguments: Any) -> Any:
        rows = original(self, *arguments)
        seen.extend((row, self.encoder.decode) for row in rows)
        return rows

    monkeypatch.setattr(HalfWonTrainer, "_rows", record)
    monkeypatch.setattr(trainers, "HindsightTrainer", HalfWonTrainer)
    train(configure("serl", settings=SETTINGS), tmp_path / "run")
    metrics = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert len(metrics) == 2
    assert all(each["grad_norm"] > 0 for each in metrics)
    with_advantage = [row for row, _ in seen if row.advantage]  # groups in which all siblings won have advantage 0
    assert with_advantage
    assert all(bool(row.teacher_ids) == any(row.chosen) for row in with_advantage), "every row with code is scored"
    blocks = 0
    for row, decode in seen:
        text = decode(row.response_ids)
        code = decode([each for each, chosen in zip(row.response_ids, row.chosen, strict=True) if chosen])
        span = parse_response(text, "code").span
        inner = "" if span is None else text[slice(*span)]
        assert inner in code
        assert len(code) <= len(inner) + 12, "a token at the edge may contain a part of the fence"
        blocks += span is not None
    assert blocks > len(seen) / 4, "after the warm start, many replies have the format"
