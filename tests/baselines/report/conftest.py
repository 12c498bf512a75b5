"""Faked runs that the tests of the report share. No test changes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.baselines.report.faked import fake_run


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SERL and GRPO with three seeds each, in folders of different depth, and SERL with another setting."""
    folder = tmp_path_factory.mktemp("runs")
    for seed in range(3):
        fake_run(folder / f"serl-{seed}", "serl", seed)
        fake_run(folder / "deeper" / f"grpo-{seed}", "grpo", seed, lift=0.4)
    fake_run(folder / "wide", "serl", 0, lift=0.5, settings={"clip": 0.8})
    return folder
