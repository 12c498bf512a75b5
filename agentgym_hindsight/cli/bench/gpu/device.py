"""The device of the measurements: its name and software, a clock that waits for it, its memory."""

# ruff: noqa: E402  # the check of the extra comes before torch is imported

from __future__ import annotations

from agentgym_hindsight.baselines.requirements import require_train

require_train("measuring training")

import gc
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

__all__ = ["clock", "device_name", "free_memory", "machine", "out_of_memory", "peak_gib"]

_PACKAGES = ("transformers", "trl", "peft", "vllm")


def device_name() -> str:
    """``cuda`` if there is a GPU, else ``cpu``."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def machine() -> dict[str, str]:
    """The device, its memory, and the versions of the packages that are installed."""
    found = {"device": "cpu", "torch": torch.__version__}
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        found["device"] = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
        found["cuda"] = str(torch.version.cuda)
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found


def clock() -> float:
    """Wall-clock seconds, read after the device has finished its work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def free_memory() -> None:
    """Return the memory of deleted objects to the device, and start to count the peak anew."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_gib() -> dict[str, float]:
    """The peaks since :func:`free_memory`: of tensors, and of what the allocator reserved. On a CPU, of the process."""
    if not torch.cuda.is_available():
        from agentgym_hindsight.baselines.training.memory import peak_memory_mb

        return {"peak memory of the process, GiB": peak_memory_mb() / 1024}
    return {
        "peak memory of tensors, GiB": torch.cuda.max_memory_allocated() / 2**30,
        "peak memory reserved, GiB": torch.cuda.max_memory_reserved() / 2**30,
    }


def out_of_memory(error: Any) -> bool:
    """Whether an error says that the device's memory ran out."""
    return isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)) or "out of memory" in str(error).lower()
