"""The audit of a model that is not ours: another chat template, a vocabulary of 50,000 tokens, bounded memory."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.baselines.audit.moments import PlayedGroup, play_groups
from agentgym_hindsight.cli import main
from agentgym_hindsight.stage import Stage

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

VOCABULARY = 50_000
TEMPLATE = (
    "{{ bos_token or '' }}{% for message in messages %}[{{ message['role'] | upper }}]\n"
    "{{ message['content'] }}[/END]\n{% endfor %}{% if add_generation_prompt %}[ASSISTANT]\n{% endif %}"
)
STAGE = Stage(settings={"data": "embedded", "difficulty": "bare", "max_steps": 2}, protocol="brief")


def model_and_tokenizer() -> tuple[Any, Any]:
    """As released models: the model has more tokens than the tokenizer."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from agentgym_hindsight.baselines.training.tiny import make_tokenizer

    tokenizer = make_tokenizer(["go to the shelf 1", "<action>look</action>"] * 9, vocabulary=300)
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
        intermediate_size=16, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    model = Qwen2ForCausalLM(config).eval()
    with torch.no_grad():  # replies are of tokens that the tokenizer has
        model.lm_head.weight[: len(tokenizer)] *= 1000
    return model, tokenizer


def test_the_command_audits_such_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, tokenizer = model_and_tokenizer()
    model.save_pretrained(tmp_path / "policy")
    tokenizer.save_pretrained(tmp_path / "policy")
    world = ["--set", "data=embedded", "--set", "difficulty=bare", "--set", "max_steps=2", "--protocol", "brief"]
    limits = ["--max-new-tokens", "3", "--max-prompt-tokens", "600", "--tasks", "1", "--siblings", "2"]
    out = ["--continuations", "2", "--out", str(tmp_path / "out"), "--num-envs", "8", "--json"]
    assert main(["audit", "--policy", str(tmp_path / "policy"), *world, *limits, *out]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["turns"] == 2 * 2
    assert {"serl", "grpo"} <= {each["name"] for each in facts["scores"]}


@pytest.fixture(scope="module")
def played() -> tuple[Any, PlayedGroup]:
    from agentgym_hindsight.baselines.policies.chat import PromptEncoder
    from agentgym_hindsight.baselines.policies.transformers import TransformersPolicy

    model, tokenizer = model_and_tokenizer()
    policy = TransformersPolicy(model, PromptEncoder(tokenizer, 600), max_new_tokens=6)
    with closing(STAGE.vector(6)) as venv:
        (group,) = play_groups(venv, policy, list(STAGE.panel("train", 1, seed=0)), 6)
    return policy, group


def test_logits_in_memory_are_bounded(played: tuple[Any, PlayedGroup], monkeypatch: pytest.MonkeyPatch) -> None:
    from agentgym_hindsight.baselines.audit import teachers
    from agentgym_hindsight.baselines.audit.teachers import TeacherSays

    policy, group = played
    made: list[int] = []
    copied: list[int] = []
    logits_of, of_logits = teachers.Scorer.logits, teachers.of_logits

    def logits(self: Any, model: Any, sequences: Any) -> Any:
        found = logits_of(self, model, sequences)
        made.append(found.numel())
        return found

    def scores(part: Any, *rest: Any) -> Any:
        copied.append(part.numel())
        return of_logits(part, *rest)

    monkeypatch.setattr(teachers.Scorer, "logits", logits)
    monkeypatch.setattr(teachers, "of_logits", scores)
    found = []
    for most in (1 << 26, 2 * VOCABULARY):
        says = TeacherSays(policy, str(STAGE.parser), sources=["immediate"], methods={}, most_logits=most)
        rows = says._rows(list(group.episodes), says._gaps["immediate"])
        for number, row in enumerate(rows):  # twelve different prompts
            row.teacher_ids = row.prompt_ids[number:]
        says._score(rows, {})
        found.append([row.teacher_logps for row in rows])
        if len(found) == 1:
            assert max(made) > 12 * VOCABULARY, "several replies at once"
            made.clear()
            copied.clear()
    assert len(made) == 12
    assert max(made) <= 6 * VOCABULARY, "one reply of six tokens"
    assert max(copied) <= 2 * VOCABULARY
    for one, two in zip(*found, strict=True):
        assert one is not None
        assert two is not None
        assert torch.allclose(one, two, atol=1e-4)
