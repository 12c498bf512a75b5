"""``agh eval --siblings K``: the table, the records, JSON, and rollouts that are used again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.baselines.evaluation.at_k import at_k
from agentgym_hindsight.cli import main
from agentgym_hindsight.hindsight.jsonl import read_jsonl

CORRIDOR = "--env tests.wrappers.stack:WrappedCorridor-v0 --split valid --set max_steps=9 --policy random"
Capture = pytest.CaptureFixture[str]


def agh_eval(words: str, out: Path, *more: str) -> None:
    assert main(["eval", *words.split(), *more, "--out", str(out)]) == 0


def rows_of(text: str) -> dict[str, list[str]]:
    cells = ([cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if line.startswith("│"))
    return {first: rest for first, *rest in cells}


def wins(file: Path) -> dict[str, list[bool]]:
    found: dict[str, list[bool]] = {}
    for trajectory in read_jsonl(file).trajectories:
        found.setdefault(trajectory.task_id, []).append(trajectory.won)
    return found


def test_the_table_and_the_record(tmp_path: Path, capsys: Capture) -> None:
    agh_eval(f"{CORRIDOR} --siblings 4", tmp_path)
    printed = capsys.readouterr().out
    expected = at_k(wins(tmp_path / "rollouts-random-seed0.jsonl"), 4)
    assert 0 < expected.average.value < 1
    rows = rows_of(printed)
    for name, share in (("Avg@4", "average"), ("Best@4 (pass@4)", "best"), ("All@4 (pass^4)", "all")):
        value, low, high = getattr(expected, share)
        assert rows[name] == [f"{value:.1%}  [{low:.1%}, {high:.1%}]"]
    value, low, high = expected.average
    assert rows["all (micro)"] == [f"{value:.1%}  [{low:.1%}, {high:.1%}]  n={expected.tasks}×4"]
    assert ", 4 siblings)" in printed
    (line,) = (json.loads(text) for text in (tmp_path / "eval.jsonl").read_text().splitlines())
    assert line["at_k"] == json.loads(json.dumps(expected.as_dict()))
    assert line["evaluation"]["micro"]["rollouts"] == 4 * expected.tasks


def test_json_over_several_seeds(tmp_path: Path, capsys: Capture) -> None:
    agh_eval(f"{CORRIDOR} --siblings 3 --seeds 2 --json", tmp_path)
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert document["siblings"] == 3
    files = [tmp_path / f"rollouts-random-seed{seed}.jsonl" for seed in (0, 1)]
    both = {task: won + wins(files[1])[task] for task, won in wins(files[0]).items()}
    (column,) = document["policies"]
    assert column["at_k"] == json.loads(json.dumps(at_k(both, 3).as_dict()))
    assert column["at_k"]["rollouts_per_task"] == 6


def test_without_siblings_nothing_is_added(tmp_path: Path, capsys: Capture) -> None:
    agh_eval(CORRIDOR, tmp_path)
    assert "Avg@" not in capsys.readouterr().out
    assert "at_k" not in (tmp_path / "eval.jsonl").read_text()
    agh_eval(CORRIDOR, tmp_path, "--json")
    document = json.loads(capsys.readouterr().out)
    assert document["siblings"] == 1
    assert document["policies"][0]["at_k"] is None


def test_more_or_fewer_siblings_use_the_rollouts_that_are_there(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "rollouts-random-seed0.jsonl"
    agh_eval(CORRIDOR, tmp_path)
    single, first = file.read_bytes(), capsys.readouterr().out
    agh_eval(f"{CORRIDOR} --siblings 3", tmp_path)
    three = file.read_bytes()
    assert three.startswith(single)
    assert len(three.splitlines()) == 3 * len(single.splitlines())
    capsys.readouterr()
    agh_eval(CORRIDOR, tmp_path)
    assert file.read_bytes() == three
    assert capsys.readouterr().out == first, "one rollout of each task counts"


def test_records_of_other_numbers_of_siblings_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "eval.jsonl"
    for siblings in (1, 3, 2, 1, 3):
        agh_eval(f"{CORRIDOR} --siblings {siblings}", tmp_path)
    lines = [json.loads(text) for text in file.read_text().splitlines()]
    assert [line.get("at_k", {"k": 1})["k"] for line in lines] == [2, 1, 3], "a repetition replaces its own line"
    tasks = lines[1]["evaluation"]["micro"]["rollouts"]
    assert [line["evaluation"]["micro"]["rollouts"] for line in lines] == [2 * tasks, tasks, 3 * tasks]


@pytest.mark.parametrize("env", ["alfworld", "webshop", "appworld", "tau", "bfcl"])
def test_every_env(env: str, tmp_path: Path, capsys: Capture) -> None:
    data = "--set backend=miniature" if env == "appworld" else "--set data=embedded"
    agh_eval(f"--env {env} {data} --tasks 2 --policy expert --siblings 2", tmp_path)
    assert rows_of(capsys.readouterr().out)["Best@2 (pass@2)"] == ["100.0%  [34.2%, 100.0%]"]


def test_a_wrong_number_is_refused(tmp_path: Path, capsys: Capture) -> None:
    assert main(["eval", *CORRIDOR.split(), "--siblings", "0", "--out", str(tmp_path)]) == 2
    assert "--siblings" in capsys.readouterr().err
