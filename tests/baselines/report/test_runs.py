"""Reading the folders of complete and of killed runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentgym_hindsight.baselines.report.runs import read_run, read_runs
from agentgym_hindsight.errors import DamagedDataError, MissingDataError
from tests.baselines.report.faked import evaluation, fake_run, measured, row, write_lines


def test_a_complete_run(tmp_path: Path) -> None:
    run = read_run(fake_run(tmp_path / "run", updates=20))
    assert (run.recipe, run.seed, run.model, run.embedded) == ("serl", "0", "tiny-llama", True)
    assert [one["update"] for one in run.metrics] == list(range(20))
    assert [one.update for one in run.evaluations] == [0, 0, 10, 10, 20, 20]
    assert run.evaluations[0].evaluation.micro.rollouts == 140
    assert len(run.samples) == 4
    assert run.turns == run.metrics[-1]["turns"]
    assert not run.problems


def test_folders_are_searched_at_any_depth_and_each_run_is_read_once(runs: Path) -> None:
    result, problems = read_runs([runs, runs / "deeper" / "grpo-0", runs / "deeper" / ".." / "wide"])
    assert len(result) == 7
    assert len({run.folder.resolve() for run in result}) == 7
    assert not problems


def test_damaged_lines_are_skipped_and_reported(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", updates=10)
    with (folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('[1]\n\n{"loss": 1}\n{"update": -1}\n{"update": 10, "loss": 0.5}\n{"update": 11, "lo')
    with (folder / "eval.jsonl").open("ab") as binary:
        broken = measured(30, 9, 0.5, evaluation={"categories": [], "micro": row("all", 3, 4)})
        binary.write(b'\xff\xfe\n{"update": 20}\n' + json.dumps(broken).encode() + b"\n")
        endless = measured(
            40, 9, 0.5, evaluation={"categories": [], "micro": row("all", 3, 1) | {"score": float("nan")}}
        )
        binary.write(json.dumps(endless).encode() + b'\n{"update": 50, "evaluation": {"micro": 3}}\n')
    (folder / "samples.jsonl").write_text('{"update": 1, "steps": [3]}\n{"update": 1, "steps": "x"}\n')
    run = read_run(folder)
    assert [one["update"] for one in run.metrics] == list(range(11))
    assert run.evaluations[-1].update == 10
    assert run.samples == ()
    causes = [str(problem) for problem in run.problems]
    assert len(causes) == 11
    assert any("metrics.jsonl, line 11: a list, not an object" in cause for cause in causes)
    assert any("metrics.jsonl, line 16: incomplete" in cause for cause in causes)
    assert any("'update' is missing" in cause for cause in causes)
    assert any("'evaluation' is missing" in cause for cause in causes)
    assert any("4 won of 3 rollouts is impossible" in cause for cause in causes)
    assert any("the score of 'all' is NaN" in cause for cause in causes)
    assert any("Expected the result of Evaluation.as_dict" in cause for cause in causes)


def test_the_last_line_of_a_repeated_update_counts(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", updates=3)
    rows = [{"update": 0, "loss": 1.0}, {"update": 1, "loss": 2.0}, {"update": 1, "loss": 3.0}]
    write_lines(folder / "metrics.jsonl", rows)
    write_lines(folder / "eval.jsonl", [measured(0, 0, 0.1), measured(0, 0, 0.5)])
    run = read_run(folder)
    assert run.tail("loss") == [1.0, 3.0]
    assert [one.evaluation.micro.success for one in run.evaluations] == [evaluation(0.5)["micro"]["score"]]


def test_evaluations_with_siblings_are_others(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", updates=3)
    lines = [measured(0, 0, 0.1), measured(0, 0, 0.5, at_k={"k": 4}), measured(0, 0, 0.3, at_k={"k": 2})]
    write_lines(folder / "eval.jsonl", lines)
    assert [one.label for one in read_run(folder).evaluations] == ["greedy", "greedy, 2 siblings", "greedy, 4 siblings"]


def test_values_that_are_not_numbers_are_missing(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", updates=1)
    (folder / "metrics.jsonl").write_text(
        f'{{"update": 0, "loss": NaN}}\n{{"update": 1, "loss": true}}\n{{"update": 2, "loss": "x"}}\n'
        f'{{"update": 3, "loss": {10**400}}}\n{{"update": 4, "loss": -Infinity}}\n{{"update": 5, "loss": 2}}\n'
    )
    assert read_run(folder).tail("loss", 10) == [2.0]


def test_a_missing_run_is_explained(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="got nothing; try"):
        read_runs([tmp_path / "absent"])
    with pytest.raises(MissingDataError, match=r"got a folder without any; try"):
        read_runs([tmp_path])
    (tmp_path / "file").write_text("x")
    with pytest.raises(MissingDataError, match="got a file; try"):
        read_runs([tmp_path / "file"])


def test_an_empty_run_is_an_error_alone_and_a_problem_among_others(tmp_path: Path) -> None:
    empty = fake_run(tmp_path / "empty", updates=1)
    for name in ("metrics.jsonl", "eval.jsonl", "samples.jsonl"):
        (empty / name).unlink()
    with pytest.raises(DamagedDataError, match="neither an update nor an evaluation"):
        read_runs([empty])
    fake_run(tmp_path / "full", updates=1)
    runs, problems = read_runs([tmp_path])
    assert [run.folder.name for run in runs] == ["full"]
    assert len(problems) == 1


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"schema": "other"}', '{"schema": "agentgym-hindsight/run", "version": 2}']
)
def test_another_schema_is_refused(tmp_path: Path, text: str) -> None:
    folder = fake_run(tmp_path / "run", updates=1)
    (folder / "run.json").write_text(text)
    with pytest.raises(DamagedDataError, match=r"Expected agentgym-hindsight/run version 1 .* got .* try"):
        read_run(folder)
    fake_run(tmp_path / "good", updates=1)
    runs, problems = read_runs([tmp_path])
    assert [run.folder.name for run in runs] == ["good"]
    assert "run.json" in str(problems[0])


def test_passwords_in_old_runs_are_hidden(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run")
    path = folder / "run.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    document["settings"]["judge"] = {"base_url": "https://me:s3cret@host/v1"}
    path.write_text(json.dumps(document), encoding="utf-8")
    assert read_run(folder).settings["judge"] == {"base_url": "https://***@host/v1"}
