"""``agh compare``: entries, their commands, and the tables made from the files of their runs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the extra [train]")

from agentgym_hindsight.baselines.evaluation.results import CategoryResult, Evaluation
from agentgym_hindsight.baselines.run_log import RunLog
from agentgym_hindsight.cli import compare_command
from agentgym_hindsight.cli.compare_command import SETS
from agentgym_hindsight.cli.compare_tables import Entry, after_training, during_training
from agentgym_hindsight.cli.parsing import Parser
from agentgym_hindsight.errors import UnknownNameError, UsageError


def options(*words: str) -> argparse.Namespace:
    parser = Parser()
    compare_command.arguments(parser)
    return parser.parse_args(words)


def evaluation(won: int) -> dict[str, Any]:
    row = CategoryResult("all", 100, won, won / 100, 9.0, 0.1, 0)
    return Evaluation((row,), row).as_dict()


def leave_run(folder: Path, before: int, after: int, during_training: tuple[float, ...] = ()) -> None:
    """Write the files of a training run: evaluations before and after, and the metrics of its updates."""
    log = RunLog(folder)
    log.begin({"recipe": "any"})
    (folder / "policy").mkdir()
    for update, won in ((0, before), (7, after)):
        line = {"update": update, "turns": 100 * update, "label": "greedy", "evaluation": evaluation(won)}
        log.evaluation(line)
    for update, success in enumerate(during_training):
        log.metrics({"update": update, "success": success, "episode_turns": 10 - 5 * success})


def test_entries() -> None:
    entry = Entry.parse("serl:what=success+immediate,where=anchor")
    assert (entry.recipe, entry.values) == ("serl", ("what=success+immediate", "where=anchor"))
    assert set(entry.folder) <= set("abcdefghijklmnopqrstuvwxyz=+-_.")
    assert len({Entry.parse(text).folder for text in SETS["sources"]}) == len(SETS["sources"])
    with pytest.raises(UnknownNameError, match="did you mean 'serl'"):
        Entry.parse("serll")
    with pytest.raises(UsageError, match="NAME=VALUE"):
        Entry.parse("serl:next")


def test_every_entry_of_the_sets_can_be_configured() -> None:
    from agentgym_hindsight.baselines.training.configuration import configure

    for names in SETS.values():
        for entry in map(Entry.parse, names):
            settings = compare_command._settings(entry, 3, options(entry.name, "--turns", "500"))
            run = configure(entry.recipe, settings=settings)
            assert (run.plan.seed, run.plan.turns, run.method.name) == (3, 500, entry.recipe)


def test_neighbouring_jobs_have_different_seeds() -> None:
    entries = [Entry.parse("grpo"), Entry.parse("serl")]
    jobs = [(entry, seed) for seed in range(3) for entry in entries]
    mixed = compare_command._interleave_seeds(jobs, 2)
    assert sorted((entry.name, seed) for entry, seed in mixed) == sorted((entry.name, seed) for entry, seed in jobs)
    assert [seed for _, seed in mixed[:4]] == [0, 1, 0, 1]


def test_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, (grpo, serl) in enumerate(((40, 50), (42, 50), (44, 56))):
        leave_run(tmp_path / f"grpo-seed{seed}", 30 + seed, grpo)
        leave_run(tmp_path / f"serl-seed{seed}", 30 + seed, serl)
    monkeypatch.setattr(compare_command, "_make_start", lambda *_: None)
    monkeypatch.setattr(compare_command, "_train", lambda *_: "")
    page = tmp_path / "rivals.md"
    words = ("grpo", "serl", "--seeds", "3", "--jobs", "1", "--out", str(tmp_path), "--markdown", str(page))
    assert compare_command.run(options(*words)) == 0
    lines = {line.split("|")[1].strip(): line for line in page.read_text(encoding="utf-8").splitlines() if "|" in line}
    assert "31.0 ± 2.5 %" in lines["warm start"], "the warm start of a seed is counted once"
    assert "42.0 ± 5.0 %" in lines["grpo"]
    assert "+11.0 ± 2.5 %" in lines["grpo"], "minus its start: +10, +11, +12"
    # Seed by seed: +10, +8, +12; t with two degrees of freedom is 4.303, and 4.303 · 2 / √3 = 4.97.
    assert "+10.0 ± 5.0 %" in lines["serl"]
    assert f"`agh compare grpo serl --seeds 3 --turns 12000 --out {tmp_path}`" in page.read_text(encoding="utf-8")
    assert "52.0" in capsys.readouterr().out


def test_training_rollouts_are_compared_over_the_updates_that_all_entries_have(tmp_path: Path) -> None:
    for seed, later in enumerate((0.5, 0.6)):
        leave_run(tmp_path / f"grpo-seed{seed}", 30, 40, (0.2, 0.4))
        leave_run(tmp_path / f"serl-seed{seed}", 30, 50, (0.2, later, 1.0))
    table = during_training([Entry.parse("grpo"), Entry.parse("serl"), Entry.parse("rloo")], tmp_path, 3)
    # Two updates each; the third of serl is not used: 0.35 and 0.4 against 0.3. t with one degree of freedom is 12.706.
    assert list(table.rows) == [
        ["grpo", "2", "30.0 ± 0.0 %", "", "8.50 ± 0.00", ""],
        ["serl", "2", "37.5 ± 31.8 %", "+7.5 ± 31.8 %", "8.12 ± 1.59", "-0.38 ± 1.59"],
    ]
    assert table.markdown()[1] == "| --- | ---: | ---: | ---: | ---: | ---: |"


def test_an_incomplete_run_is_left_out(tmp_path: Path) -> None:
    for seed in (0, 1):
        leave_run(tmp_path / f"grpo-seed{seed}", 30, 40, (0.4,))
    (tmp_path / "grpo-seed1" / "policy").rmdir()
    entries = [Entry.parse("grpo")]
    assert [row[2] for row in after_training(entries, tmp_path, 2, "any").rows] == ["1", "1"]
    assert [row[1] for row in during_training(entries, tmp_path, 2).rows] == ["1"]


def test_an_entry_of_two_sets_is_run_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[str] = []
    monkeypatch.setattr(compare_command, "_make_start", lambda *_: None)
    monkeypatch.setattr(compare_command, "_train", lambda entry, *_: trained.append(entry.name) or "")
    page = tmp_path / "page.md"
    words = ("rivals", "sources", "serl:what=success|next", "--seeds", "1", "--jobs", "1", "--out", str(tmp_path))
    assert compare_command.run(options(*words, "--markdown", str(page))) == 0
    assert trained.count("grpo") == 1
    assert "'serl:what=success|next'" in page.read_text(encoding="utf-8"), "quoted: a shell reads | as a pipe"


def test_a_failed_run_gives_status_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_run(tmp_path / "grpo-seed0", 30, 40)
    monkeypatch.setattr(compare_command, "_make_start", lambda *_: None)
    monkeypatch.setattr(compare_command, "_train", lambda entry, *_: f"{entry.name}: exit 1")
    assert compare_command.run(options("grpo", "--seeds", "1", "--out", str(tmp_path))) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("grpo", "serl:penalty=-1"), r"method\.penalty ≥ 0"),
        (("grpo", "--set", "plan.tasks=500"), "at least 500 training tasks"),
        (("grpo", "serl", "--set", "plan.trl.report_to=nothing"), "tracker"),
        (("grpo", "serl:what=judge"), "Expected a judge"),
    ],
)
def test_settings_of_every_entry_are_checked_before_the_first_run(
    words: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> str:
        raise AssertionError("a run was started before the check")

    monkeypatch.setattr(compare_command, "_make_start", never)
    monkeypatch.setattr(compare_command, "_train", never)
    with pytest.raises(UsageError, match=message):
        compare_command.run(options(*words, "--seeds", "1", "--out", str(tmp_path / "runs")))
    assert list(tmp_path.iterdir()) == []


def test_a_log_has_one_line_per_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compare_command, "_make_start", lambda *_: None)
    monkeypatch.setattr(
        compare_command, "_train", lambda entry, *_: "" if entry.name == "grpo" else "rloo: [red]exit 1"
    )
    assert compare_command.run(options("GRPO", "rloo", "--seeds", "1", "--jobs", "1", "--out", str(tmp_path))) == 1
    lines = [line.split("] ", 1)[1] for line in capsys.readouterr().err.splitlines() if line.startswith("[")]
    assert lines == [
        "runs: 0 of 2",
        "runs: 1 of 2, grpo seed 0 done",
        "rloo: [red]exit 1",
        "runs: 2 of 2, rloo seed 0 failed",
    ]


@pytest.mark.slow  # two training processes
def test_a_whole_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    small = ["warm.tasks=2", "warm.epochs=0.5", "warm.batch=8", "plan.tasks=2", "plan.siblings=2", "evaluation.tasks=3"]
    small += ["plan.prompt_tokens=224", "plan.response_tokens=6", "evaluation.temperatures=[0]"]
    words = ["grpo", "rloo", "--seeds", "1", "--turns", "60", "--out", "runs", "--jobs", "2"]
    assert compare_command.run(options(*words, *(word for text in small for word in ("--set", text)))) == 0
    for name in ("grpo", "rloo"):
        lines = [json.loads(line) for line in Path("runs", f"{name}-seed0", "metrics.jsonl").read_text().splitlines()]
        assert lines[-1]["turns"] >= 60 > (lines[-2]["turns"] if len(lines) > 1 else 0)


@pytest.mark.parametrize("text", ["grpo:", "serl:what=next,", "serl:what"])
def test_an_entry_without_a_value_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="RECIPE:NAME=VALUE"):
        Entry.parse(text)
