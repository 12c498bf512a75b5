"""Token intervals and action tokens, compared with the bytes of the tokens."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from agentgym_hindsight.baselines import masks
from agentgym_hindsight.baselines.masks import action_tokens, token_spans, tool_call_spans
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.wrappers.parsing import action_spans, parse_response

tokenizers = pytest.importorskip("tokenizers", reason="needs the extra [train]")
transformers = pytest.importorskip("transformers", reason="needs the extra [train]")

SENTENCES = [
    "<think>The mug is not on desk 1. I should look in the drawer.</think><action>open drawer 1</action>",
    "<think>我看到一个杯子。去厨房。</think><action>go to fridge 1</action>",
    "so I will search[red shoes, size 9] and then click[Buy Now] 🙂 👩‍🚀",
]


def byte_level(sentences: Sequence[str] = SENTENCES, vocabulary: int = 420) -> Any:
    """A byte-level BPE with an end-of-turn token, in which "杯" and "🙂" take several tokens."""
    inner = tokenizers.Tokenizer(tokenizers.models.BPE())
    inner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<|end|>", "<|pad|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(list(sentences) * 3, trainer)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|end|>", pad_token="<|pad|>")


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return byte_level()


@pytest.fixture(scope="module")
def decode(tokenizer: Any) -> Callable[[Sequence[int]], str]:
    return lambda ids: str(tokenizer.decode(list(ids), skip_special_tokens=True))


@pytest.fixture(scope="module")
def fast_decode(tokenizer: Any) -> Callable[[Sequence[int]], str]:
    """As ``decode``, without the type checks of transformers, which take most of its time."""
    return lambda ids: str(tokenizer.backend_tokenizer.decode(list(ids), skip_special_tokens=True))


def encode(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def by_bytes(tokenizer: Any, ids: Sequence[int], text: str) -> list[tuple[int, int]]:
    """The reference: the characters that contain the bytes of each token. Only for valid UTF-8."""
    owners = [number for number, character in enumerate(text) for _ in character.encode("utf-8")]
    spans, place = [], 0
    for token in ids:
        # One character of the byte-level alphabet is one byte.
        size = 0 if token in tokenizer.all_special_ids else len(tokenizer.convert_ids_to_tokens([token])[0])
        mine = owners[place : place + size]
        at = owners[place] if place < len(owners) else len(text)
        spans.append((mine[0], mine[-1] + 1) if mine else (at, at))
        place += size
    return spans


def some_text(draw: random.Random) -> str:
    pieces = ["<action>", "</action>", "[action>", "action>", "<ACTION id=1>", "<think>", "</think>", "go to desk 1"]
    pieces += ["search[a b]", "click[", "]", " ", "\n\n", "杯子", "é", "🙂", "👩‍🚀", "\u200b", "İ", ">", "<", "\ufffd?"]
    return "".join(draw.choice(pieces) for _ in range(draw.randrange(60)))


@pytest.mark.parametrize(
    "text", [*SENTENCES, "", "a", "🙂", "👩‍🚀" * 30, "杯" * 60, "a" * 200, "\ufffd", " 🙂 ", "A\ufffdB"]
)
def test_intervals_match_the_bytes(tokenizer: Any, decode: Any, text: str) -> None:
    ids = [*encode(tokenizer, text), tokenizer.eos_token_id]
    read, spans = token_spans(decode, ids)
    assert read == text
    if "\ufffd" not in text:  # a real replacement character looks like a damaged one
        assert spans == by_bytes(tokenizer, ids, text)
    assert spans[-1] == (len(text), len(text)), "the end of the turn has no text"
    assert {place for begin, end in spans for place in range(begin, end)} == set(range(len(text)))


def test_random_texts(tokenizer: Any, decode: Any, fast_decode: Any) -> None:
    draw = random.Random(7)
    for _ in range(300):
        text = some_text(draw)
        ids = [*encode(tokenizer, text), tokenizer.eos_token_id]
        read, spans = token_spans(fast_decode, ids)
        assert read == text == decode(ids)
        mask = action_tokens(fast_decode, ids)
        wanted = {place for begin, end in action_spans(text) for place in range(begin, end)}
        assert mask == [bool(wanted & set(range(begin, end))) for begin, end in spans]
        assert not mask[-1]
        if "\ufffd" not in text:
            assert spans == by_bytes(tokenizer, ids, text)


def test_random_tokens(tokenizer: Any, decode: Any, fast_decode: Any) -> None:
    """A policy early in training samples bytes that are not valid UTF-8."""
    draw = random.Random(11)
    for _ in range(200):
        ids = [draw.randrange(len(tokenizer)) for _ in range(draw.randrange(80))]
        text, spans = token_spans(fast_decode, ids)
        assert text == decode(ids)
        assert len(spans) == len(ids)
        assert all(0 <= begin <= end <= len(text) for begin, end in spans)
        assert [begin for begin, _ in spans] == sorted(begin for begin, _ in spans)
        assert {place for begin, end in spans for place in range(begin, end)} == set(range(len(text)))
        assert spans == masks._spans_by_windows(fast_decode, ids, text, len(ids)), (
            "windows give the same intervals as the whole"
        )


def test_every_cut_of_a_response(tokenizer: Any, decode: Any) -> None:
    """A token limit may cut a response anywhere, also within a character."""
    whole = "<think>🙂 去</think><action>go to 冰箱 🙂 1</action>"
    ids = encode(tokenizer, whole)
    for cut in range(len(ids) + 1):
        text, spans = token_spans(decode, ids[:cut])
        assert text == decode(ids[:cut])
        assert {place for begin, end in spans for place in range(begin, end)} == set(range(len(text)))
        assert all(begin < end for begin, end in spans), "every byte belongs to a character"


def test_tokens_that_straddle_a_tag_count_as_action() -> None:
    pieces = ["<action", ">lo", "ok<", "/action>"]
    assert action_tokens(lambda ids: "".join(pieces[token] for token in ids), range(4)) == [False, True, True, False]
    merging = byte_level(["[a]</action>"] * 9, 300)
    ids = encode(merging, "<action>click[a]</action>")
    mask = action_tokens(lambda ids: str(merging.decode(list(ids))), ids)
    assert "]</" in [merging.decode([token]) for token, action in zip(ids, mask, strict=True) if action]


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("<think>hm</think>[action>look</action>", "look"),
        ("action>look</action> and <action>take mug 1</action>", "looktake mug 1"),
        ("<think>no end<action>go to", "go to"),
        ("I do search[red shoes] then", "search[red shoes]"),
        ("nothing at all", ""),
        ("<action></action>", ""),
    ],
)
def test_damaged_tags(tokenizer: Any, decode: Any, text: str, action: str) -> None:
    # Each character is tokenized separately, so that no token straddles the action's ends.
    ids = [token for character in text for token in encode(tokenizer, character)]
    mask = action_tokens(decode, [*ids, tokenizer.eos_token_id])
    assert decode([token for token, chosen in zip(ids, mask, strict=False) if chosen]) == action


def test_brief_reads_tags(tokenizer: Any, decode: Any) -> None:
    ids = encode(tokenizer, SENTENCES[0])
    assert action_tokens(decode, ids, parser="brief") == action_tokens(decode, ids)


@pytest.mark.parametrize("parser", ["plain", "react-2022"])
def test_other_parsers_use_the_recorded_span(tokenizer: Any, decode: Any, parser: str) -> None:
    text = " > go to 冰箱 1 \nand so on"
    ids = [token for character in text for token in encode(tokenizer, character)]
    parsed = parse_response(text, parser)
    mask = action_tokens(decode, ids, parser=parser, span=parsed.span)
    assert decode([token for token, chosen in zip(ids, mask, strict=True) if chosen]) == parsed.text
    assert not any(action_tokens(decode, ids, parser=parser))


def test_a_custom_extractor(tokenizer: Any, decode: Any) -> None:
    text = '<tool_call>\n{"name": "act", "arguments": {"action": "look"}}\n</tool_call>'
    ids = [token for character in text for token in encode(tokenizer, character)]
    mask = action_tokens(decode, ids, extractor=tool_call_spans)
    chosen = decode([token for token, action in zip(ids, mask, strict=True) if action])
    assert chosen == '{"name": "act", "arguments": {"action": "look"}}'
    # Spans may be unsorted and may overlap.
    assert sum(action_tokens(decode, ids, extractor=lambda _: [(5, 9), (0, 6)])) == 9


def test_tool_calls() -> None:
    assert tool_call_spans("no call") == ()
    assert tool_call_spans("<tool_call></tool_call><tool_call>  ") == ()
    text = "<tool_call>1</tool_call><tool_call> 2 </tool_call>"
    assert [text[begin:end] for begin, end in tool_call_spans(text)] == ["1", "2"]
    assert tool_call_spans("</tool_call><tool_call>x")[0] == (23, 24)


def test_a_decoder_that_drops_the_first_space() -> None:
    inner = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({"▁go": 0, "▁to": 1, "▁desk": 2, "▁": 3, "s": 4}, unk_token="s")
    )
    inner.decoder = tokenizers.decoders.Metaspace()
    ids = [0, 1, 2, 4, 3, 3] * 20
    text, spans = token_spans(inner.decode, ids)
    assert text == inner.decode(ids)
    assert [text[begin:end] for begin, end in spans[:8]] == ["go", " to", " desk", "s", " ", " ", " go", " to"]
    assert {place for begin, end in spans for place in range(begin, end)} == set(range(len(text)))


def test_a_decoder_that_changes_earlier_text() -> None:
    words = ["a", " ", ".", "b"]

    def decode(ids: Sequence[int]) -> str:
        return "".join(words[index] for index in ids).replace(" .", ".").replace("aaa", "A")

    ids = [0, 1, 2, 3] * 40 + [0] * 90
    text, spans = token_spans(decode, ids)
    assert text == decode(ids)
    assert [text[begin:end] for begin, end in spans[:4]] == ["a", ".", ".", "b"]
    assert {place for begin, end in spans for place in range(begin, end)} == set(range(len(text)))


def test_special_tokens_are_not_action(tokenizer: Any, decode: Any) -> None:
    end = tokenizer.eos_token_id
    ids = [*encode(tokenizer, "<action>lo"), end, *encode(tokenizer, "ok"), end]
    mask = action_tokens(decode, ids)
    assert [chosen for token, chosen in zip(ids, mask, strict=True) if token == end] == [False, False]
    assert any(mask)
    assert action_tokens(decode, [end] * 50) == [False] * 50


def test_long_responses_are_fast(tokenizer: Any, decode: Any) -> None:
    ids = encode(tokenizer, " ".join(SENTENCES) * 60)[:2000]
    calls = [0]

    def counted(ids: Sequence[int]) -> str:
        calls[0] += len(ids)
        return str(decode(ids))

    assert len(ids) == 2000
    start = time.process_time()
    action_tokens(counted, ids)
    assert time.process_time() - start < 1.0
    assert calls[0] < 40 * len(ids), "windows, not all prefixes"


def test_bytes_that_are_no_text(decode: Any) -> None:
    """Windows give the same intervals as all prefixes, and take a time that is linear in the number of tokens."""

    def plain(ids: Sequence[int]) -> str:
        calls[0] += len(ids)
        return bytes(ids).decode("utf-8", "replace")

    draw = random.Random(5)
    runs = [b"\xff", b"\x80", b"\xe2\x82", b"\xf0\x90", b"\xef\xbf\xbd", "€".encode(), b"a", "😀".encode()]
    for _ in range(150):
        ids = list(b"".join(draw.choice(runs) * draw.randrange(90) for _ in range(draw.randrange(1, 6))))
        calls = [0]
        text, spans = token_spans(plain, ids)
        assert calls[0] <= 150 * len(ids) + 10
        assert spans == masks._spans_by_windows(plain, ids, text, len(ids) + 1)


def test_errors(decode: Any) -> None:
    with pytest.raises(UnknownNameError, match="Expected a known parser, got 'plian'; did you mean 'plain'"):
        action_tokens(decode, [], parser="plian")
    with pytest.raises(UsageError, match=r"Expected spans within the 0 characters .* got \(0, 4\); try"):
        action_tokens(decode, [], parser="plain", span=(0, 4))
