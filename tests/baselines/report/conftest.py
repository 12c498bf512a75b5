"""Faked runs that all tests of the report read and none changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.baselines.report.faked import fake_run


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SERL and GRPO with three seeds each, at two depths, and SERL with another setting and one seed."""
    folder = tmp_path_factory.mktemp("runs")
    for seed in range(3):
        fake_run(folder / f"serl-{seed}", "serl", seed)
        fake_run(folder / "deeper" / f"grpo-{seed}", "grpo", seed, lift=0.4)
    fake_run(folder / "wide", "serl", 0, lift=0.5, settings={"clip": 0.8})
    return folder
