"""Each sign of collapse, and runs without any."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.baselines.report.collapse import collapse_warnings
from agentgym_hindsight.baselines.report.lines import group_runs
from agentgym_hindsight.baselines.report.runs import read_runs
from tests.baselines.report.faked import fake_run, measured, write_lines


def warnings_of(folder: Path, metrics: list[dict[str, Any]], evaluations: list[dict[str, Any]]) -> dict[str, str]:
    write_lines(folder / "metrics.jsonl", [{"update": k, **row} for k, row in enumerate(metrics)])
    write_lines(folder / "eval.jsonl", evaluations)
    (line,) = group_runs(read_runs([folder])[0])
    return {warning.sign: str(warning) for warning in collapse_warnings(line)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fake_run(tmp_path / "run", updates=1)


def repeated(key: str, *values: float) -> list[dict[str, Any]]:
    return [{key: value} for value in values]


@pytest.mark.parametrize(
    ("sign", "metrics", "figure"),
    [
        ("groups", repeated("groups_without_variance", 0.1, *[0.7] * 5), "70%"),
        ("entropy", repeated("entropy", 1.0, 0.5, 0.09), "from 1 to 0.09"),
        ("entropy", repeated("entropy", 0.1, 0.015), "0.015"),
        ("repetition", repeated("repetition", 0.1, *[0.6] * 5), "60%"),
        ("invalid", repeated("invalid", *[0.35] * 5), "35%"),
        ("context", [{"lambda": 0.5, "context_available": 0.25}] * 3, "25%"),
        ("success", repeated("success", *[0.6] * 5, *[0.4] * 5), "20 points below its best of 60.0%"),
    ],
)
def test_each_sign_is_one_sentence_with_its_figure(
    folder: Path, sign: str, metrics: list[dict[str, Any]], figure: str
) -> None:
    result = warnings_of(folder, metrics, [])
    assert set(result) == {sign}
    assert result[sign].startswith("serl, seed 0: ")
    assert figure in result[sign]
    assert result[sign].endswith(".")


WRITTEN = {"settings": {"method": {"who": "ema:0.001", "hint-sd.analyser": "teacher"}}}


@pytest.mark.parametrize(
    ("description", "metrics", "wanted"),
    [
        (WRITTEN, [{"lambda": 1, "context_available": 0.1}] * 3, {"teacher": "after 3 updates, 100% of the initial"}),
        (WRITTEN, [{"lambda": 1, "context_available": 0.1}] * 700, {}),
        (WRITTEN, [{"lambda": 0, "context_available": 0.0}] * 3, {}),
        (
            {"settings": {"method": {"who": "current", "analyser": "policy"}}},
            [{"lambda": 1, "context_available": value} for value in (0.0, 0.1, 0.0)],
            {"targets": "2 of 3 updates had no context"},
        ),
        ({"settings": {"method": {"who": "ema:x"}}}, [{"lambda": 1, "context_available": 0.9}], {}),
        ({}, [{"context_cut": 0.3}] * 3, {"cut": "30% of the teacher's prompts"}),
        ({}, [{"context_cut": 0.09}] * 3, {}),
    ],
)
def test_signs_of_a_teacher_without_effect(
    tmp_path: Path, description: dict[str, Any], metrics: list[dict[str, Any]], wanted: dict[str, str]
) -> None:
    result = warnings_of(fake_run(tmp_path / "run", updates=1, **description), metrics, [])
    assert result.keys() == wanted.keys()
    assert all(text in result[sign] for sign, text in wanted.items())


@pytest.mark.parametrize(
    "metrics",
    [
        repeated("groups_without_variance", *[0.9] * 5, *[0.6] * 5),
        repeated("entropy", 1.0, 0.01, 0.11),
        repeated("repetition", 0.9, *[0.5] * 5),
        repeated("invalid", *[0.2] * 4, 0.6),
        [{"lambda": 0.0, "context_available": 0.0}] * 3,
        [{"context_available": 0.0}] * 3,
        repeated("success", *[0.6] * 5, *[0.5] * 5),
        repeated("success", 0.9, 0.1),
    ],
)
def test_runs_without_a_sign(folder: Path, metrics: list[dict[str, Any]]) -> None:
    assert warnings_of(folder, metrics, []) == {}


def test_success_far_below_the_best_evaluation(folder: Path) -> None:
    rows = [measured(0, 0, 0.2), measured(10, 1, 0.7), measured(20, 2, 0.55)]
    result = warnings_of(folder, [], rows)
    assert "15 points below its best of 70.0% after 10 updates (140 games)" in result["success"]
    assert "greedy valid_unseen" in result["success"]
    assert warnings_of(folder, repeated("success", *[0.6] * 5, *[0.4] * 5), rows[:2]) == {}


def test_a_healthy_run_has_no_warning(tmp_path: Path) -> None:
    (line,) = group_runs(read_runs([fake_run(tmp_path / "run")])[0])
    assert collapse_warnings(line) == ()
