"""Shared by all benchmarks: a row of figures, the description of the machine, the memory of one more env."""

from __future__ import annotations

import gc
import os
import resource
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

__all__ = ["Row", "machine", "memory_per_env"]


class Row(NamedTuple):
    """One figure."""

    what: str
    value: str


def machine(memory: bool = True) -> str:
    """The machine in one line. ``memory=False`` omits the peak memory, for figures that other processes measured."""
    text = f"Python {sys.version.split()[0]}, {os.cpu_count()} cores"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return f"{text}, peak memory of this process {peak} MiB" if memory else text


def memory_per_env(make: Sequence[Callable[[], Any]]) -> float:
    """Bytes of Python objects per env, while all of them are open. ``make`` may also play each env."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        envs = [make_env() for make_env in make]
        gc.collect()
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    for env in envs:
        env.close()
    return used / len(envs)
