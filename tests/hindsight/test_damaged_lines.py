"""A cut line of ours is told from a line of another program."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentgym_hindsight.hindsight.damaged_lines import first_foreign_line, is_cut_line
from agentgym_hindsight.hindsight.jsonl import dump_trajectory, read_jsonl, write_jsonl
from agentgym_hindsight.hindsight.trajectory import Step, Trajectory

WHOLE = dump_trajectory(Trajectory("1f", goal="find the ключ", steps=(Step(0, "a", "b", "c", "d"),))).encode()


def test_every_part_of_a_line_is_a_cut_line() -> None:
    assert all(is_cut_line(WHOLE[:length]) for length in range(1, len(WHOLE)))
    assert not is_cut_line(WHOLE)


@pytest.mark.parametrize(
    "line",
    [
        b"a note",
        b"task,score",
        b"{}",
        b'{"a": 1}',
        b'{"schema":"agentgym-hindsight/trajectory","version":9}',
        b'{"schema":"another"',
        b"[" * 100_000,
    ],
)
def test_other_lines_are_foreign(line: bytes, tmp_path: Path) -> None:
    assert not is_cut_line(line)
    path = tmp_path / "x.jsonl"
    path.write_bytes(WHOLE + b"\n" + WHOLE[:50] + b"\n" + line + b"\n")
    found = first_foreign_line(path, read_jsonl(path).problems)
    assert found is not None
    assert found.line_number == 3


def test_a_file_of_ours_has_no_foreign_line(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    write_jsonl(path, [Trajectory("1f")])
    path.write_bytes(path.read_bytes() + WHOLE[:30])
    assert first_foreign_line(path, read_jsonl(path).problems) is None
