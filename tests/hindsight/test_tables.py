"""Rollouts as rows, as a DataFrame and as a Hugging Face dataset."""

from __future__ import annotations

import csv
import io
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.errors import MissingExtraError, UnknownNameError, UsageError
from agentgym_hindsight.hindsight import Step, Trajectory, read_jsonl, to_dataframe, to_rows, write_jsonl
from agentgym_hindsight.installation import pip_command
from tests.hindsight.rollouts import GROUP, LOSER, WINNER

ODD = Trajectory(
    "\ud800",
    seed=3,
    steps=(
        Step(0, "\ud800", "a", "b", "c", ("\udfff",), action_span=(0, 1), extra={"note": float("nan"), "pair": (1, 2)}),
    ),
    extra={"epoch": 2},
)


def test_one_row_for_each_step() -> None:
    rows = to_rows(GROUP)
    assert len(rows) == sum(map(len, GROUP))
    assert len({tuple(row) for row in rows}) == 1, "all rows have the same keys in one order"
    first, step = rows[0], WINNER.steps[0]
    for name in ("index", "observation", "action", "feedback", "reward", "score", "action_valid", "anchor"):
        assert first[name] == getattr(step, name)
    assert first["admissible_actions"] == list(step.admissible_actions)
    assert (first["task_id"], first["won"]) == (WINNER.task_id, True)
    assert set(Step.__dataclass_fields__) <= first.keys()
    assert to_rows(WINNER) == to_rows([WINNER]) == rows[: len(WINNER)]
    assert to_rows([]) == to_rows(Trajectory("1f")) == []


def test_one_row_for_each_trajectory() -> None:
    rows = to_rows(GROUP, per="trajectory")
    assert [row["outcome"] for row in rows] == ["won", "lost", "won"]
    assert [row["steps"] for row in rows] == [len(trajectory) for trajectory in GROUP]
    assert [row["total_reward"] for row in rows] == [trajectory.total_reward for trajectory in GROUP]
    assert set(Trajectory.__dataclass_fields__) <= rows[0].keys()
    assert len({tuple(row) for row in [*rows, *to_rows(ODD, per="trajectory")]}) == 1


def test_rows_hold_only_what_a_table_can_hold() -> None:
    (row,) = to_rows(ODD)
    assert (row["task_id"], row["observation"], row["admissible_actions"]) == ("\\ud800", "\\ud800", ["\\udfff"])
    assert row["extra"] == '{"note": null, "pair": [1, 2]}'
    assert row["action_span"] == [0, 1]
    assert to_rows(ODD, "trajectory")[0]["extra"] == '{"epoch": 2}'
    file = io.StringIO()
    writer = csv.DictWriter(file, row)
    writer.writeheader()
    writer.writerow(row)
    assert file.getvalue().encode("utf-8")


def test_a_file_of_rollouts_becomes_rows(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", GROUP)
    assert to_rows(read_jsonl(tmp_path / "a.jsonl")) == to_rows(GROUP)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'step'"):
        to_rows(WINNER, per="steps")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="got str; try read_jsonl"):
        to_rows("rollouts.jsonl")  # type: ignore[arg-type]


def test_a_dataframe() -> None:
    pytest.importorskip("pandas", reason="needs the extra [train]")
    frame: Any = to_dataframe(GROUP)
    assert len(frame) == len(to_rows(GROUP))
    assert frame["reward"].sum() == sum(trajectory.total_reward for trajectory in GROUP)
    assert frame["won"].dtype == bool
    per_trajectory: Any = to_dataframe([WINNER, LOSER, ODD], per="trajectory")
    assert list(per_trajectory["outcome"]) == ["won", "lost", "lost"]
    assert len(to_dataframe([])) == 0


def test_without_pandas_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=re.escape(pip_command("train"))):
        to_dataframe(GROUP)


def test_a_hugging_face_dataset() -> None:
    datasets = pytest.importorskip("datasets", reason="needs the extra [train]")
    rows = to_rows([*GROUP, ODD])
    dataset = datasets.Dataset.from_list(rows)
    assert len(dataset) == len(rows)
    assert dataset[0]["action"] == WINNER.steps[0].action
    assert dataset[-1]["task_id"] == "\\ud800"
    assert dataset.features["reward"].dtype == "float64"
    assert len(dataset.filter(lambda row: row["won"], load_from_cache_file=False)) < len(rows)
    assert datasets.Dataset.from_list(to_rows(GROUP, "trajectory"))["outcome"][:] == ["won", "lost", "won"]
