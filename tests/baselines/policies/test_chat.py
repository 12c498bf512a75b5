"""Prompts as tokens: the template is never cut, and a shortened prompt has a marker."""

from __future__ import annotations

import copy
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the extra [train]")

from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.policies.chat_messages import MessageEncoder
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.budget import Budget
from agentgym_hindsight.hindsight.context import Section, TeacherContext
from tests.baselines.training.test_tiny import TEXTS, small_tokenizer

LONG = "Task: find it. " + " ".join(f"You see a desk {n}." for n in range(200)) + " Can: look; go to: desk 1"
FOREIGN = "冰箱🙂" * 150


@pytest.fixture
def encoder() -> PromptEncoder:
    return PromptEncoder(small_tokenizer(), 64)


def shown(encoder: PromptEncoder, ids: tuple[int, ...]) -> str:
    return str(encoder.tokenizer.decode(list(ids), skip_special_tokens=False))


def test_a_short_prompt_in_its_template(encoder: PromptEncoder) -> None:
    ids = encoder.encode("Now: a room.")
    assert shown(encoder, ids) == "<|user|>Now: a room.<|end|><|assistant|>" == encoder.text("Now: a room.")
    assert encoder.cut == 0
    assert encoder.overhead == 3


@pytest.mark.parametrize("limit", [4, 5, 12, 20, 64, 200])
@pytest.mark.parametrize("prompt", [LONG, FOREIGN, "a" * 900, "\n" * 900], ids=["long", "foreign", "letters", "lines"])
def test_the_limit_holds_and_the_template_is_complete(limit: int, prompt: str) -> None:
    encoder = PromptEncoder(small_tokenizer(), limit)
    ids = encoder.encode(prompt)
    assert len(ids) <= limit
    text = shown(encoder, ids)
    assert text.startswith("<|user|>"), text
    assert text.endswith("<|end|><|assistant|>"), text
    assert encoder.cut == 1


@pytest.mark.parametrize("limit", [64, 200])
def test_a_marker_replaces_the_middle(limit: int) -> None:
    encoder = PromptEncoder(small_tokenizer(), limit)
    ids = encoder.encode(LONG)
    text = shown(encoder, ids)
    assert "characters left out" in text
    assert text.startswith("<|user|>Task: find")
    assert text.endswith("desk 1<|end|><|assistant|>")
    assert len(ids) > limit - 12, "most of the limit is used"


def test_a_prompt_of_exactly_the_limit_is_not_cut(encoder: PromptEncoder) -> None:
    whole = PromptEncoder(small_tokenizer(), 4096).encode(LONG[:300])
    assert PromptEncoder(small_tokenizer(), len(whole)).encode(LONG[:300]) == whole
    short = PromptEncoder(small_tokenizer(), len(whole) - 1)
    assert len(short.encode(LONG[:300])) < len(whole)
    assert short.cut == 1


def test_a_batch_is_encoded_as_single_prompts(encoder: PromptEncoder) -> None:
    prompts = ["", *TEXTS[:4], LONG, FOREIGN, "look", LONG]
    together = encoder.encode_all(prompts)
    assert encoder.cut == sum(len(PromptEncoder(small_tokenizer(), 4096).encode(p)) > 64 for p in prompts) >= 3
    assert together == [PromptEncoder(small_tokenizer(), 64).encode(prompt) for prompt in prompts]
    assert encoder.encode_all([]) == []


def test_count_and_decode(encoder: PromptEncoder) -> None:
    assert encoder.count("") == 0
    assert encoder.count("go to desk 1") + encoder.overhead == len(encoder.encode("go to desk 1"))
    reply = "<think>Hm.</think><action>look</action>"
    ids = encoder.tokenizer(reply + "<|end|>", add_special_tokens=False)["input_ids"]
    assert encoder.decode(ids) == reply
    assert ids[-1] == encoder.tokenizer.eos_token_id


@pytest.mark.parametrize("truncation", ["tail", "middle"])
@pytest.mark.parametrize("body", [LONG, FOREIGN])
def test_a_teachers_prompt_fits_and_contains_the_students_prompt(truncation: Any, body: str) -> None:
    encoder = PromptEncoder(small_tokenizer(), 400)
    room = encoder.max_tokens - encoder.overhead
    sections = (Section("success", body), Section("immediate", "It is dark."))
    student = "Task: put a mug in shelf 1.\nNow: You are in a room."
    prompt = TeacherContext(sections, sections, Budget(room, encoder.count, truncation)).prompt(student, room)
    ids = encoder.encode(prompt)
    assert len(ids) <= encoder.max_tokens
    assert encoder.cut == 0, "the context was shortened, not the whole prompt"
    text = shown(encoder, ids)
    assert student in text
    assert "It is dark." in text
    assert "characters left out" in text
    assert text.endswith("Correctly solve the current task.\n<|end|><|assistant|>")


def test_template_arguments_reach_the_template() -> None:
    class Fake:
        chat_template = "…"

        def apply_chat_template(self, chat: Any, **options: Any) -> str:
            return f"{chat[0]['content']}|{options.pop('enable_thinking', True)}|{sorted(options)}"

        def __call__(self, texts: list[str], add_special_tokens: bool) -> dict[str, list[list[int]]]:
            assert not add_special_tokens
            return {"input_ids": [list(text.encode()) for text in texts]}

    encoder = PromptEncoder(Fake(), template={"enable_thinking": False})
    assert encoder.text("hi") == "hi|False|['add_generation_prompt', 'tokenize']"


def test_a_system_message_comes_first(encoder: PromptEncoder) -> None:
    plain, tokenizer = encoder, encoder.tokenizer
    with_system = PromptEncoder(tokenizer, 200, {"system": "Be brief."})
    assert with_system.text("Look.").index("Be brief.") < with_system.text("Look.").index("Look.")
    assert with_system.text("Look.").endswith(plain.text("Look."))
    assert "Be brief." in tokenizer.decode(with_system.encode("Look. " * 200))  # a long prompt is cut, it is not
    assert with_system.overhead > plain.overhead
    messages = MessageEncoder(with_system)
    chat = [{"role": "user", "content": "Look."}]
    assert messages.encode(chat).ids == with_system.encode("Look.")
    own = [{"role": "system", "content": "Be long."}, *chat]
    assert messages.encode(own).ids == MessageEncoder(plain).encode(own).ids
    with pytest.raises(UsageError, match="Expected a text"):
        PromptEncoder(tokenizer, 200, {"system": 3})


def test_a_template_without_system_messages_says_so(encoder: PromptEncoder) -> None:
    tokenizer = copy.deepcopy(encoder.tokenizer)
    for template in (
        "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}",
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
        "{% for m in messages %}{{ m.content }}{% endfor %}",
    ):
        tokenizer.chat_template = template
        PromptEncoder(tokenizer, 200)
        with pytest.raises(UsageError, match="shows a system message"):
            PromptEncoder(tokenizer, 200, {"system": "Be brief."})


def test_errors() -> None:
    class Bare:
        chat_template = None

    with pytest.raises(UsageError, match="chat template"):
        PromptEncoder(Bare())
    with pytest.raises(UsageError, match="more than 3 tokens"):
        PromptEncoder(small_tokenizer(), 3)
