"""Models with random weights and the shapes of Qwen2.5: nothing is downloaded, and times depend only on the shapes."""

# ruff: noqa: E402  # the check of the extra comes before torch is imported

from __future__ import annotations

from agentgym_hindsight.baselines.requirements import require_train

require_train("measuring training")

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch

from agentgym_hindsight.errors import UnknownNameError

__all__ = ["DRY", "LORA", "SIZES", "make_config", "make_model", "shape_of"]

#: The sizes of the real run, and the one of the dry run.
SIZES = ("0.5B", "1.5B", "7B")
DRY = "dry"
#: The adapters of the LoRA cases.
LORA: Mapping[str, Any] = {"task_type": "CAUSAL_LM", "r": 16, "lora_alpha": 32, "target_modules": "all-linear"}

_SHAPES = Path(__file__).with_name("shapes.json")
_POSITIONS = 32768


@cache
def _shapes() -> dict[str, dict[str, Any]]:
    shapes: dict[str, dict[str, Any]] = json.loads(_SHAPES.read_text(encoding="utf-8"))
    return shapes


def shape_of(size: str) -> dict[str, Any]:
    """The numbers of a size in shapes.json."""
    if size not in _shapes():
        raise UnknownNameError("size", size, _shapes())
    return dict(_shapes()[size])


def make_config(size: str, tokenizer: Any, **changes: Any) -> Any:
    """The config of a size. The embedding has the rows of the true vocabulary, whatever the tokenizer has."""
    from transformers import Qwen2Config

    values = shape_of(size)
    del values["parameters"]
    values["vocab_size"] = values["vocab_size"] or len(tokenizer)
    return Qwen2Config(
        **values,
        max_position_embeddings=_POSITIONS,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        **changes,
    )


def make_model(
    size: str, tokenizer: Any, *, dtype: Any = torch.float32, device: Any = "cpu", seed: int = 0, **changes: Any
) -> Any:
    """A model with random weights, made on the device: on a CPU seven billion random numbers take minutes."""
    from transformers import Qwen2ForCausalLM

    config = make_config(size, tokenizer, **changes)
    devices = [torch.cuda.current_device()] if torch.device(device).type == "cuda" else []
    with torch.random.fork_rng(devices=devices), torch.device(device), _default_dtype(dtype):
        torch.manual_seed(seed)
        model = Qwen2ForCausalLM(config)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


@contextmanager
def _default_dtype(dtype: Any) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
