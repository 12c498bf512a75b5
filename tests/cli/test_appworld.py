"""The commands in the miniature world of AppWorld."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentgym_hindsight.cli import main
from agentgym_hindsight.cli.play_input import is_incomplete
from agentgym_hindsight.cli.shared import default_protocol
from agentgym_hindsight.errors import UnknownNameError, WorkerError
from agentgym_hindsight.hindsight.jsonl import read_jsonl

APPWORLD = ["--env", "AppWorld-Hindsight-v0"]
Capture = pytest.CaptureFixture[str]


def agh(*words: str | Path) -> int:
    return main([str(word) for word in words])


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide an official AppWorld that is installed on this machine."""
    for name in ("APPWORLD_PYTHON", "APPWORLD_ROOT", "APPWORLD_SERVERS", "AGENTGYM_SANDBOX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AGENTGYM_HINDSIGHT_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


def typed(lines: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    inputs: Iterator[str] = iter(lines)
    monkeypatch.setattr("builtins.input", lambda *_: next(inputs))


def data_folder(root: Path) -> None:
    (root / "data" / "datasets").mkdir(parents=True)
    (root / "data" / "tasks" / "a_1").mkdir(parents=True)
    (root / "data" / "tasks" / "a_1" / "specs.json").write_text(json.dumps({"db_version": "0.1.0"}))
    (root / "data" / "datasets" / "train.txt").write_text("a_1\n")


def test_list_names_the_miniature_world(capsys: Capture) -> None:
    assert agh("list") == 0
    printed = capsys.readouterr().out
    assert "miniature/hamlet" in printed
    assert "train 1440" in printed


def test_doctor_reports_the_sandbox_and_what_is_not_installed(capsys: Capture) -> None:
    assert agh("doctor") == 0
    printed = capsys.readouterr().out.partition("\nAppWorld\n")[2]
    assert "miniature world: always available" in printed
    assert "sandbox for the agent's programs: " in printed
    assert "official AppWorld: not installed. Expected a Python that has the appworld package" in printed
    assert "agh data install appworld" in printed


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("namespaces+seccomp", "the strongest mode"),
        ("seccomp", "as in many containers"),
        ("namespaces", "seccomp is not available"),
        ("rlimits", "NO PROTECTION"),
    ],
)
def test_doctor_explains_the_sandbox_mode(
    mode: str, expected: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentgym_hindsight.envs.appworld.sandbox.Sandbox.mode", mode)
    assert agh("doctor") == 0
    assert f"{mode}; " in (printed := capsys.readouterr().out)
    assert expected in printed


def test_doctor_works_without_a_sandbox(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise WorkerError("Expected a system with fork, got another; try Linux.")

    monkeypatch.setattr("agentgym_hindsight.envs.appworld.sandbox.Sandbox.__init__", refuse)
    assert agh("doctor") == 0
    assert "programs: none. Expected a system with fork" in capsys.readouterr().out


def test_doctor_finds_the_users_own_installation(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho \'{"version": "0.1.3.post1", "unpacked": true}\'\n')
    python.chmod(0o755)
    monkeypatch.setenv("APPWORLD_PYTHON", str(python))
    monkeypatch.setenv("APPWORLD_ROOT", str(tmp_path / "root"))
    assert agh("doctor") == 0
    assert f"package 0.1.3.post1 in {python}; no tasks. Expected AppWorld's tasks" in capsys.readouterr().out
    data_folder(tmp_path / "root")
    assert agh("doctor") == 0
    printed = capsys.readouterr().out
    assert f"tasks in {tmp_path / 'root' / 'data'}: train 1, dev 0, test_normal 0, test_challenge 0" in printed
    monkeypatch.setenv("APPWORLD_SERVERS", "http://one:1 http://me:s3cret@two:2")
    assert agh("doctor") == 0
    assert (
        "servers http://one:1, http://***@two:2 ($APPWORLD_SERVERS; not contacted); tasks in" in capsys.readouterr().out
    )


def test_play_with_programs(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [":actions", "for i in range(2):", "    print(i, end=';')", "", "print(i + 40)", "Broken(", "1)", ":why"]
    typed([*lines, ":hint", "apis.supervisor.complete_task()", "x = 1", ":quit"], monkeypatch)
    assert agh("play", *APPWORLD, "--split", "train", "--seed", "3") == 0
    printed = capsys.readouterr().out
    assert "Any Python program" in printed
    assert "0;1;" in printed
    assert "\n41\n" in printed, "variables are kept between turns"
    assert "NameError: name 'Broken' is not defined" in printed, "two lines form one program; upper case is kept"
    assert "why: It failed before anything had changed." in printed
    hinted = [line for line in printed.splitlines() if line.startswith("passwords = {row")]
    assert len(hinted) == 1
    assert hinted[0].endswith("}"), "the lines of a program are not wrapped"
    assert "FAILED: " in printed
    assert "The game is over" in printed


@pytest.mark.parametrize(
    ("program", "more"),
    [
        ("x = 1", False),
        ("if x:", True),
        ("if x:\n    y", True),
        ("if x:\n    y\n", False),
        ("f(1,", True),
        ("f(1,\n2)", False),
        ("'''a", True),
        ("def", False),
        ("x = (]", False),
        ("\x00", False),
        ("1 is 1", False),  # a SyntaxWarning is ignored
        ("", False),
    ],
)
def test_a_program_continues_as_at_pythons_prompt(program: str, more: bool) -> None:
    assert is_incomplete(program) is more


def test_outside_appworld_a_line_is_a_command(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(["  if x:  ", ":quit"], monkeypatch)
    assert agh("play", "--set", "data=embedded", "--set", "difficulty=easy", "--seed", "0") == 0
    assert "Nothing happens." in capsys.readouterr().out


def test_tasks_are_listed_by_level_and_template(capsys: Capture) -> None:
    assert agh("data", "list", *APPWORLD, "--split", "train", "--set", 'templates=["set_alarm"]', "--tasks", "3") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(line.split()[1:3] == ["train", "set_alarm"] for line in lines)
    assert agh("data", "list", *APPWORLD, "--set", "difficulty=1", "--tasks", "4") == 0
    assert {line.split()[1] for line in capsys.readouterr().out.splitlines()} == {"test"}


def test_the_rollouts_of_an_evaluation_name_the_backend(tmp_path: Path, capsys: Capture) -> None:
    assert agh("eval", *APPWORLD, "--policy", "expert", "--split", "dev", "--tasks", "8", "--out", tmp_path / "e") == 0
    printed = capsys.readouterr().out
    assert "miniature/hamlet" in printed
    assert "100.0%" in printed
    (played, *_) = read_jsonl(tmp_path / "e" / "rollouts-expert-seed0.jsonl").trajectories
    assert (played.backend, played.won) == ("miniature/hamlet", True)
    assert played.steps[0].response.startswith("```python\n"), "played with the protocol for programs"
    assert "checks passed." in str(played.steps[-1].extra["evaluation"])


def test_a_rollout_is_kept_and_replayed(tmp_path: Path, capsys: Capture) -> None:
    words = ["rollout", *APPWORLD, "--split", "dev", "--tasks", "2"]
    assert agh(*words, "--out", tmp_path / "a.jsonl") == 0
    assert agh(*words, "--policy", f"replay:{tmp_path / 'a.jsonl'}", "--out", tmp_path / "b.jsonl") == 0
    first, again = (read_jsonl(tmp_path / name).trajectories for name in ("a.jsonl", "b.jsonl"))
    assert [each.steps[-1].next_anchor for each in first] == [each.steps[-1].next_anchor for each in again]
    assert all(each.won for each in again)
    assert agh("anchors", tmp_path / "a.jsonl") == 0
    capsys.readouterr()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["rollout", "--set", "data=embedded"], "Expected a known argument of AppWorld-Hindsight-v0, got 'data'"),
        (["rollout", "--set", "dificulty=1"], "did you mean 'difficulty'?"),
        (["rollout", "--set", "bakend=official"], "did you mean 'backend'?"),
        (["play", "--split", "test_normal"], "Known: dev, test, train"),
        (["data", "list", "--split", "dev", "--set", 'templates=["set_alarm"]'], "try split='train'"),
        (["data", "export", "--out", "x"], "got the tasks of AppWorld-Hindsight-v0 (miniature/hamlet)"),
    ],
)
def test_errors_say_what_to_try(words: list[str], expected: str, capsys: Capture) -> None:
    assert agh(*words, *APPWORLD) == 2
    assert expected in capsys.readouterr().err


def test_the_random_policy_plays_the_examples(tmp_path: Path) -> None:
    words = ["rollout", *APPWORLD, "--policy", "random", "--tasks", "1", "--set", "max_steps=3"]
    assert agh(*words, "--out", tmp_path / "random.jsonl") == 0
    (played,) = read_jsonl(tmp_path / "random.jsonl").trajectories
    assert len(played) == 3
    assert all(step.action_valid for step in played.steps)


def test_a_missing_installation_is_explained(capsys: Capture) -> None:
    assert agh("play", *APPWORLD, "--split", "test_normal", "--set", "backend=official") == 1
    assert "agh data install appworld" in capsys.readouterr().err


def test_a_panel_of_another_env_is_refused(tmp_path: Path, capsys: Capture) -> None:
    panel = tmp_path / "panel.json"
    assert agh("data", "panel", *APPWORLD, "--split", "dev", "--tasks", "2", "--out", panel) == 0
    for command in ("rollout", "eval"):
        assert agh(command, "--panel", panel, "--set", "data=embedded") == 2
        assert "try the --env and the --set" in capsys.readouterr().err
    assert agh("rollout", *APPWORLD, "--panel", panel, "--out", tmp_path / "played.jsonl") == 0


def test_an_error_inside_an_env_is_not_reported_as_a_wrong_argument(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise TypeError("f() got an unexpected keyword argument 'never_given'")

    monkeypatch.setattr("agentgym_hindsight.envs.appworld.env.MiniatureLibrary", broken)
    monkeypatch.setenv("AGH_TRACEBACK", "1")
    with pytest.raises(TypeError, match="never_given"):
        agh("rollout", *APPWORLD)
    monkeypatch.delenv("AGH_TRACEBACK")
    assert agh("rollout", *APPWORLD) == 1
    printed = capsys.readouterr().err
    assert "An unexpected error, TypeError: f() got an unexpected" in printed
    assert "AGH_TRACEBACK=1" in printed
    assert "Traceback" not in printed


def test_the_protocol_suits_the_env() -> None:
    assert default_protocol("AppWorld-Hindsight-v0") == "code"
    assert default_protocol("ALFWorld-Hindsight-v0") == "verl-agent-2025"
    assert default_protocol("tests.wrappers.stack:WrappedCorridor-v0") == "verl-agent-2025"
    assert default_protocol("appworld") == "code"
    with pytest.raises(UnknownNameError, match="environment id"):
        default_protocol("nowhere-v0")


def test_dry_run_prints_the_steps_of_the_installation(tmp_path: Path, capsys: Capture) -> None:
    assert agh("data", "install", "appworld", "--dry-run") == 0
    printed = capsys.readouterr().out
    assert f"into {tmp_path / 'data' / 'appworld'}:" in printed
    assert [line[:2] for line in printed.splitlines() if line[:1].isdigit()] == ["1.", "2.", "3.", "4."]
    assert not (tmp_path / "data").exists()


def test_without_a_terminal_the_installation_needs_yes(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "agentgym_hindsight", "data", "install", "appworld", "--python", sys.executable],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 2
    assert "try --yes, or --dry-run" in done.stderr or "Python 3.11 or newer" in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.slow
def test_bench(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentgym_hindsight.cli.bench.appworld._TURNS", 100)
    monkeypatch.setattr("agentgym_hindsight.cli.bench.appworld._RESETS", 50)
    words = ["appworld", "--worlds", "2", "--minutes", "0.01", "--fuzz", "30"]
    assert agh("bench", *words, "--out", tmp_path / "page.md") == 0
    assert "a world beside them" in capsys.readouterr().out
    text = (tmp_path / "page.md").read_text()
    assert f"`agh bench {' '.join(words)} --seed 0`" in text
    assert "| untouched |" in text
