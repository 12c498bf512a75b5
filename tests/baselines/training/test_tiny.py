"""The tiny policy: its weights follow from the seed, it has the documented sizes, and its tokenizer is lossless."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")
transformers = pytest.importorskip("transformers", reason="needs the extra [train]")

from agentgym_hindsight.baselines.training import tiny  # noqa: E402
from agentgym_hindsight.baselines.training.tiny import SIZES, TAGS, make_model, make_tokenizer  # noqa: E402
from agentgym_hindsight.errors import UnknownNameError  # noqa: E402

TEXTS = [
    "Task: put a mug in shelf 1.\nNow: You are in a room. You see a desk 1, a shelf 1 and a fridge 1.",
    "Can: look; go to: desk 1 2 3, shelf 1, fridge 1\nDone: look; go to desk 1",
    "<think>The mug is near.</think><action>go to desk 1</action>",
    "<action>take mug 1 from desk 1</action> <action>look</action>",
] * 9


@cache
def small_tokenizer() -> Any:
    """A tokenizer of about 340 tokens, with the tiny policy's tags and template."""
    return make_tokenizer(TEXTS, vocabulary=340)


def small_model(seed: int = 0, spread: float = 0.3) -> Any:
    """A Qwen3 of one narrow layer. A large ``spread`` of its random weights gives clearly different probabilities."""
    tokenizer = small_tokenizer()
    config = transformers.Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        intermediate_size=48,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        initializer_range=spread,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = transformers.Qwen3ForCausalLM(config).eval()
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


class _Vocabulary:
    """The part of a tokenizer that make_model uses."""

    pad_token_id, eos_token_id = 0, 1

    def __len__(self) -> int:
        return 1024


@pytest.mark.parametrize(("size", "parameters"), [("S", 225_920), ("M", 984_448), ("L", 5_377_664)])
def test_sizes_are_as_documented(size: str, parameters: int) -> None:
    model = make_model(_Vocabulary(), size)
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert model.dtype == torch.float32
    assert f"{parameters / 1e6:.1f}" in (tiny.TinySize.__doc__ or ""), "the sizes are in the docstring"
    assert set(SIZES) == {"S", "M", "L"}


def test_weights_depend_only_on_the_seed() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = make_model(_Vocabulary(), seed=3)
    assert torch.equal(torch.get_rng_state(), before), "the global random state does not change"
    torch.manual_seed(99)
    second, other = make_model(_Vocabulary(), seed=3), make_model(_Vocabulary(), seed=4)
    for (name, a), b, c in zip(first.named_parameters(), second.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b), name
        if "norm" not in name:
            assert not torch.equal(a, c), name


def test_an_unknown_size_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="'XL'"):
        make_model(_Vocabulary(), "XL")


def test_the_model_has_the_tokenizer_s_end_token() -> None:
    tokenizer = small_tokenizer()
    model = make_model(tokenizer)
    assert model.generation_config.eos_token_id == tokenizer.convert_tokens_to_ids(tiny.END) == tokenizer.eos_token_id
    assert model.generation_config.pad_token_id == tokenizer.pad_token_id != tokenizer.eos_token_id
    assert model.config.vocab_size == len(tokenizer)
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight


def test_the_same_texts_make_the_same_tokenizer() -> None:
    again = make_tokenizer(iter(TEXTS), vocabulary=340)
    assert again.get_vocab() == small_tokenizer().get_vocab()
    assert again("a shelf 12 <action>") == small_tokenizer()("a shelf 12 <action>")


@pytest.mark.parametrize("vocabulary", [280, 340, 1024])
def test_token_ids_are_consecutive_and_within_the_bound(vocabulary: int) -> None:
    tokenizer = make_tokenizer(TEXTS, vocabulary)
    ids = sorted(tokenizer.get_vocab().values())
    assert ids == list(range(len(tokenizer))), "every row of the embedding belongs to a token"
    assert len(tokenizer) <= vocabulary


def test_frequent_words_are_single_tokens() -> None:
    words = small_tokenizer().tokenize("go to desk 1")
    assert len(words) <= 5, words


@pytest.mark.parametrize("tag", TAGS)
def test_a_tag_is_one_token_everywhere_and_stays_in_the_text(tag: str) -> None:
    tokenizer = small_tokenizer()
    own = tokenizer.convert_tokens_to_ids(tag)
    for text in (tag, f"a{tag}b", f" {tag} ", f"{tag}{tag}", f">{tag}<", f"\n{tag}go to desk 1{tag}"):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert ids.count(own) == text.count(tag), text
        assert tokenizer.decode(ids, skip_special_tokens=True) == text, "a parser must find the tags"


def test_encoding_and_decoding_leave_any_text_unchanged() -> None:
    tokenizer = small_tokenizer()
    draw = random.Random(3)
    pieces = [
        *TAGS,
        " ",
        "  ",
        "\n\n",
        "\t",
        "go to desk 1",
        " .",
        " ,",
        "n't",
        " 's",
        "冰箱",
        "🙂",
        "👩‍🚀",
        "é",
        "<",
        "|>",
    ]
    texts = ["", " ", *TEXTS[:4], *("".join(draw.choices(pieces, k=draw.randrange(30))) for _ in range(200))]
    for text in texts:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_special_tokens_decode_to_no_text() -> None:
    tokenizer = small_tokenizer()
    ids = [tokenizer.convert_tokens_to_ids(name) for name in (tiny.PAD, tiny.END, tiny.USER, tiny.ASSISTANT)]
    assert len({*ids}) == 4
    assert tokenizer.decode(ids, skip_special_tokens=True) == ""


def test_the_tokens_of_a_longer_conversation_start_with_those_of_the_shorter_one() -> None:
    tokenizer = small_tokenizer()
    chat = [
        {"role": "user", "content": "Now: a room."},
        {"role": "assistant", "content": "<think>Hm.</think><action>look</action>"},
        {"role": "user", "content": "Now: a desk."},
        {"role": "assistant", "content": "<action>go to desk 1</action>"},
    ]

    def tokens(turns: int, begun: bool) -> list[int]:
        text = tokenizer.apply_chat_template(chat[:turns], tokenize=False, add_generation_prompt=begun)
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    seen: list[int] = []
    for turns, begun in ((1, False), (1, True), (2, False), (3, False), (3, True), (4, False)):
        ids = tokens(turns, begun)
        assert ids[: len(seen)] == seen
        assert len(ids) > len(seen)
        seen = ids
    assert tokens(1, True)[-1] == tokenizer.convert_tokens_to_ids(tiny.ASSISTANT)
