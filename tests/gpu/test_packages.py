"""``make gpu`` says which packages are missing before anything starts, with the standard library only."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from agentgym_hindsight.cli.bench.gpu import packages
from agentgym_hindsight.cli.bench.gpu.packages import PACKAGES, Found, Package, in_range, report

ROOT = Path(__file__).parents[2]


def test_the_ranges_are_those_of_the_project() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    known = dict(re.findall(r'"([a-z-]+)((?:>=|<)[0-9.,<>=]+)"', text))
    assert {package.name: package.wanted for package in PACKAGES} == {each.name: known[each.name] for each in PACKAGES}


@pytest.mark.parametrize(
    ("installed", "wanted", "fits"),
    [("2.6.0+cu124", ">=2.6", True), ("2.5.1", ">=2.6", False), ("1.17", ">=1.15,<1.17", False),
     ("1.16.9.post1", ">=1.15,<1.17", True), ("0.10", ">=0.9", True), ("2.9.0a0", ">=2.6", True),
     ("dev", ">=1", False)],
)  # fmt: skip
def test_ranges(installed: str, wanted: str, fits: bool) -> None:
    assert in_range(installed, wanted) is fits


def test_a_needed_package_stops_everything() -> None:
    lines, can_start = report([Found(Package("torch", ">=2.6"), ""), Found(Package("trl", ">=1.15,<1.17"), "0.9")])
    assert not can_start
    assert lines == [
        "torch         missing: nothing works without it",
        "trl           0.9: not in >=1.15,<1.17, the range that was tested",
        "Missing: torch>=2.6. Nothing was started, and nothing is installed by this command.",
    ]


def test_other_packages_are_named_with_their_purpose() -> None:
    lines, can_start = report([Found(Package("torch", ">=2.6"), "2.9.1"), Found(Package("peft", ">=0.17", "LoRA"), "")])
    assert can_start
    assert lines == [
        "torch         2.9.1",
        "peft          missing: LoRA",
        "Missing, not needed for the rest: peft.",
    ]


def test_it_runs_where_nothing_is_installed() -> None:
    ran = subprocess.run([sys.executable, "-I", "-S", packages.__file__], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (1, "")
    assert "torch>=2.6" in ran.stdout
    assert "Nothing was started" in ran.stdout


def test_make_starts_nothing_without_packages(tmp_path: Path) -> None:
    """A Python without packages: ``make gpu`` ends before the tests and the benchmark."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    ran = subprocess.run(
        ["make", "--no-print-directory", "gpu", f"PYTHON={python}", f"GPU_OUT={tmp_path / 'gpu.jsonl'}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 2  # make's status for a command that failed
    assert "Nothing was started" in ran.stdout
    assert "pytest" not in ran.stdout.replace("pytest        missing", "")
    assert not (tmp_path / "gpu.jsonl").exists()
