"""Tests of training leave nothing in the folder they are run in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def notes_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What a start was worth is remembered for this session alone."""
    from agentgym_hindsight.baselines.training import start

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(start, "_NOTES", tmp_path_factory.mktemp("evaluations"))
        yield
