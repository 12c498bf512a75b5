"""The same seed gives the same bytes: in one process, with four workers, in a new interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from agentgym_hindsight.cli import main

_COMMON = [
    "rollout",
    "--set",
    "data=embedded",
    "--policy",
    "expert:0.4",
    "--tasks",
    "6",
    "--siblings",
    "3",
    "--seed",
    "9",
]


def _bytes(folder: Path, name: str, *more: str) -> bytes:
    out = folder / f"{name}.jsonl"
    assert main([*_COMMON, "--out", str(out), *more]) == 0
    return out.read_bytes()


def test_the_number_of_workers_and_envs_does_not_matter(tmp_path: Path) -> None:
    expected = _bytes(tmp_path, "one")
    assert expected.count(b"\n") == 18
    assert _bytes(tmp_path, "narrow", "--num-envs", "5") == expected
    assert _bytes(tmp_path, "workers", "--workers", "4") == expected


def test_the_hash_seed_does_not_matter(tmp_path: Path) -> None:
    expected = _bytes(tmp_path, "here")
    out = tmp_path / "there.jsonl"
    subprocess.run(
        [sys.executable, "-m", "agentgym_hindsight", *_COMMON, "--out", str(out)],
        env={**os.environ, "PYTHONHASHSEED": "77"},
        check=True,
        capture_output=True,
    )
    assert out.read_bytes() == expected
