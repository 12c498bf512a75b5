"""A run is prolonged by more updates or turns, to the same end as a run that was made at once."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch

from agentgym_hindsight.baselines.training import trainer as trainers
from agentgym_hindsight.baselines.training.checkpoints import STATE_FILE, all_checkpoints, last_checkpoint
from agentgym_hindsight.baselines.training.plan import Plan
from agentgym_hindsight.baselines.training.prolonging import Done, check_length
from agentgym_hindsight.baselines.training.run import RunSettings, train
from agentgym_hindsight.baselines.training.trl_config import length_of_schedule
from agentgym_hindsight.errors import UsageError
from tests.baselines.training.test_resume import interrupt, logged, same_tensors
from tests.baselines.training.tiny_runs import HalfWonTrainer, make_run, save_start, serl


@pytest.fixture(autouse=True)
def _half_won(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainers, "HindsightTrainer", HalfWonTrainer)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_start(tmp_path_factory.mktemp("start") / "policy")


def run_of(start: str, updates: int, **plan: Any) -> RunSettings:
    """Without regular checkpoints, so that the run goes on from the one at its end."""
    return make_run(start, plan={"updates": updates, "save_every": 0, **plan})


@pytest.fixture(scope="module")
def at_once(start: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight updates. Tests must not change it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainers, "HindsightTrainer", HalfWonTrainer)
        return train(run_of(start, 8), tmp_path_factory.mktemp("once") / "run")


@pytest.fixture(scope="module")
def five(start: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five updates. Tests must not change it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainers, "HindsightTrainer", HalfWonTrainer)
        return train(run_of(start, 5), tmp_path_factory.mktemp("five") / "run")


def copy(run: Path, out: Path) -> Path:
    shutil.copytree(run, out)
    return out


@pytest.mark.slow
def test_five_updates_and_three_more_are_eight(start: str, at_once: Path, five: Path, tmp_path: Path) -> None:
    out = copy(five, tmp_path / "run")
    assert [path.name for path in all_checkpoints(out)] == ["checkpoint-5"], "at the end, although save_every is 0"
    train(run_of(start, 8), out)
    assert same_tensors(out / "policy" / "model.safetensors", at_once / "policy" / "model.safetensors")
    assert logged(out, "metrics") == logged(at_once, "metrics")
    states = [torch.load(run / "checkpoint-8" / STATE_FILE, weights_only=True) for run in (out, at_once)]
    teachers = [state["teacher"]["weights"] for state in states]
    assert teachers[0].keys() == teachers[1].keys() != set()
    assert all(torch.equal(teachers[0][name], teachers[1][name]) for name in teachers[0])
    assert states[0]["turns"] == states[1]["turns"]
    # The first end was evaluated; that is the only additional record.
    assert [line["update"] for line in logged(out, "eval")] == [0, 2, 4, 5, 6, 8]
    assert [line for line in logged(out, "eval") if line["update"] != 5] == logged(at_once, "eval")
    # The earlier policy is kept.
    assert same_tensors(out / "policy-after-5" / "model.safetensors", five / "policy" / "model.safetensors")
    document = json.loads((out / "run.json").read_text())
    assert document["settings"]["plan"]["updates"] == 8
    assert document["resumed"][0]["updates"] == [5, 8]


@pytest.mark.slow
def test_a_run_that_is_prolonged_can_be_interrupted(start: str, at_once: Path, five: Path, tmp_path: Path) -> None:
    out = copy(five, tmp_path / "run")
    run = make_run(start, plan={"updates": 8, "save_every": 0})
    interrupt(run, out, 2)
    assert not (out / "policy").exists(), "the run is not complete"
    assert (out / "policy-after-5").exists()
    train(run, out)
    assert same_tensors(out / "policy" / "model.safetensors", at_once / "policy" / "model.safetensors")
    assert logged(out, "metrics") == logged(at_once, "metrics")


def test_the_same_length_and_a_budget_that_is_spent_change_nothing(start: str, five: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in five.rglob("*")}
    turns = logged(five, "metrics")[-1]["turns"]
    assert train(run_of(start, 5), five) == five
    assert train(run_of(start, 9, turns=turns), five) == five, "all turns were played"
    assert {path: path.stat().st_mtime_ns for path in five.rglob("*")} == before


def test_a_budget_of_turns_is_prolonged(start: str, tmp_path: Path) -> None:
    at_once = train(run_of(start, 9, turns=90), tmp_path / "once")  # an update plays 32 turns: three updates
    out = train(run_of(start, 9, turns=33), tmp_path / "run")
    assert [line["turns"] for line in logged(out, "metrics")] == [32, 64]
    train(run_of(start, 9, turns=90), out)
    assert logged(out, "metrics") == logged(at_once, "metrics")
    assert same_tensors(*(run / "policy" / "model.safetensors" for run in (out, at_once)))
    assert json.loads((out / "run.json").read_text())["resumed"][0]["turns"] == [33, 90]
    train(run_of(start, 4), out)  # 0: no limit of turns any more
    assert [line["turns"] for line in logged(out, "metrics")] == [32, 64, 96, 128]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"plan": {"updates": 4}},
            r"plan\.updates ≥ 5, because the run in .* has made 5 updates already, got 4",
        ),
        (
            {"plan": {"updates": 5, "turns": 100}},
            r"plan\.turns above 128, .* has made 160 turns already, got 100",
        ),
        ({"plan": {"updates": 8, "seed": 1}}, "seed was 0 and is 1"),
        ({"plan": {"updates": 8, "learning_rate": 1e-3}}, r"plan\.learning_rate was 0\.01 and is 0\.001"),
        ({"plan": {"updates": 8, "warmup": 4}}, r"plan\.warmup was 3 and is 4"),
        ({"plan": {"updates": 8}, "method": serl(who="sync:3", what="success|immediate")}, r"method\."),
    ],
)
def test_what_would_change_the_past_is_refused(
    changes: dict[str, Any], message: str, start: str, five: Path, tmp_path: Path
) -> None:
    out = copy(five, tmp_path / "run")
    plan = {"save_every": 0, **changes["plan"]}
    with pytest.raises(UsageError, match=message):
        train(make_run(start, **{**changes, "plan": plan}), out)
    assert (out / "policy").exists()
    assert json.loads((out / "run.json").read_text())["settings"]["plan"]["updates"] == 5


def test_a_learning_rate_that_depends_on_the_length_is_refused(start: str, tmp_path: Path) -> None:
    linear = {"trl": {"lr_scheduler_type": "linear"}, "warmup": 0}
    out = train(run_of(start, 2, **linear), tmp_path / "run")
    with pytest.raises(
        UsageError, match=r"plan\.updates=2 .* got 3: with plan\.trl\.lr_scheduler_type=linear the learning"
    ):
        train(run_of(start, 3, **linear), out)
    train(run_of(start, 2, turns=1000, **linear), out)  # turns do not change the schedule


@pytest.mark.parametrize(
    ("plan", "named"),
    [
        ({}, ""),
        ({"warmup": 3}, ""),
        ({"trl": {"lr_scheduler_type": "inverse_sqrt"}}, ""),
        ({"trl": {"lr_scheduler_type": "cosine"}}, "plan.trl.lr_scheduler_type=cosine"),
        ({"trl": {"lr_scheduler_type": "constant_with_warmup", "warmup_ratio": 0.1}}, "plan.trl.warmup_ratio=0.1"),
        ({"trl": {"warmup_ratio": 0.1}}, ""),  # the constant rate has no warm-up
        ({"warmup": 3, "trl": {"warmup_steps": 0.1}}, "plan.trl.warmup_steps=0.1"),
        ({"trl": {"lr_scheduler_type": "constant_with_warmup", "warmup_steps": 7}}, ""),
    ],
)
def test_schedules_that_depend_on_the_length(plan: dict[str, Any], named: str) -> None:
    assert length_of_schedule(Plan(**plan)) == named


def test_without_a_checkpoint_a_complete_run_is_not_made_again(start: str, five: Path, tmp_path: Path) -> None:
    out = copy(five, tmp_path / "run")
    checkpoint = last_checkpoint(out)
    assert checkpoint is not None
    shutil.rmtree(checkpoint)
    with pytest.raises(UsageError, match=r"Expected a checkpoint in .*, from which the complete run of 5 updates"):
        train(run_of(start, 8), out)
    assert train(run_of(start, 5), out) == out
    (out / "metrics.jsonl").unlink()
    assert train(run_of(start, 5), out) == out, "complete, although its metrics were deleted"


def test_an_unfinished_run_may_become_shorter(start: str, five: Path, tmp_path: Path) -> None:
    out = copy(five, tmp_path / "run")
    shutil.rmtree(out / "policy")
    document = json.loads((out / "run.json").read_text())
    document["settings"]["plan"]["updates"] = 40
    (out / "run.json").write_text(json.dumps(document))
    with pytest.raises(UsageError, match=r"plan\.updates ≥ 5"):
        train(run_of(start, 4), out)
    train(run_of(start, 5), out)
    assert same_tensors(*(run / "policy" / "model.safetensors" for run in (out, five)))


def test_the_length_is_checked_by_turns_before_the_last_update() -> None:
    lines = [{"update": k, "turns": 10 * k + 10} for k in range(3)]
    done = Done.of(lines)
    assert done == Done(3, 30, 20)
    assert Done.of(lines, 2) == Done(2, 20, 10)
    assert Done.of([]) == Done()
    plan = Plan(updates=3, turns=21)
    check_length(Path("run"), done, {"updates": 3}, plan, "")  # the third update would have been played too
    assert done.is_enough(plan)
    with pytest.raises(UsageError, match=r"plan\.turns above 20"):
        check_length(Path("run"), done, {"updates": 3}, replace(plan, turns=20), "")
