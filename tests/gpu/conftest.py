"""Tests marked ``gpu`` are skipped where torch finds no GPU."""

from __future__ import annotations

import os

import pytest

# Set before torch is imported. With models this small, several threads are slower than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(autouse=True)
def _gpu(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("gpu") is None:
        return
    torch = pytest.importorskip("torch", reason="needs the extra [train]")
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
