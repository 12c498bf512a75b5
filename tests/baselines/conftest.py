"""Settings and fixtures of the baselines' tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from agentgym_hindsight.errors import MissingExtraError

# Set before torch is imported. With models this small, several threads are slower than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True, scope="session")
def temporary_evaluation_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Evaluations of warm starts are cached in a temporary folder, not in the working directory."""
    try:
        from agentgym_hindsight.baselines.training import start
    except MissingExtraError:  # the tests that need no [train] still run
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(start, "_EVALUATIONS", tmp_path_factory.mktemp("evaluations"))
        yield
