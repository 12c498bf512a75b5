"""``vllm:FOLDER`` with the folder of a policy that was trained with adapters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("vllm", reason="needs vLLM")
pytest.importorskip("peft", reason="needs the extra [peft]")

import peft
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from agentgym_hindsight.baselines.policies.base import TurnView
from agentgym_hindsight.baselines.policies.transformers import TransformersPolicy
from agentgym_hindsight.baselines.policies.vllm import open_vllm

pytestmark = [pytest.mark.slow, pytest.mark.real, pytest.mark.filterwarnings("default")]


def save_adapters(base: Path, folder: Path) -> Path:
    """Adapters with random weights that change what the base model writes."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    config = peft.LoraConfig(r=4, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    adapted = peft.get_peft_model(model, config)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(1)
        for name, weights in adapted.named_parameters():
            if "lora_B" in name:
                weights.normal_(0.0, 0.1)
    adapted.save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return folder


def test_adapters_in_the_engine_are_those_of_transformers(tiny: Path, tmp_path: Path) -> None:
    folder = save_adapters(tiny, tmp_path / "adapters")
    turn = TurnView("a", 0, 0, "You are in the middle of a room. You see a desk 1, a drawer 1 and a bed 1.", {})
    turns = [replace(turn, task_id=str(number), observation=turn.observation * number) for number in (1, 2, 3)]
    lengths = {"max_prompt_tokens": 448}
    ours = TransformersPolicy.load(folder, temperature=0.0, max_new_tokens=12, device="cpu", **lengths).act(turns)
    bare = TransformersPolicy.load(tiny, temperature=0.0, max_new_tokens=12, device="cpu", **lengths).act(turns)
    policy = open_vllm(str(folder), max_tokens=12, enforce_eager=True, **lengths)
    try:
        found = policy.act(turns)
    finally:
        policy.close()
    assert [reply.prompt_ids for reply in found] == [reply.prompt_ids for reply in ours]
    assert [reply.response_ids for reply in found] == [reply.response_ids for reply in ours]
    assert [reply.response_ids for reply in found] != [reply.response_ids for reply in bare], "the adapters are used"
    for left, right in zip(found, ours, strict=True):
        assert left.logprobs == pytest.approx(right.logprobs, abs=1e-3)
