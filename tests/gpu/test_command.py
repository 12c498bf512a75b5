"""``agh bench gpu`` and ``make gpu``: options, what is printed and saved, and the status."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("trl", reason="needs the extra [train]")

import torch

from agentgym_hindsight.cli import main
from agentgym_hindsight.cli.bench.gpu import command
from agentgym_hindsight.cli.bench.gpu.command import rows_of
from agentgym_hindsight.cli.bench.gpu.parts import PARTS, Part
from agentgym_hindsight.cli.bench.gpu.records import Record, read_records, write_records

MACHINE = {"device": "a GPU, 139 GiB", "torch": "2.9.1"}


class FakeSession:
    """Gives a record for each part, and fails in those of ``failing``."""

    failing: tuple[str, ...] = ()
    made: list[dict[str, Any]] = []  # noqa: RUF012
    seen: list[str] = []  # noqa: RUF012

    def __init__(self, **options: Any) -> None:
        self.made.append(options)

    def run(self, part: Part) -> list[Record]:
        self.seen.append(part.name)
        records = [Record(part.name, "7B, LoRA", machine=MACHINE, figures={"tokens": 12345, "ratio": 1.23456})]
        if part.name in self.failing:
            return [*records, Record(part.name, "7B, full", machine=MACHINE, error="KeyError: 'x'")]
        return [*records, Record(part.name, "7B, full", machine=MACHINE, skipped="out of memory: 200 GiB")]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeSession]:
    monkeypatch.setattr(command, "Session", FakeSession)
    monkeypatch.setattr(FakeSession, "made", [])
    monkeypatch.setattr(FakeSession, "seen", [])
    return FakeSession


def test_all_parts_by_default(fake: type[FakeSession], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "gpu.jsonl"
    assert main(["bench", "gpu", "--dry-run", "--seed", "4", "--out", str(out)]) == 0
    assert fake.seen == list(PARTS)
    (options,) = fake.made
    assert (options["seed"], options["dry"], options["out"], options["fresh"]) == (4, True, str(out), False)
    printed = capsys.readouterr().out
    for part in PARTS.values():
        assert f"{part.name}: {part.about}" in " ".join(printed.split())
    assert "7B, LoRA: tokens" in printed
    assert "12,345" in printed
    assert "not measured: out of memory: 200 GiB" in printed
    assert "a GPU, 139 GiB, torch 2.9.1" in printed


def test_chosen_parts_once_and_the_status_of_a_failure(
    fake: type[FakeSession], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fake, "failing", ("losses",))
    words = ["bench", "gpu", "--dry-run", "--json"]
    assert main([*words, "--part", "padding", "--part", "Losses", "--part", "padding"]) == 1
    assert fake.seen == ["padding", "losses"]
    printed = json.loads(capsys.readouterr().out)
    assert printed["name"] == "gpu"
    assert printed["command"] == "agh bench gpu --part padding --part losses --dry-run"
    assert printed["machine"] == "a GPU, 139 GiB, torch 2.9.1"
    assert {"name": "losses: 7B, full", "value": "failed: KeyError: 'x'"} in printed["figures"]
    assert {"name": "padding: 7B, LoRA: ratio", "value": "1.235"} in printed["figures"]


def test_without_a_gpu_only_the_dry_run(
    fake: type[FakeSession], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["bench", "gpu"]) == 2
    assert "try --dry-run" in capsys.readouterr().err
    assert not fake.seen
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert main(["bench", "gpu", "--part", "step"]) == 0
    assert fake.seen == ["step"]


def test_an_unknown_part_is_refused(fake: type[FakeSession], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "gpu", "--dry-run", "--part", "steps"]) == 2
    assert "step" in capsys.readouterr().err


def test_a_file_of_another_kind_is_kept(
    fake: type[FakeSession], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "notes.txt"
    out.write_text("my notes\n", encoding="utf-8")
    words = ["bench", "gpu", "--dry-run", "--out", str(out)]
    assert main(words) == 2
    assert "--fresh" in capsys.readouterr().err
    assert out.read_text(encoding="utf-8") == "my notes\n"
    assert not fake.seen
    write_records(out, [Record("step", "one", figures={"a": 1})])
    assert main(words) == 0


def test_figures_as_text() -> None:
    figures = {"count": 7, "large": 123456.7, "small": 0.00001234, "words": "nan"}
    assert rows_of([Record("step", "0.5B", figures=figures), Record("tiny", "", error="status 1")]) == [
        ("step: 0.5B: count", "7"),
        ("step: 0.5B: large", "123,457"),
        ("step: 0.5B: small", "1.234e-05"),
        ("step: 0.5B: words", "nan"),
        ("tiny", "failed: status 1"),
    ]


@pytest.mark.slow
def test_make_gpu(tmp_path: Path) -> None:
    """The whole target at tiny shapes, with the interpreter that is there."""
    out = tmp_path / "gpu.jsonl"
    ran = subprocess.run(
        ["make", "--no-print-directory", "gpu", f"PYTHON={sys.executable}", "DRY=1", "PARTS=padding", f"GPU_OUT={out}"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    assert "torch" in ran.stdout
    assert "deselected" in ran.stdout
    assert "student, 8 rows as played: padding" in ran.stdout
    assert {record.case for record in read_records(out)} == {
        "rows",
        "rows of the tiny preset",
        "dry, updates with token_budget=4096",
    }
