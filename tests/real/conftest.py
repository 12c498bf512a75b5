"""The pretrained model. Without ``make real`` or ``make real-vllm``, which sets a variable, these tests are skipped."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentgym_hindsight.baselines.models.packaged import is_complete, model_folder

VARIABLE = "AGENTGYM_HINDSIGHT_REAL"


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The folder of SmolLM2-135M-Instruct."""
    if os.environ.get(VARIABLE) != "1":
        pytest.skip(f"takes minutes: run by `make real`, which sets {VARIABLE}=1")
    folder = model_folder("smollm2")
    assert is_complete(folder), "run `agh models get smollm2`"
    return folder
