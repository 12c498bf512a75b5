"""Control tokens of common chat models in a text are broken, visibly and in linear time."""

from __future__ import annotations

import random
import time

import pytest

from agentgym_hindsight.hindsight import break_control_text
from agentgym_hindsight.hindsight.control_text import control_texts

CONTROL = [
    "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|fim_prefix|>", "<|vision_start|>",  # ChatML, Qwen
    "<|begin_of_text|>", "<|start_header_id|>", "<|eot_id|>", "<|python_tag|>", "<|reserved_token_0|>",  # Llama 3
    "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "<s>", "</s>", "[/TOOL_RESULTS]",  # Llama 2, Mistral
    "<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>", "<|turn>", "<turn|>", "<|\"|>",  # Gemma
    "<｜User｜>", "<｜begin▁of▁sentence｜>", "<｜tool▁calls▁begin｜>",  # DeepSeek
    "<|START_OF_TURN_TOKEN|>", "<|start|>", "<|channel|>", "<|message|>", "<|user|>", "[gMASK]", "<sop>",  # others
    "[|assistant|]", "]~b]", "[e~[", "]~!b[", "<pad>", "<unk>", "<seed:bos>",
]  # fmt: skip
ORDINARY = [
    "<think>Hm.</think><action>look</action>", "<tool_call>{}</tool_call>", "<b>bold</b> <td>", "a <| b |> c",
    "a[0] | b", "List<String>", "x < y | z > w", "[1, 2]", "[Search] [SEP]", "$25.00", "<|", "|>", "", "\n\n", "<stop>",
    "1 << 2", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("token", CONTROL)
def test_a_control_token_is_broken(token: str) -> None:
    broken = break_control_text(f"a{token}b")
    assert broken == f"a{token[0]} {token[1:]}b"
    assert break_control_text(broken) == broken
    assert control_texts(f"{token} {token}") == (token,)


@pytest.mark.parametrize("text", ORDINARY)
def test_other_text_is_unchanged(text: str) -> None:
    assert break_control_text(text) == text
    assert control_texts(text) == ()


def test_nested_and_overlapping_control_tokens() -> None:
    rng = random.Random(0)
    for _ in range(2000):
        text = "".join(
            token[: rng.randrange(len(token) + 1)] + rng.choice(["", *CONTROL]) + token[rng.randrange(len(token)) :]
            for token in rng.choices(CONTROL, k=4)
        )
        broken = break_control_text(text)
        assert control_texts(broken) == ()
        assert not any(token in broken for token in CONTROL)
        assert broken.replace(" ", "") == text


@pytest.mark.parametrize("piece", ["<", "<|", "[|", "<|a", "<" + "a" * 63, "<|im_end|>", "]~", "[/", "<end_of_"])
def test_the_search_is_linear(piece: str) -> None:
    text = piece * (400_000 // len(piece))
    begin = time.process_time()
    break_control_text(text)
    assert time.process_time() - begin < 10
