"""Two processes that share an update are one: the same losses, successes and weights as one process with all of it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

#: OUT, then a plan and a method as JSON. "uneven" leaves the last task of an update a single short rollout.
_SCRIPT = """
import json, sys, warnings
from dataclasses import replace
from pathlib import Path

import torch

from agentgym_hindsight.baselines.recipes import recipe
from agentgym_hindsight.baselines.rollout import Episode
from tests.baselines.tiny_runs import PLAN, LuckyTrainer, make_trainer, serl, weights

out, case = Path(sys.argv[1]), json.loads(sys.argv[2])


class Uneven(LuckyTrainer):
    def _play(self, update, policy):
        last = self.tasks_of(update)[-1].id
        kept = []
        for episode in super()._play(update, policy):
            trajectory = episode.trajectory
            if trajectory.task_id != last:
                kept.append(episode)
            elif trajectory.sibling == 0:
                kept.append(Episode(trajectory.replace(steps=trajectory.steps[-1:]), episode.replies[-1:]))
        return kept


# NCCL neither forgives nor reports tensors of different shapes in one gather, gloo on the CPU does: so it is noted.
shapes, all_gather = [], torch.distributed.all_gather


def noted(gathered, tensor, *args, **kwargs):
    shapes.append(tuple(tensor.shape))
    return all_gather(gathered, tensor, *args, **kwargs)


torch.distributed.all_gather = noted
records = []
trainer = make_trainer(
    serl(**case["method"]),
    out / "run",
    replace(PLAN, **case["plan"]),
    Uneven if case["uneven"] else LuckyTrainer,
    on_update=lambda record, measured: records.append(record),
)
trainer.train()
assert trainer.accelerator.num_processes == int(sys.argv[3])
every = trainer.gather([list(shapes)])
assert all(each == every[0] for each in every), every
assert len(every) == 1 or len(every[0]) > 10
if trainer.accelerator.is_main_process:
    (out / "records.json").write_text(json.dumps(records))
    torch.save(weights(trainer.model), out / "weights.pt")
"""


def play(out: Path, processes: int, case: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    out.mkdir()
    script = out / "script.py"
    script.write_text(_SCRIPT, encoding="utf-8")
    environment = {
        **os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true",
        "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    # ``accelerate launch --cpu --num_processes 2`` quietly starts a single process where there is no MPI.
    launch = ["-m", "torch.distributed.run", "--nproc_per_node", str(processes), "--master_addr", "127.0.0.1"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        launch += ["--master_port", str(free.getsockname()[1])]
    with subprocess.Popen(
        [sys.executable, *(launch if processes > 1 else []), str(script), str(out), json.dumps(case), str(processes)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # processes that wait for each other for ever are ended together
    ) as child:
        try:
            said = child.communicate(timeout=120)[0]
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            pytest.fail(f"{processes} processes wait for each other:\n{child.communicate()[0][-6000:]}")
    assert child.returncode == 0, said[-6000:]
    import torch

    return json.loads((out / "records.json").read_text()), torch.load(out / "weights.pt", weights_only=True)


@pytest.mark.parametrize(
    ("method", "plan", "uneven"),
    [
        ({}, {}, False),
        ({"aux_kl": 0.5, "entropy": 0.05}, {"token_budget": 900}, True),
    ],
    ids=["even", "uneven-with-auxiliary-kl"],
)
def test_two_processes_are_one(tmp_path: Path, method: Any, plan: Any, uneven: bool) -> None:
    import torch

    case = {"method": method, "plan": {"learning_rate": 1e-3, "updates": 3, **plan}, "uneven": uneven}
    one, alone = play(tmp_path / "one", 1, case)
    two, together = play(tmp_path / "two", 2, case)
    assert len(one) == len(two) == 3
    for left, right in zip(one, two, strict=True):
        assert left.keys() == right.keys()
        for key in ("success", "rows", "episodes", "turns", "response_tokens", "lambda", "teacher_tokens"):
            assert left[key] == right[key], key
        for key in ("loss", "grad_norm", "gap", "advantage_abs", "surprise", "weight_mean", "entropy"):
            assert left[key] == pytest.approx(right[key], abs=1e-4), key
        assert left["success"] > 0
        assert left["grad_norm"] > 0.01
    for name, weight in alone.items():
        torch.testing.assert_close(together[name], weight, atol=1e-4, rtol=1e-3)


def test_mini_batches_of_which_one_process_has_none(tmp_path: Path) -> None:
    # One row on the second process, three mini-batches: two of them are empty there.
    case = {"method": {"kl": 0.0}, "plan": {"mini_batches": 3, "updates": 2}, "uneven": True}
    records, _ = play(tmp_path / "two", 2, case)
    assert [record["update"] for record in records] == [0, 1]
    assert [record["rows"] for record in records] == [17, 17]
    assert all(abs(record["loss"]) > 0 for record in records)
