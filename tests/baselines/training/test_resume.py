"""Stopped, killed or cut off in the middle of a checkpoint: a run goes on to the same weights, lines and teacher."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch
from safetensors.torch import load_file

from agentgym_hindsight.baselines.run_log import RunLog
from agentgym_hindsight.baselines.training import trainer as trainers
from agentgym_hindsight.baselines.training.checkpoints import (
    STATE_FILE,
    last_checkpoint,
    load_state,
    save_state,
    updates_in,
)
from agentgym_hindsight.baselines.training.configuration import dump_configuration
from agentgym_hindsight.baselines.training.run import RunSettings, train
from agentgym_hindsight.errors import DamagedDataError, UsageError
from tests.baselines.training.tiny_runs import PLAN, LuckyTrainer, make_run, make_trainer, save_start, serl

ROOT = Path(__file__).parents[2]
#: What depends on the machine and its mood.
MOODS = ("seconds", "memory_mb", "rollout_tokens_per_second")
LORA = {"r": 2, "target_modules": ["q_proj", "v_proj"]}


@pytest.fixture(autouse=True)
def _lucky(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(trainers, "HindsightTrainer", LuckyTrainer)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_start(tmp_path_factory.mktemp("start") / "policy")


@pytest.fixture(scope="module")
def straight(start: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nothing disturbs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainers, "HindsightTrainer", LuckyTrainer)
        return train(make_run(start), tmp_path_factory.mktemp("straight") / "run")


class Interrupting:
    """Pulls the plug when the ``last``-th update is told of: its line is written, its checkpoint is not."""

    def __init__(self, last: int) -> None:
        self.left = last

    def stage(self, name: str, total: int) -> None:
        """No matter."""

    def say(self, text: str) -> None:
        """No matter."""

    def advance(self, note: str = "", steps: int = 1) -> None:
        if note.startswith("success"):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt


def interrupted(run: RunSettings, out: Path, last: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(run, out, observer=Interrupting(last))


def told(folder: Path, name: str) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in line.items() if not key.startswith(MOODS)} for line in RunLog(folder).read(name)
    ]


def check_same(one: Path, other: Path, file: str = "model.safetensors") -> None:
    """Two runs came to the same end, to the bit."""
    for folder in ("checkpoint-4", "policy"):
        left, right = load_file(one / folder / file), load_file(other / folder / file)
        assert left.keys() == right.keys()
        assert all(torch.equal(left[name], right[name]) for name in left)
    states = [torch.load(folder / "checkpoint-4" / STATE_FILE, weights_only=True) for folder in (one, other)]
    teachers = [state["teacher"]["weights"] for state in states]
    assert teachers[0].keys() == teachers[1].keys() != set()
    assert all(torch.equal(teachers[0][name], teachers[1][name]) for name in teachers[0])
    assert states[0]["turns"] == states[1]["turns"]
    references = [(folder / "checkpoint-4" / "references.jsonl").read_bytes() for folder in (one, other)]
    assert references[0] == references[1]
    assert len(references[0].splitlines()) > 1
    for name, count in (("metrics", 4), ("eval", 3), ("samples", 8)):
        lines = told(one, name)
        assert len(lines) == count
        assert lines == told(other, name)


def test_a_run_that_was_cut_off_goes_on_to_the_same_end(start: str, straight: Path, tmp_path: Path) -> None:
    run = make_run(start)
    interrupted(run, tmp_path / "run", 3)
    assert [line["update"] for line in told(tmp_path / "run", "metrics")] == [0, 1, 2]
    checkpoint = last_checkpoint(tmp_path / "run")
    assert checkpoint is not None
    assert updates_in(checkpoint, run.plan) == 2
    train(run, tmp_path / "run")
    check_same(tmp_path / "run", straight)
    schedule = [line["lambda"] for line in told(straight, "metrics")]
    assert schedule == pytest.approx([0.5, 1 / 3, 1 / 6, 0])


def test_what_a_checkpoint_cut_off_is_passed_over(start: str, straight: Path, tmp_path: Path) -> None:
    run = make_run(start)
    interrupted(run, tmp_path / "run", 4)
    (tmp_path / "run" / "checkpoint-3" / STATE_FILE).unlink()
    (tmp_path / "run" / "checkpoint-3" / "optimizer.pt").write_bytes(b"cut o")
    checkpoint = last_checkpoint(tmp_path / "run")
    assert checkpoint is not None
    assert checkpoint.name == "checkpoint-2"
    train(run, tmp_path / "run")
    check_same(tmp_path / "run", straight)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")  # PEFT 0.21 on transformers 5.24
@pytest.mark.slow
def test_adapters_go_on_too(start: str, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    run = make_run(start, peft=LORA)
    train(run, tmp_path / "straight")
    interrupted(run, tmp_path / "run", 3)
    train(run, tmp_path / "run")
    check_same(tmp_path / "run", tmp_path / "straight", "adapter_model.safetensors")


def test_mini_batches_go_on_too(start: str, tmp_path: Path) -> None:
    run = make_run(start, plan={"mini_batches": 2})
    ends = []
    for name in ("straight", "run"):
        if name == "run":
            interrupted(run, tmp_path / name, 3)
            checkpoint = last_checkpoint(tmp_path / name)
            assert checkpoint is not None
            assert (checkpoint.name, updates_in(checkpoint, run.plan)) == ("checkpoint-4", 2)
        train(run, tmp_path / name)
        ends.append(load_file(tmp_path / name / "policy" / "model.safetensors"))
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    assert told(tmp_path / "run", "metrics") == told(tmp_path / "straight", "metrics")


def test_the_old_checkpoint_stays_until_the_new_one_is_whole(
    start: str, straight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(start, plan={})
    run = replace(run, plan=replace(run.plan, keep=1))
    save = LuckyTrainer._save_checkpoint
    real = torch.save

    def crash(self: Any, model: Any, trial: Any) -> None:
        if self.state.global_step == 3:
            monkeypatch.setattr(torch, "save", _power_cut(real))
        save(self, model, trial)

    monkeypatch.setattr(LuckyTrainer, "_save_checkpoint", crash)
    with pytest.raises(OSError, match="power cut"):
        train(run, tmp_path / "run")
    monkeypatch.setattr(torch, "save", real)
    monkeypatch.setattr(LuckyTrainer, "_save_checkpoint", save)
    checkpoint = last_checkpoint(tmp_path / "run")
    assert checkpoint is not None
    assert checkpoint.name == "checkpoint-2"
    train(run, tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").glob("checkpoint-*")] == ["checkpoint-4"]
    check_same(tmp_path / "run", straight)


def _power_cut(save: Callable[..., Any]) -> Callable[..., Any]:
    def cut(state: Any, path: Any, *args: Any, **kwargs: Any) -> None:
        if STATE_FILE in str(path):
            raise OSError("power cut")
        save(state, path, *args, **kwargs)

    return cut


def test_another_teacher_s_checkpoint_is_refused(start: str, straight: Path, tmp_path: Path) -> None:
    shutil.copytree(straight / "checkpoint-2", tmp_path / "checkpoint-2")
    trainer = make_trainer(serl(who="ema:0.1"), tmp_path, replace(PLAN, updates=4))
    with pytest.raises(DamagedDataError, match=r"Expected a checkpoint of teacher ema:0\.1"):
        trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    with pytest.raises(UsageError, match="another settings"):
        train(replace(make_run(start), method=serl(who="ema:0.1")), straight)


def test_a_complete_run_is_left_alone(start: str, straight: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in straight.rglob("*")}
    assert train(make_run(start), straight) == straight
    assert {path: path.stat().st_mtime_ns for path in straight.rglob("*")} == before


def test_a_policy_that_was_cut_off_is_written_again(
    start: str, straight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(trainer: Any, folder: Path) -> None:
        folder.mkdir()
        (folder / "config.json").write_text("{}")  # transformers writes it first, and the weights last
        raise OSError("power cut")

    run = make_run(start)
    with monkeypatch.context() as patch:
        patch.setattr(LuckyTrainer, "save_policy", half)
        with pytest.raises(OSError, match="power cut"):
            train(run, tmp_path / "run")
    train(run, tmp_path / "run")
    check_same(tmp_path / "run", straight)
    assert not (tmp_path / "run" / "policy.part").exists()


def test_a_first_evaluation_that_was_cut_off_is_finished(start: str, straight: Path, tmp_path: Path) -> None:
    run = make_run(start)
    run = replace(run, evaluation=replace(run.evaluation, temperatures=(0.4, 0.0)))
    interrupted(run, tmp_path / "run", 1)
    path = tmp_path / "run" / "eval.jsonl"
    path.write_text(path.read_text().splitlines(keepends=True)[0])
    train(run, tmp_path / "run")
    assert [(line["update"], line["label"]) for line in told(tmp_path / "run", "eval")] == [
        (update, label) for update in (0, 2, 4) for label in ("T=0.4", "greedy")
    ]


def test_a_budget_of_turns_that_is_spent_is_not_spent_again(start: str, tmp_path: Path) -> None:
    run = make_run(start, plan={"turns": 33})  # an update plays 32: two of them
    train(run, tmp_path / "straight")
    assert [line["turns"] for line in told(tmp_path / "straight", "metrics")] == [32, 64]
    shutil.copytree(tmp_path / "straight", tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "policy")  # killed between the last checkpoint and the end
    train(run, tmp_path / "run")
    assert told(tmp_path / "run", "metrics") == told(tmp_path / "straight", "metrics")
    one, other = (load_file(tmp_path / name / "policy" / "model.safetensors") for name in ("straight", "run"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_beginning_anew_deletes_nothing_that_it_cannot_replace(start: str, straight: Path, tmp_path: Path) -> None:
    shutil.copytree(straight, tmp_path / "run")
    run = make_run(start)
    with pytest.raises(UsageError, match="tasks of valid_unseen"):
        train(replace(run, evaluation=replace(run.evaluation, tasks=10**6)), tmp_path / "run", fresh=True)
    assert (tmp_path / "run" / "policy").exists()


# -- in a process of its own ----------------------------------------------------------------------------------------

_CHILD = """
import sys, time
from agentgym_hindsight.baselines.training import trainer
from agentgym_hindsight.baselines.training import run as training
from tests.baselines.training.test_resume import Interrupting
from tests.baselines.training.tiny_runs import LuckyTrainer, make_run

class Slow(Interrupting):
    def advance(self, note="", steps=1):
        time.sleep(0.2)

trainer.HindsightTrainer = LuckyTrainer
training.train(make_run(sys.argv[1]), sys.argv[2], observer=Slow(0))
"""


def spawn(*command: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = (sys.executable, *command)
    pipe, both = subprocess.PIPE, subprocess.STDOUT
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=pipe, stderr=both, text=True)


def wait_for(path: Path, child: subprocess.Popen[str], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        if child.poll() is not None or time.monotonic() > end:
            child.kill()
            pytest.fail(f"{path.name} never came:\n{child.communicate()[0]}")
        time.sleep(0.005)


@pytest.mark.slow
def test_after_kill_9(start: str, straight: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with spawn("-c", _CHILD, start, str(out)) as child:
        wait_for(out / "checkpoint-1" / STATE_FILE, child)
        child.kill()
    assert child.returncode == -signal.SIGKILL
    assert not (out / "checkpoint-4").exists()
    train(make_run(start), out)
    check_same(out, straight)


@pytest.mark.slow
def test_ctrl_c_ends_with_a_checkpoint(start: str, tmp_path: Path) -> None:
    run = make_run(start, plan={})
    # No checkpoints of its own accord: the one that is found is the one that Ctrl-C asked for.
    run = replace(run, plan=replace(run.plan, updates=12, save_every=0))
    config, out = tmp_path / "run.yaml", tmp_path / "run"
    config.write_text(dump_configuration("serl", run), encoding="utf-8")
    command = ("-m", "agentgym_hindsight", "train", "--config", str(config), "--out", str(out))
    with spawn(*command) as child:
        wait_for(out / "metrics.jsonl", child)
        child.send_signal(signal.SIGINT)
        said = child.communicate(timeout=60)[0]
    assert child.returncode == 130, said
    assert "the same command goes on from there" in said
    assert "Traceback" not in said
    checkpoint = last_checkpoint(out)
    assert checkpoint is not None
    done = updates_in(checkpoint, run.plan)
    assert 0 < done < 12
    assert f"stopped after {done} updates" in said
    assert [line["update"] for line in told(out, "metrics")] == list(range(done))
    with spawn(*command) as child:
        said = child.communicate(timeout=120)[0]
    assert child.returncode == 0, said
    assert f"going on after {done} of 12 updates" in said
    assert [line["update"] for line in told(out, "metrics")] == list(range(12))
    assert json.loads((out / "run.json").read_text())["recipe"] == "serl"
    assert (out / "policy" / "model.safetensors").exists()


def test_a_checkpoint_of_shares_wants_as_many_processes(tmp_path: Path) -> None:
    for share in (1, 0):
        save_state({"shares": 2, "turns": share}, tmp_path, share)
    assert [load_state(tmp_path, share, shares=2)["turns"] for share in (0, 1)] == [0, 1]
    with pytest.raises(DamagedDataError, match="over 1 processes, got one of 2"):
        load_state(tmp_path)
    with pytest.raises(DamagedDataError, match=r"over 3 processes, got no hindsight-2\.pt"):
        load_state(tmp_path, share=2, shares=3)
