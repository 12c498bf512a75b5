"""A run that was stopped, killed or interrupted while it wrote a checkpoint continues to the same final state."""

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
    all_checkpoints,
    last_checkpoint,
    load_state,
    save_state,
    updates_in,
)
from agentgym_hindsight.baselines.training.configuration import dump_configuration
from agentgym_hindsight.baselines.training.run import RunSettings, train
from agentgym_hindsight.errors import DamagedDataError, UsageError
from tests.baselines.training.tiny_runs import PLAN, HalfWonTrainer, make_run, make_trainer, save_start, serl

ROOT = Path(__file__).parents[3]
#: Metrics that depend on the machine and its load.
MACHINE_DEPENDENT = ("seconds", "memory_mb", "rollout_tokens_per_second")
LORA = {"r": 2, "target_modules": ["q_proj", "v_proj"]}


@pytest.fixture(autouse=True)
def _half_won(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainers, "HindsightTrainer", HalfWonTrainer)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_start(tmp_path_factory.mktemp("start") / "policy")


@pytest.fixture(scope="module")
def complete(start: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was never interrupted. Tests must not change it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainers, "HindsightTrainer", HalfWonTrainer)
        return train(make_run(start), tmp_path_factory.mktemp("complete") / "run")


def copy_until(complete: Path, out: Path, step: int) -> Path:
    """The folder as if the run had been killed after the checkpoint of ``step``, with its log lines already written.

    run.json is not copied, so that settings may differ.
    """
    shutil.copytree(complete, out, ignore=shutil.ignore_patterns("policy", "run.json"))
    for checkpoint in all_checkpoints(out):
        if int(checkpoint.name.rpartition("-")[2]) > step:
            shutil.rmtree(checkpoint)
    return out


class Interrupting:
    """An observer that raises KeyboardInterrupt after ``updates`` updates, before the checkpoint of the last one."""

    def __init__(self, updates: int) -> None:
        self.left = updates

    def stage(self, name: str, total: int) -> None:
        """Ignore a stage."""

    def say(self, text: str) -> None:
        """Ignore a message."""

    def advance(self, note: str = "", steps: int = 1) -> None:
        if note.startswith("success"):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt


def interrupt(run: RunSettings, out: Path, updates: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(run, out, observer=Interrupting(updates))


def logged(folder: Path, name: str) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in line.items() if not key.startswith(MACHINE_DEPENDENT)}
        for line in RunLog(folder).read(name)
    ]


def same_tensors(one: Path, other: Path) -> bool:
    """Whether two safetensors files are bitwise equal."""
    left, right = load_file(one), load_file(other)
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def check_same(one: Path, other: Path, file: str = "model.safetensors") -> None:
    """Two runs have bitwise equal weights and teachers, and the same log lines."""
    for folder in ("checkpoint-4", "policy"):
        assert same_tensors(one / folder / file, other / folder / file)
    states = [torch.load(folder / "checkpoint-4" / STATE_FILE, weights_only=True) for folder in (one, other)]
    teachers = [state["teacher"]["weights"] for state in states]
    assert teachers[0].keys() == teachers[1].keys() != set()
    assert all(torch.equal(teachers[0][name], teachers[1][name]) for name in teachers[0])
    assert states[0]["turns"] == states[1]["turns"]
    references = [(folder / "checkpoint-4" / "references.jsonl").read_bytes() for folder in (one, other)]
    assert references[0] == references[1]
    assert len(references[0].splitlines()) > 1
    for name, count in (("metrics", 4), ("eval", 3), ("samples", 8)):
        lines = logged(one, name)
        assert len(lines) == count
        assert lines == logged(other, name)


def test_an_interrupted_run_continues_to_the_same_end(start: str, complete: Path, tmp_path: Path) -> None:
    run = make_run(start)
    interrupt(run, tmp_path / "run", 3)
    assert [line["update"] for line in logged(tmp_path / "run", "metrics")] == [0, 1, 2]
    checkpoint = last_checkpoint(tmp_path / "run")
    assert checkpoint is not None
    assert updates_in(checkpoint, run.plan) == 2
    train(run, tmp_path / "run")
    check_same(tmp_path / "run", complete)
    schedule = [line["lambda"] for line in logged(complete, "metrics")]
    assert schedule == pytest.approx([0.5, 1 / 3, 1 / 6, 0])


def test_an_incomplete_checkpoint_is_not_used(start: str, complete: Path, tmp_path: Path) -> None:
    out = copy_until(complete, tmp_path / "run", 3)
    (out / "checkpoint-3" / STATE_FILE).unlink()
    (out / "checkpoint-3" / "optimizer.pt").write_bytes(b"cut o")
    checkpoint = last_checkpoint(out)
    assert checkpoint is not None
    assert checkpoint.name == "checkpoint-2"
    train(make_run(start), out)
    check_same(out, complete)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")  # PEFT 0.21 on transformers 5.24
@pytest.mark.slow
def test_a_run_with_adapters_continues(start: str, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    run = make_run(start, peft=LORA)
    train(run, tmp_path / "complete")
    interrupt(run, tmp_path / "run", 3)
    train(run, tmp_path / "run")
    check_same(tmp_path / "run", tmp_path / "complete", "adapter_model.safetensors")


@pytest.mark.slow
def test_a_run_with_mini_batches_continues(start: str, tmp_path: Path) -> None:
    run = make_run(start, plan={"mini_batches": 2, "updates": 3})
    complete = train(run, tmp_path / "complete")
    out = copy_until(complete, tmp_path / "run", 4)
    checkpoint = last_checkpoint(out)
    assert checkpoint is not None
    assert (checkpoint.name, updates_in(checkpoint, run.plan)) == ("checkpoint-4", 2)
    train(run, out)
    assert same_tensors(*(folder / "policy" / "model.safetensors" for folder in (complete, out)))
    assert logged(out, "metrics") == logged(complete, "metrics")


def test_the_old_checkpoint_is_deleted_after_the_new_one_is_complete(
    start: str, complete: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(start, plan={"keep": 1})
    out = copy_until(complete, tmp_path / "run", 2)
    shutil.rmtree(out / "checkpoint-1")
    save = HalfWonTrainer._save_checkpoint
    real = torch.save

    def crash(self: Any, model: Any, trial: Any) -> None:
        if self.state.global_step == 3:
            monkeypatch.setattr(torch, "save", _power_cut(real))
        save(self, model, trial)

    monkeypatch.setattr(HalfWonTrainer, "_save_checkpoint", crash)
    with pytest.raises(OSError, match="power cut"):
        train(run, out)
    monkeypatch.setattr(torch, "save", real)
    monkeypatch.setattr(HalfWonTrainer, "_save_checkpoint", save)
    checkpoint = last_checkpoint(out)
    assert checkpoint is not None
    assert checkpoint.name == "checkpoint-2"
    train(run, out)
    assert [path.name for path in out.glob("checkpoint-*")] == ["checkpoint-4"]
    check_same(out, complete)


def _power_cut(save: Callable[..., Any]) -> Callable[..., Any]:
    def cut(state: Any, path: Any, *args: Any, **kwargs: Any) -> None:
        if STATE_FILE in str(path):
            raise OSError("power cut")
        save(state, path, *args, **kwargs)

    return cut


def test_the_checkpoint_of_another_teacher_is_refused(start: str, complete: Path, tmp_path: Path) -> None:
    shutil.copytree(complete / "checkpoint-2", tmp_path / "checkpoint-2")
    trainer = make_trainer(serl(who="ema:0.1"), tmp_path, replace(PLAN, updates=4))
    with pytest.raises(DamagedDataError, match=r"Expected a checkpoint of teacher ema:0\.1"):
        trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    with pytest.raises(UsageError, match=r"another one: method\."):
        train(replace(make_run(start), method=serl(who="ema:0.1")), complete)


def test_a_complete_run_is_not_changed(start: str, complete: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in complete.rglob("*")}
    assert train(make_run(start), complete) == complete
    assert {path: path.stat().st_mtime_ns for path in complete.rglob("*")} == before


def test_an_incomplete_policy_is_written_again(
    start: str, complete: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(trainer: Any, folder: Path) -> None:
        folder.mkdir()
        (folder / "config.json").write_text("{}")  # transformers writes it before the weights
        raise OSError("power cut")

    run, out = make_run(start), copy_until(complete, tmp_path / "run", 4)
    with monkeypatch.context() as patch:
        patch.setattr(HalfWonTrainer, "save_policy", half)
        with pytest.raises(OSError, match="power cut"):
            train(run, out)
    train(run, out)
    check_same(out, complete)
    assert not (out / "policy.part").exists()


def test_an_incomplete_first_evaluation_is_completed(start: str, tmp_path: Path) -> None:
    run = make_run(start, plan={"updates": 2})
    run = replace(run, evaluation=replace(run.evaluation, temperatures=(0.4, 0.0)))
    interrupt(run, tmp_path / "run", 1)
    path = tmp_path / "run" / "eval.jsonl"
    path.write_text(path.read_text().splitlines(keepends=True)[0])
    train(run, tmp_path / "run")
    assert [(line["update"], line["label"]) for line in logged(tmp_path / "run", "eval")] == [
        (update, label) for update in (0, 2) for label in ("T=0.4", "greedy")
    ]


def test_a_budget_of_turns_that_is_used_up_is_not_used_again(start: str, tmp_path: Path) -> None:
    run = make_run(start, plan={"turns": 33})  # an update plays 32 turns, so the run makes two updates
    complete = train(run, tmp_path / "complete")
    assert [line["turns"] for line in logged(complete, "metrics")] == [32, 64]
    shutil.copytree(complete, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "policy")  # as if killed between the last checkpoint and the end
    train(run, tmp_path / "run")
    assert logged(tmp_path / "run", "metrics") == logged(complete, "metrics")
    assert same_tensors(*(folder / "policy" / "model.safetensors" for folder in (complete, tmp_path / "run")))


def test_fresh_deletes_nothing_if_the_settings_are_refused(start: str, complete: Path, tmp_path: Path) -> None:
    shutil.copytree(complete, tmp_path / "run")
    run = make_run(start)
    with pytest.raises(UsageError, match="tasks of valid_unseen"):
        train(replace(run, evaluation=replace(run.evaluation, tasks=10**6)), tmp_path / "run", fresh=True)
    assert (tmp_path / "run" / "policy").exists()


def test_a_sharded_checkpoint_needs_the_same_number_of_processes(tmp_path: Path) -> None:
    for share in (1, 0):
        save_state({"shares": 2, "turns": share}, tmp_path, share)
    assert [load_state(tmp_path, share, shares=2)["turns"] for share in (0, 1)] == [0, 1]
    with pytest.raises(DamagedDataError, match="over 1 processes, got one of 2"):
        load_state(tmp_path)
    with pytest.raises(DamagedDataError, match=r"over 3 processes, got no hindsight-2\.pt"):
        load_state(tmp_path, share=2, shares=3)


# -- in a child process ---------------------------------------------------------------------------------------------

#: Trains START into OUT and stops at the end of the second update, until the process is killed.
_WAITING = """
import sys, time
from agentgym_hindsight.baselines.training import trainer
from agentgym_hindsight.baselines.training import run as training
from tests.baselines.training.test_resume import Interrupting
from tests.baselines.training.tiny_runs import HalfWonTrainer, make_run

class Waiting(Interrupting):
    def advance(self, note="", steps=1):
        try:
            super().advance(note, steps)
        except KeyboardInterrupt:
            time.sleep(3600)

trainer.HindsightTrainer = HalfWonTrainer
training.train(make_run(sys.argv[1]), sys.argv[2], observer=Waiting(2))
"""

#: The command line of agh, with a SIGINT after the first update.
_INTERRUPTED = """
import os, signal, sys
from agentgym_hindsight.baselines.run_log import RunLog
from agentgym_hindsight.cli import main

write = RunLog.metrics

def write_and_interrupt(log, record):
    write(log, record)
    if record["update"] == 0:
        os.kill(os.getpid(), signal.SIGINT)

RunLog.metrics = write_and_interrupt
sys.exit(main(sys.argv[1:]))
"""


def spawn(*command: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = (sys.executable, *command)
    pipe, both = subprocess.PIPE, subprocess.STDOUT
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=pipe, stderr=both, text=True)


def wait_for(path: Path, child: subprocess.Popen[str], seconds: float = 300) -> None:
    """Wait until the child has written a file; fail if it ends before, or after ``seconds``."""
    end = time.monotonic() + seconds
    while not path.exists():
        if child.poll() is not None or time.monotonic() > end:
            child.kill()
            pytest.fail(f"{path.name} was not written:\n{child.communicate()[0]}")
        time.sleep(0.005)


@pytest.mark.slow
def test_after_kill_9(start: str, complete: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with spawn("-c", _WAITING, start, str(out)) as child:
        wait_for(out / "checkpoint-1" / STATE_FILE, child)
        child.kill()
    assert child.returncode == -signal.SIGKILL
    assert not (out / "checkpoint-4").exists()
    train(make_run(start), out)
    check_same(out, complete)


@pytest.mark.slow
def test_ctrl_c_ends_with_a_checkpoint(start: str, tmp_path: Path) -> None:
    # No regular checkpoints, so the checkpoint that is found was written because of Ctrl-C.
    run = make_run(start, plan={"updates": 5, "save_every": 0})
    config, out = tmp_path / "run.yaml", tmp_path / "run"
    config.write_text(dump_configuration("serl", run), encoding="utf-8")
    command = ("train", "--config", str(config), "--out", str(out))
    with spawn("-c", _INTERRUPTED, *command) as child:
        output = child.communicate(timeout=300)[0]
    assert child.returncode == 130, output
    assert "the same command continues from there" in output
    assert "Traceback" not in output
    checkpoint = last_checkpoint(out)
    assert checkpoint is not None
    done = updates_in(checkpoint, run.plan)
    assert 0 < done < 5
    assert f"stopped after {done} updates" in output
    assert [line["update"] for line in logged(out, "metrics")] == list(range(done))
    with spawn("-m", "agentgym_hindsight", *command) as child:
        output = child.communicate(timeout=300)[0]
    assert child.returncode == 0, output
    assert f"continuing after {done} of 5 updates" in output
    assert [line["update"] for line in logged(out, "metrics")] == list(range(5))
    assert json.loads((out / "run.json").read_text())["recipe"] == "serl"
    assert (out / "policy" / "model.safetensors").exists()
