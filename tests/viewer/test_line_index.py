"""The index of a file of rollouts: it grows with the file, waits for incomplete lines, and is rebuilt when needed."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from agentgym_hindsight.hindsight import write_jsonl
from agentgym_hindsight.hindsight.codec import dump_trajectory
from agentgym_hindsight.viewer.line_index import LineIndex
from tests.viewer.rollout_files import lost, won


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_jsonl(tmp_path / "a.jsonl", [won(), lost()])
    return tmp_path / "a.jsonl"


def outcomes(index: LineIndex) -> list[str]:
    assert index.refresh()
    return [outcome for (outcome,) in index.rows("SELECT outcome FROM rollout ORDER BY line")]


def test_it_reads_each_line_once_and_is_kept_beside_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = LineIndex(file)
    assert outcomes(index) == ["won", "truncated"]
    assert Path(index.location).parent == file.parent
    index.close()
    monkeypatch.setattr("agentgym_hindsight.viewer.line_index.summary_of", None)  # a call would raise
    again = LineIndex(file)
    assert outcomes(again) == ["won", "truncated"]
    assert again.line(2) == file.read_bytes().splitlines(keepends=True)[1]
    assert again.line(3) is None


def test_an_incomplete_last_line_is_waited_for(file: Path) -> None:
    index = LineIndex(file)
    line = dump_trajectory(won(2)).encode()
    with file.open("ab") as opened:
        opened.write(line[:100])
        opened.flush()
        assert outcomes(index) == ["won", "truncated"]
        assert index.rows("SELECT * FROM problem") == []
        opened.write(line[100:])  # whole, but its newline is missing
        opened.flush()
        assert outcomes(index) == ["won", "truncated", "won"]
        opened.write(b"\n" + dump_trajectory(lost(3)).encode() + b"\n")
    assert outcomes(index) == ["won", "truncated", "won", "truncated"]
    assert [line for (line,) in index.rows("SELECT line FROM rollout ORDER BY line")] == [1, 2, 3, 4]
    assert index.line(4) == file.read_bytes().splitlines(keepends=True)[3]


@pytest.mark.parametrize("change", ["shorter", "rewritten", "same size"])
def test_a_file_that_changed_otherwise_is_indexed_again(file: Path, change: str) -> None:
    index = LineIndex(file)
    assert outcomes(index) == ["won", "truncated"]
    if change == "shorter":
        write_jsonl(file, [lost()])
    elif change == "rewritten":
        write_jsonl(file, [lost(), lost(2), lost(3)])
    else:
        data = file.read_bytes()
        file.write_bytes(data.replace(b'"truncated":true', b'"truncated":null').replace(b"null", b"0   "))
        assert len(file.read_bytes()) == len(data)
        os.utime(file, ns=(1, 1))
    assert outcomes(index) == {"shorter": ["truncated"], "rewritten": ["truncated"] * 3}.get(change, ["won", "lost"])
    assert index.rows("SELECT count(*) FROM turn")[0][0] == 2 * len(outcomes(index))


def test_damaged_lines_are_problems_with_their_number(file: Path) -> None:
    with file.open("ab") as opened:
        opened.write(b"nonsense\n[1]\n\n" + b'{"steps": 3}\n' + b"[" * 100_000 + b"\n" + b"\xff\xfe\n")
    index = LineIndex(file)
    assert outcomes(index) == ["won", "truncated"]
    problems = dict(index.rows("SELECT line, cause FROM problem"))
    assert problems == {
        3: "not JSON", 4: "a list, not an object", 6: "'steps' is not a list of steps", 7: problems[7], 8: "not JSON",
    }  # fmt: skip
    assert problems[7] in ("not JSON", "nested too deeply")


def test_in_a_folder_that_cannot_be_written_it_is_kept_in_the_cache(
    file: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("AGENTGYM_HINDSIGHT_CACHE", str(cache))
    # Not by the mode of the folder: root may write everywhere.
    (file.parent / ".a.jsonl.agh-index").mkdir()
    index = LineIndex(file)
    assert outcomes(index) == ["won", "truncated"]
    assert Path(index.location).is_relative_to(cache)


def test_a_damaged_index_is_built_again_and_a_foreign_file_is_kept(file: Path) -> None:
    index = LineIndex(file)
    assert index.refresh()
    place = Path(index.location)
    index.close()
    data = place.read_bytes()
    place.write_bytes(data[:200] + b"\xff" * (len(data) - 200))
    index = LineIndex(file)
    assert outcomes(index) == ["won", "truncated"]
    assert index.location == str(place)
    index.close()
    place.write_text("my notes")
    index = LineIndex(file)
    assert outcomes(index) == ["won", "truncated"]
    assert index.location != str(place)
    assert place.read_text() == "my notes"


def test_two_viewers_of_one_file(file: Path) -> None:
    first, second = LineIndex(file), LineIndex(file)
    assert outcomes(first) == outcomes(second) == ["won", "truncated"]
    write_jsonl(file, [won(2)], append=True)
    assert outcomes(second) == outcomes(first) == ["won", "truncated", "won"]
    assert stat.S_ISREG(Path(first.location).stat().st_mode)
    with sqlite3.connect(first.location) as connection:
        assert connection.execute("SELECT count(*) FROM turn").fetchone() == (6,)
