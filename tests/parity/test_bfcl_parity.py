"""Comparison with recordings of the genuine executor and checkers of bfcl-eval."""

from __future__ import annotations

import json
import lzma
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.cli import main
from agentgym_hindsight.envs.bfcl.official.parity import ParityReport, check_recordings, read_recordings
from agentgym_hindsight.envs.bfcl.official.rows import CATEGORIES
from tests.bfcl_packages import V3, V4, library, package


@pytest.fixture
def recordings(shared: Path) -> Path:
    folder = shared / "data" / "bfcl"
    if not (folder / f"recordings_base_{V4}.jsonl.xz").is_file():
        pytest.skip(f"no recordings of BFCL: {folder} is not there (set AGENTGYM_HINDSIGHT_SHARED)")
    return folder


@pytest.fixture
def same_python() -> None:
    if sys.version_info[:2] != (3, 11):
        pytest.skip("the recordings have the texts of Python 3.11's errors")


def written(folder: Path, episodes: list[dict[str, Any]]) -> Path:
    path = folder / "recording.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in episodes), encoding="utf-8")
    return path


def recorded(folder: Path, category: str, version: str, step: int) -> list[dict[str, Any]]:
    return list(islice(read_recordings(folder / f"recordings_{category}_{version}.jsonl.xz"), 0, None, step))


@pytest.mark.usefixtures("same_python")
@pytest.mark.parametrize("version", [V4, V3])
def test_a_sample_of_the_recordings(recordings: Path, version: str, tmp_path: Path) -> None:
    report = ParityReport()
    for category in CATEGORIES:
        path = written(tmp_path, recorded(recordings, category, version, 59))
        for _ in check_recordings(library, [path], report):
            pass
    assert report.shown == []
    assert report.calls > 400
    assert report.results > 30
    assert report.verdicts > 90


@pytest.mark.slow
@pytest.mark.usefixtures("same_python")
@pytest.mark.parametrize(("version", "calls"), [(V4, 36_580), (V3, 37_251)])
def test_all_recordings(recordings: Path, version: str, calls: int, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(recordings / f"recordings_{category}_{version}.jsonl.xz") for category in CATEGORIES]
    assert main(["parity", "bfcl", "--data", str(package(version).folder), "--recordings", *files]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"differences: 0 of {calls} calls"


def test_differences_are_found(recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fuzz = next(each for each in read_recordings(recordings / f"recordings_base_{V4}.jsonl.xz") if "turns" in each)
    first, *rest = fuzz["turns"]
    wrong = [[{**first[0], "result": "None of this"}, *first[1:]], *rest]
    verdict = fuzz["verdict"]
    changed = {**verdict, "multi_turn_checker": {"valid": False, "error_type": "x", "error_message": "y"}}
    episodes = [
        {**fuzz, "turns": wrong},
        {**fuzz, "verdict": {**verdict, "valid": not verdict["valid"]}},
        {**fuzz, "verdict": changed},
        {**fuzz, "verdict": {**verdict, "irrelevance_checker": {"valid": None}}},
    ]
    path = written(tmp_path, episodes)
    assert main(["parity", "bfcl", "--data", str(package().folder), "--recordings", str(path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    calls = sum(map(len, fuzz["turns"]))
    assert lines[-1] == f"differences: 4 of {4 * calls} calls"
    assert lines[-3] == f"played with bfcl-eval {V4}, v4 files"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}\n",
        b"not json\n",
        b"[1]\n",
        b'{"turns": [], "version": "2026.3.23"}\n',
        b'{"turns": [], "version": "2026.3.23", "entry_id": "multi_turn_base_0"}\n',
        b'{"turns": [[1], [], [], []], "version": "2026.3.23", "entry_id": "multi_turn_base_0"}\n',
        b'{"turns": [[{"call": "ls()"}], [], [], []], "version": "2026.3.23", "entry_id": "multi_turn_base_0"}\n',
        b'{"turns": [], "version": "1", "entry_id": "multi_turn_base_0"}\n',
    ],
)
def test_damaged_recordings_are_refused_or_empty(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "recording.jsonl.xz"
    path.write_bytes(lzma.compress(content))
    code = main(["parity", "bfcl", "--data", str(package().folder), "--recordings", str(path)])
    if content:
        assert code != 0
        assert "Expected" in capsys.readouterr().err
    else:
        assert code == 0
        assert capsys.readouterr().out.splitlines()[-1] == "differences: 0 of 0 calls"
