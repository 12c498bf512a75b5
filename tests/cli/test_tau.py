"""The commands at the desks: list, doctor, play, rollout, eval, bench and parity."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.cli import main
from agentgym_hindsight.cli.bench import tau as bench_tau
from agentgym_hindsight.hindsight.jsonl import read_jsonl
from tests.envs.tau.test_data_folder import write_plain

ENV = ["--env", "taubench", "--set", "data=embedded", "--set", "domain=airline"]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def no_official_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAU_BENCH_DATA", raising=False)


def findings(capsys: Capture) -> dict[str, Any]:
    main(["doctor", "--json"])
    worlds = json.loads(capsys.readouterr().out)["environments"]
    return {each["name"]: each for world in worlds if world["name"] == "tau-bench" for each in world["findings"]}


def test_doctor(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    found = findings(capsys)
    assert found["embedded desks"]["found"]
    assert not found["official retail"]["found"]
    assert "git clone" in found["official retail"]["text"]
    assert "tau2" in found
    write_plain(tmp_path, "retail")
    monkeypatch.setenv("TAU_BENCH_DATA", str(tmp_path))
    found = findings(capsys)
    assert found["official retail"]["text"] == f"{tmp_path}: test 12"
    assert not found["official airline"]["found"]


def test_play(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = iter([":actions", "[list_all_airports()]", "[no_such()]", ":quit"])
    monkeypatch.setattr("builtins.input", lambda *_: next(lines))
    assert main(["play", *ENV, "--seed", "0"]) == 0
    output = capsys.readouterr().out
    assert output.count("book_reservation(user_id: string") == 2  # in the first observation and after :actions
    assert "list_all_airports: {" in output
    assert "No function is called" in output


@pytest.mark.slow
def test_audit(tmp_path: Path) -> None:
    """The noisy expert loses some tasks in five turns, so that turns have different values."""
    limits = "--set max_steps=5 --policy expert:0.4 --tasks 3 --siblings 4 --turns 6 --continuations 12"
    words = f"audit --env tau --set data=embedded {limits} --no-distance --out {tmp_path}"
    assert main(words.split()) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["turns"] > 6
    assert summary["continuations"]["continuations"] > 50
    (gigpo,) = (each for each in summary["scores"] if each["name"] == "gigpo@state")
    assert gigpo["turns"] == summary["turns"]
    assert summary["reliability"] > 0.2, "the measured values differ by more than chance"


def test_rollout_and_eval_name_the_user(tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "rollouts.jsonl"
    assert main(["rollout", *ENV, "--tasks", "4", "--policy", "expert", "--out", str(out)]) == 0
    assert "user=scripted" in capsys.readouterr().out
    trajectories = read_jsonl(out).trajectories
    assert [each.won for each in trajectories] == [True] * 4
    assert {each.backend for each in trajectories} == {"native/airline-embedded/official/user=scripted"}
    command = ["eval", *ENV, "--tasks", "4", "--policy", "expert", "--out", str(tmp_path / "eval"), "--json"]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["backend"] == "native/airline-embedded/official/user=scripted"


def test_bench(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_tau, "_EPISODES", 5)
    assert main(["bench", "tau", "--fuzz", "200", "--json"]) == 0
    figures = {each["name"]: each["value"] for each in json.loads(capsys.readouterr().out)["figures"]}
    assert figures["fuzzed calls"] == "200"
    assert figures["  episodes won"] == "5 of 5"
    assert sum("steps" in name for name in figures) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--data DIR"),
        (["--data", "."], "--recordings FILE"),
        (["--data", ".", "--recordings", "none.jsonl"], r"none\.jsonl"),
    ],
)
def test_parity_says_what_is_missing(
    options: list[str], message: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["parity", "tau", *options]) != 0
    assert re.search(message, capsys.readouterr().err)


def test_parity_with_a_recording_of_our_own(tmp_path: Path, capsys: Capture) -> None:
    write_plain(tmp_path, "airline")
    tasks = json.loads((tmp_path / "airline" / "tasks_test.json").read_text(encoding="utf-8"))
    calls = [{**tasks[0]["actions"][0], "result": "Error: user not found"}]
    recording = tmp_path / "recording.jsonl"
    recording.write_text(json.dumps({"id": "x", "kind": "own", "domain": "airline", "calls": calls}) + "\n")
    assert main(["parity", "tau", "--data", str(tmp_path), "--recordings", str(recording)]) == 1
    output = capsys.readouterr().out
    assert "x (own), call 1 get_user_details: native" in output
    assert output.splitlines()[-1] == "differences: 1 of 1 calls"


def test_a_genuine_program_that_is_not_there_is_named(tmp_path: Path, capsys: Capture) -> None:
    write_plain(tmp_path, "retail")
    write_plain(tmp_path, "airline")
    assert main(["bench", "tau", "--data", str(tmp_path), "--genuine", str(tmp_path)]) != 0
    assert "a clone of tau-bench" in capsys.readouterr().err
