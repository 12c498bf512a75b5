"""Tokenizers with special tokens, pre-tokenizers and chat templates of the usual families, trained on a few lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from agentgym_hindsight.baselines.training.tiny import make_tokenizer

TEXTS = [
    "Task: put a mug in shelf 1.\nNow: You are in a room. You see a desk 1, a shelf 1 and a fridge 1.",
    "def main():\n\n    print('user', \"assistant\", system)  # [1, 2]\n\n\nmain()\n",
    "<think>The mug is near.</think><action>go to desk 1</action>\n<tool_call>{}</tool_call>",
    "Search [SEP] results for: red shoes, size 10 [SEP] $25.00 im_start im_end user assistant INST eot_id",
] * 9

#: Control tokens of the test tokenizers that are not declared special.
UNDECLARED = ("<|fim_prefix|>", "<｜User｜>", "<｜Assistant｜>", "<｜tool▁calls▁begin｜>", "[turn:user]",
              "[turn:assistant]", "<stop>")  # fmt: skip

CHATML = (
    "{%- for message in messages %}"
    "{%- set content = message.content %}"
    "{%- if message.role == 'assistant' and '</think>' in content %}"
    "{%- set content = content.split('</think>')[-1].lstrip('\\n') %}"
    "{%- endif %}"
    "{{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}"
    "{{- '<|im_start|>assistant\\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}"
    "{%- endif %}"
)
#: As newer Qwen models: a message that looks like the result of a tool is no question of a user.
STRICT_CHATML = (
    "{%- set asked = namespace(yes=false) %}"
    "{%- for message in messages %}"
    "{%- if not (message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}"
    "{%- set asked.yes = true %}{%- endif %}{%- endfor %}"
    "{%- if not asked.yes %}{{- raise_exception('No user query found in messages.') }}{%- endif %}" + CHATML
)
LLAMA_3 = (
    "{{- bos_token }}"
    "{{- '<|start_header_id|>system<|end_header_id|>\\n\\nToday is 26 Jul 2024.<|eot_id|>' }}"
    "{%- for message in messages %}"
    "{{- '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' + message.content | trim + '<|eot_id|>' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}"
)
MISTRAL = (
    "{{- bos_token }}{%- for message in messages %}"
    "{%- if message.role == 'user' %}{{- '[INST] ' + message.content + '[/INST]' }}"
    "{%- else %}{{- ' ' + message.content | trim + eos_token }}{%- endif %}{%- endfor %}"
)
LLAMA_2 = (
    "{% for message in messages %}"
    "{% if message.role == 'system' %}{{ '<<SYS>>\\n' + message.content + '\\n<</SYS>>\\n\\n' }}"
    "{% elif message.role == 'user' %}{{ bos_token + '[INST] ' + message.content.strip() + ' [/INST]' }}"
    "{% else %}{{ ' ' + message.content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)
GEMMA = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message.role == 'assistant' %}{% set role = 'model' %}{% else %}{% set role = message.role %}{% endif %}"
    "{{ '<start_of_turn>' + role + '\\n' + message.content | trim + '<end_of_turn>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"
)
DEEPSEEK = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message.role == 'user' %}{{ '<｜User｜>' + message.content }}"
    "{% else %}{{ '<｜Assistant｜>' + message.content + eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<｜Assistant｜><think>\\n' }}{% endif %}"
)
ZEPHYR = (
    "{% for message in messages %}{{ '<|' + message.role + '|>\\n' + message.content + eos_token + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)


def _wrapped(tokenizer: Tokenizer, template: str, *, marked: tuple[str, ...] = (), **named: str) -> Any:
    """``marked`` are added tokens that are not special, ``named`` the special tokens with a role."""
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in marked])
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, padding_side="left", **named)
    wrapped.chat_template = template
    wrapped.clean_up_tokenization_spaces = False
    return wrapped


def _byte_level(special: list[str], *, digits: int = 3, normalizer: Any = None) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    words = rf"'s|'t|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,{digits}}}"
    words += r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    trainer = trainers.BpeTrainer(
        vocab_size=900,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=special,
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def _sentence_piece(special: list[str], normalizer: Any, pre_tokenizer: Any, decoder: Any) -> Tokenizer:
    """A BPE over characters with a token for each byte, as converted from SentencePiece."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoder
    every_byte = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=700, special_tokens=[*special, *every_byte], show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    # The byte tokens are part of the vocabulary and not added tokens: a model without them has to be made anew.
    bare = Tokenizer(tokenizer.model)
    bare.normalizer, bare.pre_tokenizer, bare.decoder = tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.decoder
    bare.add_special_tokens(special)
    return bare


def _fused(*, strip: bool) -> Any:
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    return decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if strip else steps)


def chatml(template: str = CHATML) -> Any:
    tags = ("<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
    tokenizer = _byte_level(["<|endoftext|>", "<|im_start|>", "<|im_end|>"], digits=1, normalizer=normalizers.NFC())
    return _wrapped(tokenizer, template, marked=(*tags, "<|fim_prefix|>"), pad_token="<|endoftext|>",
                    eos_token="<|im_end|>")  # fmt: skip


def strict_chatml() -> Any:
    return chatml(STRICT_CHATML)


def llama_3() -> Any:
    reserved = [f"<|reserved_special_token_{number}|>" for number in range(250)]
    named = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    tokenizer = _byte_level([*named, "<|python_tag|>", *reserved])
    return _wrapped(tokenizer, LLAMA_3, bos_token="<|begin_of_text|>", eos_token="<|eot_id|>")


def mistral() -> Any:
    special = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[TOOL_CALLS]"]
    metaspace = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    tokenizer = _sentence_piece(special, None, metaspace, _fused(strip=True))
    return _wrapped(tokenizer, MISTRAL, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="</s>")


def llama_2() -> Any:
    normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer = _sentence_piece(["<unk>", "<s>", "</s>"], normalizer, None, _fused(strip=True))
    return _wrapped(tokenizer, LLAMA_2, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


def gemma() -> Any:
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]
    tokenizer = _sentence_piece(special, normalizers.Replace(" ", "▁"), None, _fused(strip=False))
    return _wrapped(tokenizer, GEMMA, marked=("\n\n", "\n\n\n", "▁▁", "<table>", "<h1>"), unk_token="<unk>",
                    bos_token="<bos>", eos_token="<end_of_turn>", pad_token="<pad>")  # fmt: skip


def deepseek() -> Any:
    """The roles are added tokens that are not special."""
    tokenizer = _byte_level(["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"])
    marked = ("<｜User｜>", "<｜Assistant｜>", "<think>", "</think>", "<｜tool▁calls▁begin｜>")
    return _wrapped(tokenizer, DEEPSEEK, marked=marked, bos_token="<｜begin▁of▁sentence｜>",
                    eos_token="<｜end▁of▁sentence｜>")  # fmt: skip


def bracketed() -> Any:
    """The roles are added tokens that are not special, in a spelling of their own."""
    tokenizer = _byte_level(["<|endoftext|>"])
    template = "{% for m in messages %}{{ '[turn:' + m.role + ']' + m.content + '<stop>' }}{% endfor %}[turn:assistant]"
    return _wrapped(tokenizer, template, marked=("[turn:user]", "[turn:assistant]", "<stop>", "\n\n", "<b>", "</b>"),
                    eos_token="<|endoftext|>")  # fmt: skip


def zephyr() -> Any:
    """The roles are ordinary text."""
    special = ["<unk>", "<s>", "</s>"]
    metaspace = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=False)
    tokenizer = _sentence_piece(special, None, metaspace, _fused(strip=True))
    return _wrapped(tokenizer, ZEPHYR, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


def words() -> Any:
    """Whole words; every other word is unknown."""
    names = {word: number for number, word in enumerate(["<unk>", "<|user|>", "<|end|>", "task", "go", "room", "a"])}
    tokenizer = Tokenizer(models.WordLevel(names, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(["<unk>", "<|user|>", "<|end|>"])
    template = "{% for m in messages %}{{ '<|user|> ' + m.content + ' <|end|>' }}{% endfor %}"
    return _wrapped(tokenizer, template, unk_token="<unk>", eos_token="<|end|>")


def compatible() -> Any:
    """Special tokens are found after NFKC: wide characters spell them too."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=True) for text in ("<|user|>", "<|end|>")])
    template = "{% for m in messages %}{{ '<|user|>' + m.content + '<|end|>' }}{% endfor %}"
    return _wrapped(tokenizer, template, eos_token="<|end|>")


def tiny() -> Any:
    return make_tokenizer(TEXTS, vocabulary=400)


FAMILIES: dict[str, Callable[[], Any]] = {
    make.__name__: make
    for make in (chatml, strict_chatml, llama_3, mistral, llama_2, gemma, deepseek, bracketed, zephyr, words,
                 compatible, tiny)
}  # fmt: skip


@cache
def family(name: str) -> Any:
    """The tokenizer of a family, made once."""
    return FAMILIES[name]()


def spellings(tokenizer: Any) -> dict[int, str]:
    """The control tokens of a test tokenizer, stated without the code under test."""
    return {
        token: entry.content
        for token, entry in tokenizer.added_tokens_decoder.items()
        if entry.special or entry.content in UNDECLARED
    }


def control(tokenizer: Any, ids: Sequence[int], *, unknown: bool = False) -> list[int]:
    """The control tokens among ids. A character that the vocabulary lacks is no control token."""
    tokens = spellings(tokenizer)
    return [token for token in ids if token in tokens and (unknown or token != tokenizer.unk_token_id)]
