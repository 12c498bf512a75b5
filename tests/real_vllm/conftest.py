"""Models, servers and turns of the tests with a real vLLM. Without ``make real-vllm`` they are skipped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.conftest import smollm2  # noqa: F401
from tests.real_vllm.server import Server, serving

VARIABLE = "AGENTGYM_HINDSIGHT_REAL_VLLM"
#: vLLM on a CPU reserves this many GiB for keys and values; its default is half of the memory.
CACHE_GIB = "1"


@pytest.fixture(scope="session", autouse=True)
def environment() -> None:
    """Skip without the variable, and set what vLLM reads."""
    if os.environ.get(VARIABLE) != "1":
        pytest.skip(f"needs vLLM and takes minutes: run by `make real-vllm`, which sets {VARIABLE}=1")
    os.environ.update(HF_HUB_OFFLINE="1", VLLM_CPU_KVCACHE_SPACE=CACHE_GIB, VLLM_NO_USAGE_STATS="1")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, environment: None) -> Path:
    """A checkpoint with random weights that vLLM loads in seconds."""
    from tests.real_vllm.tiny import save_tiny

    return save_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def server(smollm2: Path, environment: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:  # noqa: F811
    """``vllm serve`` with SmolLM2, for the tests of one module."""
    with serving(smollm2, "smol", tmp_path_factory.mktemp("server")) as served:
        yield served
