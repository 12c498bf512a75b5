"""Grouping of runs into lines, and the main results of the lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentgym_hindsight.baselines.report.headline import headline
from agentgym_hindsight.baselines.report.line_names import line_names
from agentgym_hindsight.baselines.report.lines import Line, evaluated, group_runs, kinds_of
from agentgym_hindsight.baselines.report.result_tables import cells
from agentgym_hindsight.baselines.report.runs import read_runs
from agentgym_hindsight.baselines.report.series import evaluation_traces, metric_traces
from agentgym_hindsight.baselines.report.statistics import t_interval
from tests.baselines.report.faked import evaluation, fake_run, measured, write_lines


def lines_of(*folders: Path) -> tuple[Line, ...]:
    return group_runs(read_runs(folders)[0])


def test_seeds_form_one_line_and_other_settings_another(runs: Path) -> None:
    lines = lines_of(runs)
    assert {line.name: [run.seed for run in line.runs] for line in lines} == {
        "grpo": ["0", "1", "2"],
        "serl": ["0", "1", "2"],
        "serl · clip=0.8": ["0"],
    }
    assert [line.colour for line in lines] == [0, 1, 2]


def test_colours_do_not_depend_on_the_folders(runs: Path) -> None:
    one, other = lines_of(runs), lines_of(runs / "wide", runs / "deeper", *sorted(runs.glob("serl-*"))[::-1])
    assert [(line.name, line.colour) for line in one] == [(line.name, line.colour) for line in other]


def test_backends_and_models_form_separate_lines(tmp_path: Path) -> None:
    fake_run(tmp_path / "a", updates=1)
    fake_run(tmp_path / "b", updates=1, seed=1, backend="genuine/official")
    fake_run(tmp_path / "c", updates=1, seed=1, model="other")
    names = [line.name for line in lines_of(tmp_path)]
    assert len(names) == len(set(names)) == 3
    assert any("backend=genuine/official" in name for name in names)


def test_lines_with_little_in_common_are_named_by_their_folders(tmp_path: Path) -> None:
    for place, name in enumerate(("serl-wide-seed0", "narrow", "deep/run", "other/run", "again/serl-wide-seed0")):
        settings = {f"setting {key}": f"value {key} of {place}" for key in range(20)}
        fake_run(tmp_path / name, "serl", updates=1, settings=settings)
    fake_run(tmp_path / "grpo", "grpo", updates=1, settings={"x": 1})
    names = [line.name for line in lines_of(tmp_path)]
    assert len(set(names)) == len(names) == 6
    assert max(map(len, names)) <= 60
    assert "grpo" in names
    assert "serl · narrow" in names
    assert {"serl · deep/run", "serl · other/run"} <= set(names)
    assert {name for name in names if "wide" in name} == {
        f"serl · {tmp_path.name}/serl-wide-seed0", "serl · again/serl-wide-seed0"
    }  # fmt: skip


def test_one_long_setting_is_no_name(tmp_path: Path) -> None:
    for name in ("a", "b"):
        fake_run(tmp_path / name, "serl", updates=1, settings={"prompt": name + " long\x1b text" * 50})
    names = [line.name for line in lines_of(tmp_path)]
    assert [name[:24] for name in names] == [r"serl · prompt=a long\x1b", r"serl · prompt=b long\x1b"]
    assert all(len(name) <= 60 and name.endswith("…") for name in names)


def test_folders_of_one_name_are_numbered() -> None:
    traits = [{"recipe": "serl", **{str(key): key + place for key in range(9)}} for place in range(3)]
    names = line_names(traits, [Path("/a/b/run"), Path("/c/b/run"), Path("/c/other")], ["0"] * 3)
    assert names == ["serl · a/b/run", "serl · c/b/run", "serl · other"]
    names = line_names(traits, [Path("/x/y/run")] * 3, ["0"] * 3)
    assert [name.partition(" (")[2] for name in names] == ["", "2)", "3)"]
    assert len(set(names)) == 3


def test_main_result_over_seeds_computed_by_hand(tmp_path: Path) -> None:
    ends = (0.5, 0.6, 0.7)
    for seed, end in enumerate(ends):
        folder = fake_run(tmp_path / str(seed), seed=seed, updates=2)
        write_lines(folder / "eval.jsonl", [measured(0, 0, 0.2), measured(2, 900, end), measured(1, 400, 0.9)])
    (row,) = headline(lines_of(tmp_path))
    won = [evaluation(end)["micro"]["won"] / 140 for end in ends]
    middle, half = t_interval(won)
    assert row.after is not None
    assert row.after.success.value == pytest.approx(middle)
    assert row.after.success.low == pytest.approx(middle - half)
    assert (row.after.games, row.after.seeds, row.after.updates) == (140, 3, (2, 2))
    assert row.before is not None
    assert row.before.success.low == pytest.approx(row.before.success.value)
    assert row.change is not None
    assert row.change.value == pytest.approx(middle - row.before.success.value)
    assert cells(row)[7] == "140 × 3"


def test_main_result_without_the_first_or_the_last_evaluation(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "a", updates=2)
    write_lines(folder / "eval.jsonl", [measured(2, 5, 0.5)])
    (row,) = headline(lines_of(folder))
    assert row.before is None
    assert row.change is None
    assert cells(row)[:3] == ("–", "50.0% [41.8, 58.2]", "–")
    write_lines(folder / "eval.jsonl", [measured(0, 0, 0.5)])
    (row,) = headline(lines_of(folder))
    assert row.after is None
    assert cells(row)[0].startswith("50.0%")
    (folder / "eval.jsonl").unlink()
    (row,) = headline(lines_of(folder))
    assert row.label == "not evaluated"
    assert set(cells(row)[:9]) == {"–"}


def test_labels_and_splits_have_separate_rows_and_greedy_comes_first(runs: Path, tmp_path: Path) -> None:
    rows = headline(lines_of(runs))
    assert [(row.label, row.line.name) for row in rows][:4] == [
        ("greedy", "grpo"),
        ("greedy", "serl"),
        ("greedy", "serl · clip=0.8"),
        ("T=0.4", "grpo"),
    ]
    folder = fake_run(tmp_path / "a", updates=1)
    write_lines(folder / "eval.jsonl", [measured(0, 0, 0.5), measured(0, 0, 0.3, split="valid_seen")])
    assert [row.split for row in headline(lines_of(folder))] == ["valid_seen", "valid_unseen"]


def test_evaluations_with_several_seeds_are_pooled(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "a", updates=1)
    write_lines(folder / "eval.jsonl", [measured(0, 0, 0.5, seed=1), measured(0, 0, 0.3, seed=2)])
    (line,) = lines_of(folder)
    ((_, _, result),) = evaluated(line.first, kinds_of(line.runs)[0])
    halves = [evaluation(share) for share in (0.5, 0.3)]
    assert result.micro.rollouts == 280
    assert result.micro.won == sum(half["micro"]["won"] for half in halves)
    turns = [half["micro"]["turns"] for half in halves]
    invalid = [half["micro"]["invalid"] for half in halves]
    assert result.micro.turns == pytest.approx(sum(turns) / 2)
    assert result.micro.invalid == pytest.approx(sum(map(float.__mul__, turns, invalid)) / sum(turns))
    assert [row.rollouts for row in result.categories] == [70] * 4


def test_curves_match_seeds_by_update(tmp_path: Path) -> None:
    for seed, (losses, turns) in enumerate((((1.0, 2.0), (100, 200)), ((3.0,), (140,)))):
        folder = fake_run(tmp_path / str(seed), seed=seed, updates=1)
        rows = zip(losses, turns, strict=True)
        write_lines(folder / "metrics.jsonl", [{"update": k, "turns": t, "loss": v} for k, (v, t) in enumerate(rows)])
    (trace,) = metric_traces(lines_of(tmp_path), "loss", "turns")
    first, second = trace.points
    assert (first.x, first.y.value, first.seeds) == (120.0, 2.0, 2)
    assert first.y.low == pytest.approx(2.0 - 12.706205, abs=1e-5)
    assert (second.x, second.y.value, second.y.low, second.seeds) == (200.0, 2.0, None, 1)
    assert metric_traces(lines_of(tmp_path), "gap", "turns") == []
    (evaluations,) = evaluation_traces(lines_of(tmp_path), ("valid_unseen", "greedy"), "update")
    assert evaluations.points[0].x == 0.0
