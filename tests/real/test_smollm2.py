"""A pretrained model in every part that a user gives one to. It solves no task: these tests look at the machinery."""

from __future__ import annotations

import os
from pathlib import Path
from shutil import copytree

import pytest

pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("trl", reason="needs the extra [train]")

from agentgym_hindsight.baselines.training.progress import SilentObserver
from agentgym_hindsight.cli import main
from agentgym_hindsight.hindsight.jsonl import read_jsonl
from tests.baselines.policies.released_templates import released_template
from tests.real.half_won import short_run

pytestmark = [pytest.mark.slow, pytest.mark.real, pytest.mark.filterwarnings("default")]


@pytest.mark.parametrize("world", ["alfworld", "webshop", "appworld", "bfcl", "tau"])
def test_eval_on_every_world(world: str, smollm2: Path, tmp_path: Path) -> None:
    words = ["eval", "--policy", "smollm2", "--env", world, "--set", "max_steps=2", "--tasks", "1"]
    out = tmp_path / "out"
    assert main([*words, "--temperature", "0", "--max-new-tokens", "24", "--out", str(out)]) == 0
    (rollout,) = read_jsonl(out / "rollouts-greedy-seed0.jsonl").trajectories
    assert not rollout.broken
    assert 1 <= len(rollout.steps) <= 2
    assert all(step.response for step in rollout.steps)
    assert not any("<|im_" in step.response for step in rollout.steps), "control tokens are no text"


@pytest.mark.parametrize("world", ["tau", "bfcl"])
def test_functions_in_the_chat_template(
    world: str, smollm2: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """SmolLM2's own template lists no functions. Its control tokens are those of Qwen 2.5, whose template does."""
    template = released_template("qwen2_5")
    words = ["eval", "--env", world, "--protocol", "tools-native", "--set", "max_steps=2", "--tasks", "1"]
    words += ["--temperature", "0", "--max-new-tokens", "32", "--max-prompt-tokens", "8000"]
    assert main([*words, "--policy", "smollm2", "--out", str(tmp_path / "refused")]) == 2
    assert "Expected a chat template that lists functions" in capsys.readouterr().err
    folder = tmp_path / "smollm2-tools"
    copytree(smollm2, folder, copy_function=os.link)
    (folder / "chat_template.jinja").unlink()
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    out = tmp_path / "out"
    assert main([*words, "--policy", str(folder), "--out", str(out)]) == 0
    (rollout,) = read_jsonl(out / "rollouts-greedy-seed0.jsonl").trajectories
    assert not rollout.broken
    assert all(step.response for step in rollout.steps)


@pytest.mark.parametrize("way", ["react", "reflexion"])
def test_prompting(way: str, smollm2: Path, tmp_path: Path) -> None:
    words = ["eval", "--policy", f"{way}:smollm2", "--set", "data=embedded", "--set", "max_steps=2", "--tasks", "1"]
    assert main([*words, "--temperature", "0", "--max-new-tokens", "24", "--out", str(tmp_path / "out")]) == 0


def test_serl_is_trained_and_resumed(smollm2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, whole = f"model={smollm2}", "method.tokens=response"
    records = short_run(monkeypatch, tmp_path / "run", "serl", model, whole, "plan.save_every=1")
    assert len(records) == 2
    assert all(record["grad_norm"] > 0 for record in records)
    assert all(record["context_available"] > 0 for record in records)
    more = short_run(monkeypatch, tmp_path / "run", "serl", model, whole, "plan.save_every=1", "plan.updates=3")
    assert more[:2] == records
    assert len(more) == 3


def test_adapters_are_trained(smollm2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("peft", reason="needs the extra [peft]")
    peft = 'peft={"r": 4, "target_modules": "all-linear"}'
    records = short_run(monkeypatch, tmp_path / "run", "grpo", f"model={smollm2}", peft)
    assert all(record["grad_norm"] > 0 for record in records)
    assert (tmp_path / "run" / "policy" / "adapter_config.json").is_file()


def test_the_policy_is_its_own_analyser(smollm2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ["method.analyser=policy", "method.analyser_tokens=48", "plan.updates=1"]
    (record,) = short_run(monkeypatch, tmp_path / "run", "hint-sd", f"model={smollm2}", *settings)
    assert record["ask_tokens"] > 0


class Losses(SilentObserver):
    """Keeps the losses that a warm start reports."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def advance(self, note: str = "", steps: int = 1) -> None:
        if note.startswith("loss "):
            self.losses.append(float(note.removeprefix("loss ")))


def test_a_warm_start_lowers_the_loss(smollm2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # so that no earlier warm start in runs/starts is used
    warm = ["warm.tasks=8", "warm.siblings=1", "warm.epochs=2", "warm.batch=4", "warm.learning_rate=5e-4"]
    seen = Losses()
    short_run(monkeypatch, tmp_path / "run", "grpo", f"model={smollm2}", *warm, "plan.updates=1", observer=seen)
    assert seen.losses[-1] < 0.7 * seen.losses[0]
