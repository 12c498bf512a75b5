"""``agh report``: the table in the terminal and the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentgym_hindsight.cli import report_command
from agentgym_hindsight.cli.parsing import Parser
from agentgym_hindsight.errors import MissingDataError
from tests.baselines.report.faked import fake_run


def report(*words: str | Path) -> int:
    parser = Parser()
    report_command.arguments(parser)
    return report_command.run(parser.parse_args([str(word) for word in words]))


def test_it_prints_a_table_and_the_path_of_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(2):
        fake_run(tmp_path / "runs" / f"s{seed}", seed=seed, updates=10)
    out = tmp_path / "page.html"
    assert report(tmp_path / "runs", "--out", out, "--title", "First try") == 0
    printed = capsys.readouterr()
    assert "140 × 2" in printed.out
    assert "greedy valid_unseen" in printed.out
    assert "not the benchmark's games" in printed.out
    assert str(out) in printed.out.replace("\n", "")
    assert printed.err == ""
    assert "<title>First try</title>" in out.read_text(encoding="utf-8")


def test_markup_and_control_characters_are_harmless(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = fake_run(tmp_path / "run", "[red]serl\x1b[0m", updates=10)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write("{")
    assert report(folder, "--out", tmp_path / "r.html") == 0
    printed = capsys.readouterr()
    assert "[red]serl" in printed.out
    assert "\x1b" not in printed.out
    assert "metrics.jsonl, line 11: incomplete; skipped" in printed.err.replace("\n", "")


def test_absurd_numbers_are_named_and_the_page_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = fake_run(tmp_path / "run", updates=2)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"update": 2, "loss": 1e308, "turns": 5e-324, "own\\u001b[2J": ' + "9" * 4000 + "}\n")
    assert report(folder, "--out", tmp_path / "r.html") == 0
    named = capsys.readouterr().err.replace("\n", "")
    for text in ("'loss' is 1e+308, beyond", "'turns' is 4.94e-324, closer to 0", r"'own\x1b[2J' is infinite"):
        assert f"metrics.jsonl: {text}" in named
    assert "\x1b" not in named
    assert (tmp_path / "r.html").is_file()


def test_a_folder_without_runs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"run\.json"):
        report(tmp_path)
