"""Training with vLLM in the process: the weights reach the engine, and the correction sees its probabilities."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("vllm", reason="needs vLLM")

from tests.real.half_won import SETTINGS

pytestmark = [pytest.mark.slow, pytest.mark.real, pytest.mark.filterwarnings("default")]

RUN = (
    *SETTINGS,
    "plan.vllm=colocate",
    "plan.updates=3",
    "plan.learning_rate=3e-3",
    "plan.siblings=4",
    "plan.trl.vllm_gpu_memory_utilization=0.3",
)
TEACHER = "method.tokens=response"


def run(model: Path, out: Path, method: str, *settings: str, dtype: str = "float32") -> tuple[list[Any], Any]:
    """The metrics of a run in a process of its own, and what it saw."""
    done = run_process(model, out, method, *settings, dtype=dtype)
    assert done.returncode == 0, done.stderr[-4000:]
    metrics = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    seen = json.loads((out / "watched.json").read_text())
    for each in seen["updates"]:
        print(
            f"{method}, {dtype}: update {each['update']}, {each['tokens']} tokens, log-probabilities within "
            f"{each['current']:.1e} of the new weights, {each['initial']:.1e} of the initial ones"
        )
    return metrics, seen


def run_process(
    model: Path, out: Path, method: str, *settings: str, dtype: str = "float32", packs: bool = False
) -> subprocess.CompletedProcess[str]:
    told = {"out": str(out), "method": method, "settings": [*RUN, f"model={model}", *settings], "dtype": dtype}
    return subprocess.run(
        [sys.executable, "-m", "tests.real_vllm.colocated", json.dumps({**told, "packs": packs})],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
    )


def test_the_engine_follows_the_weights(tiny: Path, tmp_path: Path) -> None:
    metrics, seen = run(tiny, tmp_path / "run", "serl", TEACHER, "plan.trl.vllm_importance_sampling_correction=false")
    assert len(metrics) == len(seen["updates"]) == 3
    assert all(each["grad_norm"] > 0 for each in metrics)
    assert all(each["missing"] == 0 and each["tokens"] > 0 for each in seen["updates"])
    assert [each["current"] < 1e-3 for each in seen["updates"]] == [True] * 3
    assert seen["updates"][0]["initial"] < 1e-3
    assert all(each["initial"] > 2e-2 for each in seen["updates"][1:]), "old weights would not pass"
    assert seen["ratios"] == [], "without the correction there is no ratio"


def test_the_correction_sees_the_rounding_of_the_engine(tiny: Path, tmp_path: Path) -> None:
    _, seen = run(tiny, tmp_path / "run", "serl", TEACHER, dtype="bfloat16")
    assert all(1e-4 < each["current"] < 0.3 for each in seen["updates"]), "bfloat16, with the new weights"
    assert len(seen["ratios"]) >= 3
    lowest, highest = min(each["low"] for each in seen["ratios"]), max(each["high"] for each in seen["ratios"])
    print(f"importance ratios between {lowest:.4f} and {highest:.4f}")
    assert 0.3 < lowest < 0.9999
    assert 1.0001 < highest < 3.0


def test_adapters_are_merged_into_the_engine(tiny: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft", reason="needs the extra [peft]")
    adapters = 'peft={"r": 4, "target_modules": "all-linear"}'
    metrics, seen = run(tiny, tmp_path / "run", "grpo", adapters, "plan.learning_rate=3e-2")
    assert all(each["grad_norm"] > 0 for each in metrics)
    assert [each["current"] < 1e-3 for each in seen["updates"]] == [True] * 3
    assert all(each["initial"] > 2e-2 for each in seen["updates"][1:])
    assert all(each["drift"] < 1e-6 for each in seen["updates"]), "merging and unmerging leaves the base as it was"
    assert all(0.99 < each["low"] <= 1 <= each["high"] < 1.01 for each in seen["ratios"])


def test_without_a_gpu_the_error_says_why_it_cannot_train(tiny: Path, tmp_path: Path) -> None:
    """Without the replaced function: as a user without a GPU meets it."""
    done = run_process(tiny, tmp_path / "run", "grpo", packs=True)
    assert done.returncode == 1
    assert "UsageError: Expected a GPU for training with vLLM" in " ".join(done.stderr.split())
