"""Run folders with absurd content: the page is made, and what is left out is named with the reason."""

from __future__ import annotations

import json
import os
import random
import re
import time
from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.baselines.report import json_lines as reading
from agentgym_hindsight.baselines.report import read_run, write_report
from agentgym_hindsight.baselines.report.metric_list import METRICS
from agentgym_hindsight.baselines.report.plausible import fault, number
from agentgym_hindsight.errors import DamagedDataError
from tests.baselines.report.faked import HOSTILE, fake_run, sample, write_lines
from tests.baselines.report.test_page import Structure

DIGITS = "9" * 4000

#: A value as JSON text, and the reason that the page gives.
ABSURD = [
    ("1e308", "1e+308, beyond ±1e+100"),
    ("-1e308", "-1e+308, beyond ±1e+100"),
    ("5e-324", "4.94e-324, closer to 0 than 1e-100"),
    ("-1e-310", "closer to 0 than 1e-100"),
    (DIGITS, "infinite"),
    (f"-{DIGITS}", "infinite"),
    (str(10**200), "an integer of more than 100 digits"),
    ("NaN", "NaN"),
    ("Infinity", "infinite"),
    ("-Infinity", "infinite"),
    ("1e999", "infinite"),
    ("true", "the bool True, not a number"),
    ('"0.5"', "the str '0.5', not a number"),
    ("[[[1]]]", "the list [[[1]]], not a number"),
    ('{"a": 1}', "the dict {'a': 1}, not a number"),
]


def page_of(folder: Path, tmp_path: Path) -> tuple[str, list[str]]:
    """The page, checked for its structure, and the problems that are named."""
    out = tmp_path / "report.html"
    report = write_report([folder], out)
    page = out.read_text(encoding="utf-8")
    structure = Structure()
    structure.feed(page)
    assert structure.open == []
    assert not re.search(r' (?:[xy][12]?|c[xy]|width|height|points|data-[xy])="[^"]*(?:nan|inf)', page)
    return page, [str(problem) for problem in report.problems]


@pytest.mark.parametrize(("text", "reason"), ABSURD, ids=[reason for _, reason in ABSURD])
@pytest.mark.parametrize("key", ["loss", "entropy", "turns", "seconds_update", "memory_mb"])
def test_an_absurd_value_is_left_out_and_its_metric_named(tmp_path: Path, key: str, text: str, reason: str) -> None:
    folder = fake_run(tmp_path / "run", updates=4)
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    rest = {name: value for name, value in json.loads(lines[1]).items() if name != key}
    lines[1] = json.dumps(rest)[:-1] + f', "{key}": {text}}}'
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    page, problems = page_of(folder, tmp_path)
    (problem,) = problems
    assert problem.startswith(f"{folder / 'metrics.jsonl'}: '{key}' is ")
    assert reason in problem
    assert problem.endswith("in update 1; left out")
    assert "1 item could not be read" in page
    assert reason.replace("'", "&#x27;") in page
    assert len(read_run(folder).tail(key, 10)) == 3


def test_many_absurd_values_of_a_metric_are_named_once(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", updates=2)
    write_lines(folder / "metrics.jsonl", [{"update": k, "loss": 1e308, "success": 7 + k} for k in range(9)])
    _, problems = page_of(folder, tmp_path)
    assert len(problems) == 2
    assert problems[0].endswith("'loss' is 1e+308, beyond ±1e+100, in update 0 and in 8 more updates; left out")
    assert "'success' is 7, not a share between 0 and 1" in problems[1]


def test_null_is_a_missing_value_and_no_fault(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", updates=2)
    write_lines(folder / "metrics.jsonl", [{"update": 0, "loss": None, "own": "text", "list": [1]}, {"update": 1}])
    assert page_of(folder, tmp_path)[1] == []


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("weights", [1], "the list [1], not a histogram"),
        ("weights", {"edges": [0, 1]}, "a histogram without lists"),
        ("weights", {"edges": [0, 1], "counts": [1, 2]}, "2 edges for 2 bins"),
        ("weights", {"edges": [1, 0], "counts": [1]}, "edges do not rise"),
        ("weights", {"edges": [0, 1], "counts": [-1]}, "not positive"),
        ("weights", {"edges": [0, 1e308], "counts": [1]}, "a histogram with 1e+308"),
        ("weights", {"edges": list(range(1000)), "counts": [1] * 999}, "1000 edges for 999 bins"),
        ("gap_by_source", 3, "the int 3, not an object"),
        ("gap_by_source", {"future": {"mean": 1e308}}, "beyond ±1e+100, as the mean of 'future'"),
        ("gap_by_source", {"future": [1]}, "[1] for 'future', not an object"),
        ("gap_by_source", {str(n): {} for n in range(99)}, "an object of 99 sources"),
    ],
)
def test_absurd_tables_are_named(tmp_path: Path, key: str, value: object, reason: str) -> None:
    folder = fake_run(tmp_path / "run", updates=2)
    write_lines(folder / "metrics.jsonl", [{"update": 0, "loss": 1.0, key: value}])
    _, (problem,) = page_of(folder, tmp_path)
    assert f"'{key}' is " in problem
    assert reason in problem


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"rollouts": 10**400}, "the rollouts of 'all' are"),
        ({"rollouts": 1e308}, "the rollouts of 'all' are 1e+308"),
        ({"won": True}, "the won of 'all' are True"),
        ({"broken": -1}, "the broken of 'all' are -1"),
        ({"score": 1e308}, "the score of 'all' is 1e+308"),
        ({"turns": [1]}, "the turns of 'all' is the list"),
        ({"invalid": "x"}, "the invalid of 'all' is the str"),
    ],
)
def test_absurd_evaluations_are_named(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    folder = fake_run(tmp_path / "run", updates=2)
    lines = [json.loads(line) for line in (folder / "eval.jsonl").read_text().splitlines()]
    lines[1]["evaluation"]["micro"] |= change
    write_lines(folder / "eval.jsonl", lines)
    _, (problem,) = page_of(folder, tmp_path)
    assert problem.startswith(f"{folder / 'eval.jsonl'}, line 2: ")
    assert reason in problem


@pytest.mark.parametrize("update", [-1, 1.5, 10**13, 10**400, True, None, "3", [1]])
def test_an_absurd_update_loses_its_line(tmp_path: Path, update: object) -> None:
    folder = fake_run(tmp_path / "run", updates=2)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"update": update}) + "\n")
    _, (problem,) = page_of(folder, tmp_path)
    assert "metrics.jsonl, line 3: 'update' is " in problem


def test_long_lines_deep_lines_and_many_bad_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_BYTES", 2**16)
    folder = fake_run(tmp_path / "run", updates=2)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"update": 2, "loss": "' + "x" * 2**20 + '"}\n')
        file.write('{"update": 3, "loss": ' + "[" * 20_000 + "]" * 20_000 + "}\n")
        file.write('{"update": 4, "loss": ' + "[" * 40 + "]" * 40 + "}\n")
        file.write('{"update": 5, "loss": 0.25}\n')
        file.write("{]\n" * 500)
    _, problems = page_of(folder, tmp_path)
    assert read_run(folder).tail("loss", 1) == [0.25]
    assert problems[0].endswith("metrics.jsonl, line 3: longer than 0.0625 MB; skipped")
    assert [problem.rpartition(": ")[2] for problem in problems[1:3]] == ["nested deeper than 30 levels; skipped"] * 2
    assert problems[3].endswith("line 7: not JSON; skipped")
    assert problems[-1].endswith("metrics.jsonl: 483 more lines cannot be used; skipped")
    assert len(problems) == 21


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": "--5"},
        {"seed": "9" * 5000},
        {"seed": [1, 2]},
        {"recipe": HOSTILE * 100},
        {"recipe": {"a": [1]}},
        {"model": {"name": {"x": 1}}},
        {"backend": None},
        {"settings": {"deep": [[[[[[[[1]]]]]]]]}},
        {"settings": {str(n): n for n in range(5000)}},
        {"settings": {HOSTILE: HOSTILE * 500}},
        {"versions": [1], "command": {"a": 1}, "started": "x" * 9999},
    ],
    ids=str,
)
def test_absurd_descriptions(tmp_path: Path, changes: dict[str, Any]) -> None:
    for place in range(2):
        folder = fake_run(tmp_path / "runs" / str(place), updates=2, settings={"lr": place})
        about = json.loads((folder / "run.json").read_text()) | (changes if place else {})
        (folder / "run.json").write_text(json.dumps(about))
    page, _ = page_of(tmp_path / "runs", tmp_path)
    assert "\x1b" not in page
    assert "<script>alert" not in page
    assert len(page) < 2_000_000


def test_a_description_that_is_no_description_names_the_folder(tmp_path: Path) -> None:
    fake_run(tmp_path / "runs" / "good", updates=2)
    for name, text in {"deep": "[" * 50_000, "list": "[1]", "nested": '{"a":' * 99 + "1" + "}" * 99}.items():
        folder = fake_run(tmp_path / "runs" / name, updates=1)
        (folder / "run.json").write_text(text)
        with pytest.raises(DamagedDataError, match="cannot be used"):
            read_run(folder)
    _, problems = page_of(tmp_path / "runs", tmp_path)
    assert len(problems) == 3
    assert all(f"{tmp_path / 'runs' / name / 'run.json'}" in " ".join(problems) for name in ("deep", "list", "nested"))


def test_samples_of_absurd_values(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", updates=2)
    rollout = sample(0, True, random.Random(0))
    rollout["steps"][0] |= {"weights": [1e308, "x", None, True, [1]], "gaps": {"a": 1}, "advantage": 1e308}
    rollout["steps"][1] |= {"tokens": [[[1]], 10**400, None, "t" * 9999], "feedback": [1], "prompt": {"a": 1}}
    rollout["steps"] = rollout["steps"] * 200
    rollout |= {"return": 10**400, "sibling": [HOSTILE], "task_id": {"a": HOSTILE}, "goal": 3, "won": "yes"}
    write_lines(folder / "samples.jsonl", [rollout])
    page, _ = page_of(folder, tmp_path)
    assert "300 more turns" in page


@pytest.mark.skipif(not hasattr(os, "mkfifo") or os.name == "nt", reason="needs named pipes")
def test_a_pipe_instead_of_a_file_is_not_read(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", updates=2)
    (folder / "samples.jsonl").unlink()
    os.mkfifo(folder / "samples.jsonl")
    page_of(folder, tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", updates=2)
    (folder / "samples.jsonl").chmod(0)
    _, (problem,) = page_of(folder, tmp_path)
    assert "samples.jsonl: cannot be read" in problem


def test_a_read_error_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fake_run(tmp_path / "run", updates=2)
    real = Path.open

    def fail(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == "samples.jsonl":
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", fail)
    _, (problem,) = page_of(folder, tmp_path)
    assert problem.endswith("samples.jsonl: cannot be read (Permission denied); skipped")


VALUES: list[Any] = [
    *(1e308, -1e308, 1e100, -1e100, 1e99, 5e-324, 1e-100, 1e-99, 0, -0.0, 1, 0.5, 2, -3, 1e15, 1e15 + 1, 7e6),
    *(10**400, -(10**400), 10**30, float("nan"), float("inf"), True, None, "x", HOSTILE, [], [[1]], {}, {"a": 1}),
]  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
def test_random_values_everywhere(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    for name in ("a", "b"):
        folder = fake_run(tmp_path / "runs" / name, updates=6, seed=chance.randrange(3), settings={"x": name})
        for file in ("metrics.jsonl", "eval.jsonl", "samples.jsonl"):
            rows = [json.loads(line) for line in (folder / file).read_text().splitlines()]
            for row in rows:
                _spoil(row, chance)
            write_lines(folder / file, [{"update": 0}, *rows])
        about = json.loads((folder / "run.json").read_text())
        for key in chance.sample(["recipe", "seed", "model", "backend", "settings", "versions", "command"], 2):
            about[key] = chance.choice([value for value in VALUES if value == value])
        (folder / "run.json").write_text(json.dumps(about))
    page, problems = page_of(tmp_path / "runs", tmp_path)
    assert problems
    assert "\x1b" not in page
    assert "<script>alert" not in page


def _spoil(value: Any, chance: random.Random) -> None:
    """Replace some values in nested lists and objects."""
    items = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    for key, child in items:
        if isinstance(child, (dict, list)) and chance.random() < 0.95:
            _spoil(child, chance)
        elif chance.random() < 0.15:
            value[key] = chance.choice(VALUES)


def test_a_large_absurd_folder_is_read_quickly(tmp_path: Path) -> None:
    folder = fake_run(tmp_path / "run", updates=2)
    rows = [{"update": k, "turns": k, **{metric.key: 1e308 for metric in METRICS}} for k in range(3000)]
    write_lines(folder / "metrics.jsonl", rows)
    start = time.process_time()
    _, problems = page_of(folder, tmp_path)
    assert time.process_time() - start < 20  # 0.5 s
    assert len(problems) == min(len(METRICS), 40 + 1)  # the last line counts the others


def test_faults() -> None:
    assert [fault(value) for value in (0, 1, -0.5, 1e100, 1e-100, 10**99)] == [""] * 6
    assert [bool(fault(value, share=True)) for value in (0, 1, 1 + 1e-9, 1.1, -0.1)] == [
        False,
        False,
        False,
        True,
        True,
    ]
    assert [number({"x": value}, "x") for value in (2, 1e308, True, None, "3")] == [2.0, None, None, None, None]
    assert number({}, "x") is None
