"""A checkpoint of a few layers with random weights, in a shape that vLLM's kernels for CPUs accept."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from tests.baselines.training.tiny_runs import tokenizer


def save_tiny(folder: Path, seed: int = 0) -> Path:
    """The folder, with the model and a tokenizer trained on observations."""
    words = tokenizer()
    config = Qwen3Config(
        vocab_size=len(words),
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=64,
        intermediate_size=192,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        initializer_range=0.1,
        pad_token_id=words.pad_token_id,
        eos_token_id=words.eos_token_id,
        bos_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = Qwen3ForCausalLM(config)
    made.generation_config.eos_token_id = words.eos_token_id
    made.generation_config.pad_token_id = words.pad_token_id
    made.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder
