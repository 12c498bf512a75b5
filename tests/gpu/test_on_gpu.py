"""On a GPU: the same replies and updates as on the CPU, stable bfloat16, and resumed runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("trl", reason="needs the extra [train]")

import torch

from agentgym_hindsight.cli.bench.gpu.losses import whole_logits
from tests.gpu import on_device

pytestmark = pytest.mark.gpu


def without_gpu(tmp_path: Path) -> dict[str, Any]:
    """The update of a process that sees no GPU."""
    file = tmp_path / "cpu.pt"
    ran = subprocess.run(
        [sys.executable, "-m", "tests.gpu.on_device", str(file)],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": os.pathsep.join(p or "." for p in sys.path)},
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    found: dict[str, Any] = torch.load(file, weights_only=True)
    return found


def test_greedy_replies_are_those_of_the_cpu() -> None:
    on_gpu, on_cpu = on_device.greedy("cuda"), on_device.greedy("cpu")
    assert [reply.response_ids for reply in on_gpu] == [reply.response_ids for reply in on_cpu]
    for ours, theirs in zip(on_gpu, on_cpu, strict=True):
        assert ours.logprobs == pytest.approx(theirs.logprobs, abs=1e-3)


def test_an_update_is_that_of_the_cpu(tmp_path: Path) -> None:
    on_gpu, on_cpu = on_device.update(), without_gpu(tmp_path)
    assert on_gpu["loss"] == pytest.approx(on_cpu["loss"], abs=1e-4)
    assert torch.allclose(on_gpu["teacher"], on_cpu["teacher"], atol=1e-3)
    apart = on_device.distance(on_gpu["gradients"], on_cpu["gradients"])
    assert apart < 0.01 * on_device.norm(on_cpu["gradients"])


def test_scores_are_those_of_whole_logits(tmp_path: Path) -> None:
    made = on_device.trainer(tmp_path)
    rows = [row for part in made._play_update(0) for row in part]
    scores = {id(row): logps for row, logps in made._scores(rows)}
    made.close()
    assert made._scores_by_trl
    assert torch.allclose(torch.cat([scores[id(row)] for row in rows]), whole_logits(made, rows), atol=1e-4)


@pytest.mark.parametrize("lora", [False, True])
def test_bfloat16_stays_finite(lora: bool, tmp_path: Path) -> None:
    if lora:
        pytest.importorskip("peft")
    after, records = on_device.trained(tmp_path, bf16=True, lora=lora, updates=8)
    assert len(records) == 8
    for record in records:
        assert abs(record["loss"]) < 100  # false for NaN
        assert 0 < record["grad_norm"] < 1e4
    assert all(torch.isfinite(value).all() for value in after.values())


def test_a_resumed_run_ends_where_the_whole_one_does(tmp_path: Path) -> None:
    first, _ = on_device.trained(tmp_path / "short", updates=1)
    whole, _ = on_device.trained(tmp_path / "whole", updates=4, save_every=2, keep=0)
    resumed, _ = on_device.trained(
        tmp_path / "whole", updates=4, save_every=2, keep=0, resume=tmp_path / "whole" / "checkpoint-2"
    )
    moved = on_device.distance(first, whole)
    assert moved > 0
    assert on_device.distance(resumed, whole) < 0.02 * moved
