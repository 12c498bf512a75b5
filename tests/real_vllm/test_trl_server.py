"""TRL's server mode as far as a CPU allows: replies through the server, and no weights, which travel by NCCL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("vllm", reason="needs vLLM")

import torch
from accelerate import Accelerator
from transformers import AutoModelForCausalLM
from trl.generation import vllm_generation
from trl.generation.vllm_client import VLLMClient

from agentgym_hindsight.baselines.policies.base import TurnView
from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.policies.transformers import TransformersPolicy
from agentgym_hindsight.baselines.policies.vllm import VLLMPolicy
from agentgym_hindsight.cli import main
from tests.baselines.training.tiny_runs import logps, tokenizer
from tests.real_vllm.server import Server, serving

pytestmark = [pytest.mark.slow, pytest.mark.real, pytest.mark.filterwarnings("default")]

#: What TRL 1.16 asks of a server, as docs/training.md gives it.
FLAGS = ("--weight-transfer-config", '{"backend": "nccl"}', "--logprobs-mode", "processed_logprobs",
         "--max-logprobs", "-1")  # fmt: skip
PROMPTS = ("Look at the lamp.", "You are in a room. Go to the desk 1.", "Take the book from the desk 1.")


@pytest.fixture(scope="module")
def trl_server(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tiny, "tiny", tmp_path_factory.mktemp("server"), *FLAGS, env={"VLLM_SERVER_DEV_MODE": "1"}) as served:
        yield served


@pytest.fixture
def policy(trl_server: Server, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> VLLMPolicy:
    monkeypatch.setattr(VLLMClient, "init_communicator", lambda *_, **__: None)
    generation = vllm_generation.VLLMGeneration(
        AutoModelForCausalLM.from_pretrained(tiny),
        Accelerator(cpu=True),
        tokenizer(),
        mode="server",
        server_base_url=trl_server.root,
        server_timeout=30,
        max_completion_length=12,
        logprobs=0,
    )
    return VLLMPolicy(generation, tokenizer(), PromptEncoder(tokenizer(), 448))


def turns() -> list[TurnView]:
    return [TurnView(str(number), 0, 0, prompt, {}) for number, prompt in enumerate(PROMPTS)]


def test_greedy_replies_through_the_server(policy: VLLMPolicy, tiny: Path) -> None:
    policy.generation.temperature = 0.0  # type: ignore[attr-defined]
    ours = TransformersPolicy.load(tiny, temperature=0.0, max_new_tokens=12, max_prompt_tokens=448, device="cpu")
    for left, right in zip(policy.act(turns()), ours.act(turns()), strict=True):
        assert (left.prompt_ids, left.response_ids, left.text) == (right.prompt_ids, right.response_ids, right.text)
        assert left.logprobs == pytest.approx(right.logprobs, abs=1e-3)


def test_sampled_log_probabilities_through_the_server(policy: VLLMPolicy, tiny: Path) -> None:
    policy.generation.temperature = 0.6  # type: ignore[attr-defined]
    model = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32).eval()
    for reply in policy.act(turns()):
        expected = logps(model, reply.prompt_ids, reply.response_ids, 0.6)
        assert reply.logprobs == pytest.approx(expected.tolist(), abs=1e-3)
    assert policy.missing_logprobs == 0


def test_weights_need_a_gpu(trl_server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(NotImplementedError, match="needs a CUDA device"):
        VLLMClient(trl_server.root).init_communicator(torch.device("cpu"))
    assert main(["train", "serl", "--vllm", "server", "--out", str(tmp_path / "run")]) == 2
    assert "Expected a GPU for plan.vllm=server" in " ".join(capsys.readouterr().err.split())
