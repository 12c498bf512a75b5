"""``--quick``: every world trains out of the box, in a run of a few minutes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("trl", reason="needs the extra [train]")

from agentgym_hindsight.baselines.evaluation.results import Evaluation
from agentgym_hindsight.cli import main

WORLDS = ("alfworld", "webshop", "appworld", "taubench")
#: The shortest run with every part of a quick one.
SHORTER = ["warm.tasks=3", "warm.epochs=1", "plan.updates=1", "plan.tasks=2", "plan.siblings=2",
           "plan.response_tokens=8", "stage.settings.max_steps=2", "evaluation.tasks=2"]  # fmt: skip


def evaluations(folder: Path) -> list[Evaluation]:
    lines = (folder / "eval.jsonl").read_text(encoding="utf-8").splitlines()
    return [Evaluation.from_dict(json.loads(line)["evaluation"]) for line in lines]


@pytest.mark.parametrize("world", WORLDS)
def test_a_quick_run_has_every_part(world: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = [part for setting in SHORTER for part in ("--set", setting)]
    assert main(["train", "serl", "--env", world, "--quick", *options]) == 0
    folder = tmp_path / "runs" / f"serl-{world}-seed0-quick"
    assert (folder / "policy").is_dir()
    assert len(evaluations(folder)) == 2
    backend = json.loads((folder / "run.json").read_text(encoding="utf-8"))["backend"]
    names = {
        "webshop": "embedded-bare",
        "appworld": "known-templates",
        "alfworld": "embedded",
        "taubench": "user=scripted-all",
    }
    assert names[world] in backend


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS)
def test_a_quick_run_wins_unseen_tasks(world: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", "serl", "--env", world, "--quick"]) == 0
    after = evaluations(tmp_path / "runs" / f"serl-{world}-seed0-quick")[-1]
    assert after.micro.success > 0
