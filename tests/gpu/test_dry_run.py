"""The parts of ``agh bench gpu`` at tiny shapes: every figure is there and is what its name says."""

from __future__ import annotations

import gc
import json
import math
import os
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("trl", reason="needs the extra [train]")

import torch

from agentgym_hindsight.baselines.masks import action_tokens
from agentgym_hindsight.cli.bench.gpu import generation, losses, padding, step, tiny
from agentgym_hindsight.cli.bench.gpu.cases import Result, Run, Skipped, results
from agentgym_hindsight.cli.bench.gpu.losses import FORMS, differences, scored
from agentgym_hindsight.cli.bench.gpu.models import DRY, SIZES, make_config, make_model, shape_of
from agentgym_hindsight.cli.bench.gpu.played import PROMPT_TOKENS, RESPONSE_TOKENS, Lengths, Played, played
from agentgym_hindsight.cli.bench.gpu.step import METHODS, Setup, measured_updates
from agentgym_hindsight.errors import UnknownNameError


@pytest.fixture(scope="module")
def rollouts() -> Played:
    return played(Lengths.of(dry=True))


def measured(part: Any) -> dict[str, Result]:
    """The results of the dry run of a part, by case; without errors."""
    run = Run(dry=True)
    found = {result.case: result for result in results(part.cases(run), run)}
    assert {name: result.error for name, result in found.items() if result.error} == {}
    for result in found.values():
        values = [value for value in result.figures.values() if isinstance(value, float)]
        assert all(map(math.isfinite, values))
        assert result.figures or result.skipped
    return found


# -- what is measured -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_a_shape_has_as_many_weights_as_the_model(size: str, rollouts: Played) -> None:
    model = make_model(size, rollouts.encoder.tokenizer, device="meta")
    assert sum(p.numel() for p in model.parameters()) == shape_of(size)["parameters"]


def test_models_of_a_seed_are_equal_and_leave_the_random_state(rollouts: Played) -> None:
    torch.manual_seed(11)
    before = torch.random.get_rng_state()
    first, again, other = (make_model(DRY, rollouts.encoder.tokenizer, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(first.lm_head.weight, again.lm_head.weight)
    assert not torch.equal(first.lm_head.weight, other.lm_head.weight)
    half = make_model(DRY, rollouts.encoder.tokenizer, dtype=torch.bfloat16)
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
    assert torch.get_default_dtype() == torch.float32
    assert half.config.vocab_size == len(rollouts.encoder.tokenizer)


def test_an_unknown_size_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"7B"):
        shape_of("7C")


def test_the_rows_have_realistic_lengths_and_actions() -> None:
    real = played(Lengths())
    assert real.description()["rollouts"] == 16
    assert 250 < real.description()["tokens of a prompt"] < 800
    assert 80 < real.description()["tokens of a reply"] < 200
    won = [episode.trajectory.won for episode in real.episodes]
    assert 0 < sum(won) < len(won)
    for episode in real.episodes:
        for at, reply in zip(episode.trajectory.steps, episode.replies, strict=True):
            assert len(reply.prompt_ids) <= PROMPT_TOKENS
            assert len(reply.response_ids) <= RESPONSE_TOKENS
            assert real.encoder.encode(at.prompt) == reply.prompt_ids
            assert at.action_valid
            assert any(action_tokens(real.encoder.decode, reply.response_ids, parser=real.stage.parser,
                                     span=at.action_span))  # fmt: skip
    assert real.texts == [at.prompt for episode in real.episodes for at in episode.trajectory.steps]
    assert len(real.texts) == len(real.prompts)


# -- the parts --------------------------------------------------------------------------------------------------------


def test_updates_of_all_methods(rollouts: Played) -> None:
    setup = Setup(DRY, rollouts=4, updates=2)
    grpo, serl, worst = (measured_updates(setup, name, rollouts) for name in METHODS)
    rows = sum(len(episode.trajectory) for episode in rollouts.episodes)
    tokens = sum(len(r.prompt_ids) + len(r.response_ids) for e in rollouts.episodes for r in e.replies)
    for figures in (grpo, serl, worst):
        assert figures["rows of an update"] == rows
        assert figures["tokens of the rows"] == tokens
        assert 0 < figures["padding"] < 0.2
        whole = figures["seconds of contexts and teacher"] + figures["seconds of losses and optimizer"]
        assert figures["seconds of an update without rollouts"] == pytest.approx(whole)
        assert figures["seconds of an update by the wall clock"] >= 0.9 * whole > 0
        assert figures["gradient norm"] > 0
    assert grpo["tokens of the teacher's rows"] == 0
    assert serl["tokens of the teacher's rows"] > tokens  # every row has a context
    assert worst["loss"] != serl["loss"] != grpo["loss"]
    # The passes are those of the update and of the teacher, and no other: no KL, so no pass of a reference.
    assert grpo["tokens of all passes, with padding"] * (1 - grpo["padding"]) == pytest.approx(tokens)
    both = tokens + serl["tokens of the teacher's rows"]
    assert serl["tokens of all passes, with padding"] * (1 - serl["padding"]) == pytest.approx(both)


def test_a_measured_model_leaves_the_memory(rollouts: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[Any]] = []

    def remembered(*arguments: Any, **options: Any) -> Any:
        model = make_model(*arguments, **options)
        made.append(weakref.ref(model))
        return model

    monkeypatch.setattr(step, "make_model", remembered)
    measured_updates(Setup(DRY, rollouts=4, updates=2), METHODS[1], rollouts)
    scored(DRY, FORMS["float32"], rollouts, with_gradients=True, replies=2)
    gc.collect()
    assert len(made) == 2
    assert [model() for model in made] == [None, None]


def test_differences_of_bfloat16(rollouts: Played) -> None:
    reference = scored(DRY, FORMS["float32"], rollouts, with_gradients=True, replies=3)
    same = differences(reference, reference)
    assert same["gaps, largest difference"] < 1e-5
    assert same["gradients, cosine to float32"] == pytest.approx(1)
    assert same["sampler and trainer, largest difference"] < 1e-3
    half = differences(scored(DRY, FORMS["bfloat16 passes"], rollouts, with_gradients=True, replies=3), reference)
    for name in ("log-probabilities", "the teacher's log-probabilities", "gaps", "SERL's weights"):
        assert 1e-4 < half[f"{name}, mean difference"] < half[f"{name}, largest difference"] < 1
    assert 0.98 < half["gradients, cosine to float32"] < 1
    assert half["loss, difference"] > 0
    assert len(reference.sampled) == len(reference.rescored) > 0
    without = scored(DRY, FORMS["float32"], rollouts, with_gradients=False, replies=1)
    assert torch.allclose(without.student, reference.student)
    assert torch.allclose(without.teacher, reference.teacher)
    assert "loss" not in differences(without, reference)


def test_sampling() -> None:
    found = measured(generation)
    assert list(found) == ["dry: our loop", "dry: model.generate", "dry: vLLM"]
    ours, theirs = (found[f"dry: {way}"].figures for way in ("our loop", "model.generate"))
    assert ours["2 prompts: tokens read"] == theirs["2 prompts: tokens read"]
    assert ours["2 prompts: tokens written"] == 8
    assert ours["2 prompts: tokens read a second"] > 0
    assert found["dry: vLLM"].skipped in ("vllm is not installed", "vLLM is measured on a GPU only")


def test_the_folders_for_vllm_have_the_shape_and_the_tokenizer(rollouts: Played, tmp_path: Path) -> None:
    from transformers import AutoConfig, AutoTokenizer

    model, tokenizer = generation.config_folders("7B", rollouts.encoder.tokenizer, tmp_path)
    config = AutoConfig.from_pretrained(model)
    assert config.to_dict()["hidden_size"] == 3584
    assert config.architectures == ["Qwen2ForCausalLM"]
    assert type(config) is type(make_config("7B", rollouts.encoder.tokenizer))
    words = AutoTokenizer.from_pretrained(tokenizer)
    assert type(rollouts.encoder)(words, PROMPT_TOKENS).encode_all(rollouts.texts) == rollouts.prompts
    assert not list(tmp_path.rglob("*.safetensors"))


def test_vllm_is_measured_on_a_gpu_only(rollouts: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "find_spec", lambda _: object())
    monkeypatch.setattr(generation, "device_name", lambda: "cpu")
    with pytest.raises(Skipped, match="on a GPU"):
        generation.with_vllm(DRY, rollouts, (2,), 4, 1)


def test_padding_of_rows(rollouts: Played) -> None:
    rows = padding.rows_of(rollouts)
    assert all(row.teacher_ids for row in rows)
    figures = padding.packing(rows, (1024, 4096), 8)
    tokens = sum(len(row.prompt_ids) + len(row.response_ids) for row in rows)
    for way in ("token_budget=1024", "token_budget=4096", "8 rows as played"):
        assert figures[f"student, {way}: tokens"] == tokens
        assert 0 <= figures[f"teacher, {way}: padding"] < 0.3
    assert figures["student, 8 rows as played: batches"] == -(-len(rows) // 8)
    assert figures["student, token_budget=1024: batches"] > figures["student, token_budget=4096: batches"]
    assert figures["student, token_budget=4096: padding"] < figures["student, 8 rows as played: padding"]
    for row in rows:
        row.teacher_ids = ()
    assert not any(name.startswith("teacher") for name in padding.packing(rows, (1024,), 8))


@pytest.mark.parametrize("lengths", [Lengths(), Lengths.of_tiny(dry=False)], ids=["papers", "tiny"])
def test_less_than_fifteen_percent_of_an_update_is_padding(lengths: Lengths) -> None:
    rows = padding.rows_of(played(lengths))
    assert len(rows) > 100
    figures = padding.packing(rows, (4096, 16384, 65536), 8)
    for side in ("student", "teacher"):
        assert all(figures[f"{side}, token_budget={budget}: padding"] < 0.15 for budget in (4096, 16384, 65536))
        assert figures[f"{side}, 8 rows as played: padding"] > 0.15


def test_the_replies_of_a_tiny_policy_are_short_actions() -> None:
    rollouts = played(Lengths.of_tiny(dry=True))
    assert rollouts.stage.protocol == "brief"
    for episode in rollouts.episodes:
        assert episode.trajectory.steps
        assert all(at.action_valid for at in episode.trajectory.steps)
    assert rollouts.description()["tokens of a reply"] < 16


def test_convergence() -> None:
    assert not tiny.has_converged([])
    assert not tiny.has_converged([0.5])
    assert tiny.has_converged([0.99])
    assert not tiny.has_converged([0.5, 0.6])
    assert tiny.has_converged([0.5, 0.6, 0.6])


@pytest.mark.slow
def test_the_tiny_run_is_prolonged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = measured(tiny)
    assert [result.figures["updates"] for result in found.values()] == [1, 2]
    for result in found.values():
        assert {"success before, greedy", "success after, greedy"} <= set(result.figures)
        assert result.figures["turns of an update, mean of the last ten"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("part", [step, losses, padding])
def test_all_cases(part: Any) -> None:
    pytest.importorskip("peft")
    found = measured(part)
    assert not any(result.skipped for result in found.values())
    if part is step:
        assert list(found) == [f"dry, {kind}: {method}" for kind in ("full", "LoRA") for method in METHODS]
        for name, result in found.items():
            assert ("update, relative to grpo" in result.figures) is not name.endswith(": grpo")
    if part is losses:
        assert any(name.startswith("bfloat16 weights") for name in found["dry"].figures)


@pytest.mark.slow
def test_without_the_packages_that_are_not_needed(tmp_path: Path) -> None:
    """The cases of LoRA are left out, the others run."""
    code = (
        "import sys, json; sys.modules.update(dict.fromkeys(('flask', 'vllm', 'pytest')))\n"
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name.split('.')[0] == 'peft' else find(name, *a)\n"
        "from agentgym_hindsight.cli.bench.gpu.child import measure\n"
        "for part in ('step', 'generation', 'tiny'):\n"
        "    measure(dict(cases=f'agentgym_hindsight.cli.bench.gpu.{part}:cases', seed=0, dry=True, seconds=600.0,\n"
        "                 messages=sys.argv[1], done=[]))\n"
    )
    messages = tmp_path / "messages.jsonl"
    ran = subprocess.run(
        [sys.executable, "-c", code, str(messages)],
        capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-2000:]
    lines = [json.loads(line) for line in messages.read_text(encoding="utf-8").splitlines()]
    found = [line for line in lines if line["kind"] == "result"]
    assert [line["error"] for line in found] == [""] * len(found)
    skipped = {line["case"]: line["skipped"] for line in found if line["skipped"]}
    assert set(skipped.values()) == {"peft is not installed", "vllm is not installed"}
    assert len(skipped) == 4
