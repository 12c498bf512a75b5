"""Sampling at the true shapes: our loop, ``model.generate`` and, where it is installed, vLLM.

Replies of random weights hardly ever end before the limit, so that every way writes the same number of tokens.
"""

# ruff: noqa: E402  # the check of the extra comes before torch is imported

from __future__ import annotations

from agentgym_hindsight.baselines.requirements import require_train

require_train("measuring training")

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import torch

from agentgym_hindsight.baselines.policies.base import TurnView
from agentgym_hindsight.baselines.policies.generation import sample, sample_with_generate, uniforms
from agentgym_hindsight.baselines.training.quiet import quiet_libraries
from agentgym_hindsight.cli.bench.gpu.cases import Case, Figures, Run, Skipped
from agentgym_hindsight.cli.bench.gpu.device import clock, device_name, peak_gib
from agentgym_hindsight.cli.bench.gpu.models import DRY, SIZES, make_config, make_model, shape_of
from agentgym_hindsight.cli.bench.gpu.played import PROMPT_TOKENS, Lengths, Played, played

__all__ = ["cases", "with_transformers", "with_vllm"]

_WAYS: dict[str, str] = {"loop": "our loop", "generate": "model.generate", "vllm": "vLLM"}
#: The share of the device's memory that vLLM takes. Nothing else is on the device then.
_VLLM_SHARE = 0.8
_FREED_SECONDS = 20.0


def cases(run: Run) -> Iterator[Case]:
    """A case for each size, way and number of prompts; vLLM's last, because its engine takes minutes to start."""
    lengths = Lengths.of(run.dry)
    sizes, batches, new, repeats = ((DRY,), (2,), 4, 1) if run.dry else (SIZES, (16, 128), 96, 2)
    for way in _WAYS:
        for size in (*sizes[2:], *sizes[:1]) if way == "vllm" else sizes:
            settings = {
                "seed": run.seed,
                "shape": shape_of(size),
                "way": way,
                "prompts": list(batches),
                "new tokens": new,
                "repeats": repeats,
                "lengths": asdict(lengths),
            }

            def measure(size: str = size, way: str = way) -> Figures:
                rollouts = played(lengths, run.seed)
                if way == "vllm":
                    return with_vllm(size, rollouts, batches, new, repeats)
                return with_transformers(size, way, rollouts, batches, new, repeats)

            yield Case(f"{size}: {_WAYS[way]}", settings, measure, 100.0 if way == "vllm" else 20.0)


def with_transformers(
    size: str, way: str, rollouts: Played, batches: Sequence[int], new: int, repeats: int
) -> dict[str, float]:
    """Times of our loop or of ``generate``, at temperature 1, each batch in one piece."""
    words = rollouts.encoder.tokenizer
    dtype = torch.bfloat16 if device_name() == "cuda" else torch.float32
    with quiet_libraries():
        model = make_model(size, words, dtype=dtype, device=device_name()).eval()
        options: dict[str, Any] = {
            "stop": frozenset([words.eos_token_id]),
            "pad": words.pad_token_id,
            "temperature": 1.0,
            "batch_tokens": sys.maxsize,
        }

        def write(places: Sequence[int], count: int) -> int:
            prompts = [rollouts.prompts[place] for place in places]
            if way == "loop":
                replies = sample(model, prompts, lambda i: uniforms(count, "bench", i), max_new_tokens=count, **options)
            else:
                replies = sample_with_generate(model, prompts, seed=0, max_new_tokens=count, **options)
            return sum(len(reply.ids) for reply in replies)

        figures = _times(write, rollouts, batches, new, repeats)
    return {**figures, **peak_gib()}


def with_vllm(size: str, rollouts: Played, batches: Sequence[int], new: int, repeats: int) -> dict[str, float]:
    """The same with an engine of vLLM, whose weights are random too (``load_format="dummy"``)."""
    if find_spec("vllm") is None:
        raise Skipped("vllm is not installed")
    if device_name() != "cuda":
        raise Skipped("vLLM is measured on a GPU only")
    from agentgym_hindsight.baselines.policies.vllm import open_vllm

    words = rollouts.encoder.tokenizer
    with quiet_libraries(), tempfile.TemporaryDirectory() as folder:
        model, tokenizer = config_folders(size, words, Path(folder))
        started = clock()
        policy = open_vllm(
            str(model),
            tokenizer=str(tokenizer),
            temperature=1.0,
            max_tokens=new,
            max_prompt_tokens=PROMPT_TOKENS,
            gpu_memory_utilization=_VLLM_SHARE,
            load_format="dummy",
            dtype="bfloat16",
            enable_prefix_caching=False,  # the same prompts are measured several times
        )
        ready = clock() - started

        def write(places: Sequence[int], count: int) -> int:
            policy.max_tokens = count
            turns = [TurnView(str(i), 0, 0, rollouts.texts[place], {}) for i, place in enumerate(places)]
            return sum(len(reply.response_ids) for reply in policy.act(turns))

        try:
            figures = _times(write, rollouts, batches, new, repeats)
        finally:
            _shut_down(policy.llm)
    return {"seconds to start the engine": ready, **figures}


def _shut_down(llm: Any) -> None:
    """End the engine's process, and wait until its memory is free: the next engine refuses to start without it."""
    with suppress(Exception):  # the attribute differs by release; without it, the engine ends with its object
        llm.llm_engine.engine_core.shutdown()
    deadline = time.monotonic() + _FREED_SECONDS
    while time.monotonic() < deadline:
        free, total = torch.cuda.mem_get_info()
        if free > (_VLLM_SHARE + 0.05) * total:
            return
        time.sleep(0.5)


def config_folders(size: str, tokenizer: Any, folder: Path) -> tuple[Path, Path]:
    """The folders of a model without weights and of its tokenizer.

    They are apart because transformers 5 takes the class of the tokenizer from a Qwen2 config beside it.
    """
    model, words = folder / "model", folder / "tokenizer"
    make_config(size, tokenizer, architectures=["Qwen2ForCausalLM"]).save_pretrained(model)
    tokenizer.save_pretrained(words)
    return model, words


def _times(
    write: Callable[[Sequence[int], int], int],
    rollouts: Played,
    batches: Sequence[int],
    new: int,
    repeats: int,
) -> dict[str, float]:
    """Medians for each number of prompts.

    ``write`` gets the places of the prompts and the most tokens to write after each, and returns how many it wrote.
    """
    figures: dict[str, float] = {}
    prompts = rollouts.prompts
    for count in batches:
        places = [i % len(prompts) for i in range(count)]
        times: dict[int, list[float]] = {1: [], new: []}
        written = 0
        for _ in range(repeats + 1):  # the first pass warms up and is not counted
            for limit, seconds in times.items():
                started = clock()
                written = write(places, limit)
                seconds.append(clock() - started)
        first, whole = (median(seconds[1:]) for seconds in times.values())
        read = sum(len(prompts[place]) for place in places)
        figures |= {
            f"{count} prompts: tokens read": read,
            f"{count} prompts: tokens written": written,
            f"{count} prompts: seconds": whole,
            f"{count} prompts: tokens read a second": read / first,
            f"{count} prompts: tokens written a second": (written - count) / max(whole - first, 1e-9),
        }
    return figures
