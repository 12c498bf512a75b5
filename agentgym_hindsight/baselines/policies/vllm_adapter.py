"""Adapters (LoRA) in vLLM: the folder has no model of its own, so the engine loads the base model and the adapters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from agentgym_hindsight.baselines.models import model_source
from agentgym_hindsight.errors import DamagedDataError, UsageError

__all__ = ["Adapter", "find_adapter"]

#: The values that vLLM accepts for ``max_lora_rank``.
_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)


class Adapter(NamedTuple):
    """The adapters in a folder, and the model that they belong to."""

    folder: str
    base: str
    rank: int

    def engine(self) -> Mapping[str, Any]:
        """Arguments of ``vllm.LLM``. The tokenizer is the adapters', as in training."""
        rank = next((each for each in _RANKS if each >= self.rank), 0)
        if not rank:
            raise UsageError(
                f"Expected adapters of rank {_RANKS[-1]} at most for vLLM, got {self.rank} in {self.folder}; "
                "try the policy without vllm:."
            )
        has_tokenizer = Path(self.folder, "tokenizer_config.json").is_file()
        return {"enable_lora": True, "max_lora_rank": rank, **({"tokenizer": self.folder} if has_tokenizer else {})}

    def request(self) -> Any:
        """vLLM's request for these adapters."""
        lora: Any = import_module("vllm.lora.request")
        return lora.LoRARequest("policy", 1, self.folder)


def find_adapter(source: str) -> Adapter | None:
    """The adapters in a folder, or ``None`` if it has a model of its own, or is no folder.

    >>> find_adapter("some/model") is None
    True
    """
    file = Path(source, "adapter_config.json")
    if not file.is_file() or Path(source, "config.json").exists():
        return None
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        base, rank = str(config["base_model_name_or_path"]), int(config["r"])
        ranks = [int(each) for each in (config.get("rank_pattern") or {}).values()]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedDataError(
            f"Expected the base model and the rank of adapters in {file}, got {type(error).__name__}: {error}; "
            "try the folder of a trained policy."
        ) from error
    return Adapter(str(Path(source).resolve()), model_source(base), max([rank, *ranks]))
