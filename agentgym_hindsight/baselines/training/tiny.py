"""A small model with random weights and its tokenizer, so that training needs no download.

The tokenizer is a byte-level BPE trained on texts of the environment. The model is a Qwen3 of a few layers. Both depend
only on the seed and the environment.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentgym_hindsight.baselines.requirements import require_train
from agentgym_hindsight.errors import UnknownNameError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

__all__ = ["SIZES", "TEMPLATE_TOKENS", "TinySize", "empty_model", "is_tiny", "make_model", "make_tokenizer"]


@dataclass(frozen=True, slots=True)
class TinySize:
    """The shape of a tiny Qwen3: about 0.2, 1.0 and 5.4 million parameters for S, M and L with 1,024 tokens."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int


SIZES: dict[str, TinySize] = {
    "S": TinySize(64, 3, 2, 192),
    "M": TinySize(128, 4, 4, 384),
    "L": TinySize(256, 6, 8, 768),
}

#: The width of a head. Narrower heads do not separate neighbouring positions, which copying a name requires.
_HEAD = 32

PAD, END, USER, ASSISTANT = "<|pad|>", "<|end|>", "<|user|>", "<|assistant|>"
#: Each is one token. They are not special tokens, because a parser must find them in the decoded text.
TAGS = ("<think>", "</think>", "<action>", "</action>")

#: Prefix-preserving: a longer conversation begins with the tokens of the shorter one.
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message.role == 'assistant' -%}{{ '<|assistant|>' + message.content + '<|end|>' }}"
    "{%- else -%}{{ '<|user|>' + message.content + '<|end|>' }}{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}"
)
#: Number of tokens of the template with an empty prompt.
TEMPLATE_TOKENS = 3


def is_tiny(model: str) -> bool:
    """Whether the name of a model is ``tiny:SIZE``, in any case."""
    kind, colon, _ = model.partition(":")
    return bool(colon) and kind.strip().casefold() == "tiny"


def make_tokenizer(texts: Iterable[str], vocabulary: int = 1024) -> PreTrainedTokenizerFast:
    """A byte-level BPE of at most ``vocabulary`` tokens. Encoding and decoding leave every text unchanged.

    >>> tokenizer = make_tokenizer(["go to fridge 1", "go to fridge 2"] * 9, vocabulary=300)
    >>> tokenizer.decode(tokenizer("go to the fridge, 冷")["input_ids"])
    'go to the fridge, 冷'
    """
    require_train("making a tokenizer")
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([PAD, END, USER, ASSISTANT])
    tokenizer.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in TAGS])
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(TAGS),  # the tags are added to the vocabulary of the BPE
        special_tokens=[PAD, END, USER, ASSISTANT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in TAGS])
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=PAD, eos_token=END, padding_side="left")
    wrapped.chat_template = CHAT_TEMPLATE
    # Spaces before punctuation occur in observations; removing them would change the text.
    wrapped.clean_up_tokenization_spaces = False
    return wrapped


def empty_model(size: str) -> PreTrainedModel:
    """A model of this size for the tokens of no text: its modules are those of :func:`make_model`."""
    return make_model(make_tokenizer([]), size)


def make_model(tokenizer: Any, size: str = "S", *, seed: int = 0, max_positions: int = 4096) -> PreTrainedModel:
    """A Qwen3 with random weights that depend only on the seed."""
    require_train("making a model")
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    if size not in SIZES:
        raise UnknownNameError("size of a tiny policy", size, SIZES)
    shape = SIZES[size]
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        head_dim=_HEAD,
        intermediate_size=shape.feed_forward,
        max_position_embeddings=max_positions,
        tie_word_embeddings=True,
        initializer_range=0.1,  # the usual 0.02 suits widths of thousands; at width 64 it delays learning
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):  # the global random state does not change
        torch.manual_seed(seed)
        model = Qwen3ForCausalLM(config)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model
