"""``agh bench forks`` on a small run, and the limits that snapshots are promised to keep."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from agentgym_hindsight.cli import bench_command
from agentgym_hindsight.cli.bench import forks


def test_the_page_has_every_world_and_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser, page = argparse.ArgumentParser(), tmp_path / "forks.md"
    bench_command.arguments(parser)
    words = "--moments 4 --continuations 3"
    assert bench_command.run(parser.parse_args(f"forks {words} --seed 7 --out {page}".split())) == 0
    text = page.read_text()
    assert f"`agh bench forks {words} --seed 7`" in text
    for world in ("ALFWorld", "WebShop", "tau-bench", "AppWorld's miniature"):
        assert f"{world}: snapshot" in text
    assert "continuations" in text
    assert "size" in text
    assert "nan" not in text


def test_the_figures_stay_far_below_those_of_copying_the_env() -> None:
    """A bound for a busy machine: five times what the docs promise. A deep copy of an env takes milliseconds."""
    rows = forks._world("ALFWorld", *(forks.gym.make("ALFWorld-Hindsight-v0", data="embedded").unwrapped,) * 2, 30, 0)
    (both,) = (float(row.value.split()[0]) for row in rows if row.what == "  both: median")
    assert both < 250
