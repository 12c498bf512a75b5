"""Names on the command line: without regard to case, short names, and suggestions."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import pytest

from agentgym_hindsight.cli import main
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.hindsight.jsonl import read_jsonl
from agentgym_hindsight.stage import Stage, known_env, short_name

Capture = pytest.CaptureFixture[str]


def agh(*words: str | Path) -> int:
    return main([str(word) for word in words])


@pytest.mark.parametrize(
    ("name", "env_id"),
    [
        ("ALFWorld-Hindsight-v0", "ALFWorld-Hindsight-v0"),
        ("alfworld-hindsight-V0", "ALFWorld-Hindsight-v0"),
        ("alfworld", "ALFWorld-Hindsight-v0"),
        ("WebShop", "WebShop-Hindsight-v0"),
        (" APPWORLD ", "AppWorld-Hindsight-v0"),
        ("tests.wrappers.stack:WrappedCorridor-v0", "tests.wrappers.stack:WrappedCorridor-v0"),
    ],
)
def test_ids_and_short_names(name: str, env_id: str) -> None:
    assert known_env(name) == env_id
    assert Stage(name).env == env_id


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("alfwrld", UnknownNameError, "did you mean 'alfworld'"),
        ("ALFWorld-Hindsigt-v0", UnknownNameError, "did you mean 'ALFWorld-Hindsight-v0'"),
        ("", UnknownNameError, "Known: ALFWorld"),
        ("CartPole-v1", UsageError, "no tasks and no hindsight"),
        ("tests.toy:Missing-v0", UsageError, "try gymnasium.register"),
        ("no_such_module_at_all:X-v0", UsageError, "no module 'no_such_module_at_all'"),
        ("no module:X", UsageError, "got 'no module:X'"),
        (":X", UsageError, "got ':X'"),
    ],
)
def test_other_names_are_refused(name: str, kind: type[UsageError], expected: str) -> None:
    with pytest.raises(kind, match=expected):
        known_env(name)
    with pytest.raises(kind, match=expected):
        Stage(name)


def test_an_env_whose_import_fails_is_refused() -> None:
    gym.register("Broken-v0", entry_point="no_such_module_at_all:Env")
    try:
        with pytest.raises(UsageError, match="to import, got ModuleNotFoundError"):
            known_env("Broken-v0")
    finally:
        del gym.registry["Broken-v0"]


def test_a_function_that_makes_another_env_is_refused(capsys: Capture) -> None:
    gym.register("Function-v0", entry_point=lambda **_: gym.make("CartPole-v1"))
    try:
        assert agh("rollout", "--env", "Function-v0") == 2
        assert "kind HindsightEnv" in capsys.readouterr().err
    finally:
        del gym.registry["Function-v0"]


def test_short_name() -> None:
    assert short_name("AppWorld-Hindsight-v0") == "appworld"
    assert short_name("a.b:space/My-Shop-v12") == "my-shop"


@pytest.mark.parametrize("command", ["play", "rollout", "eval", "data list"])
def test_a_misspelt_env(command: str, capsys: Capture) -> None:
    assert agh(*command.split(), "--env", "alfwrld") == 2
    assert "did you mean 'alfworld'" in capsys.readouterr().err


def test_commands(capsys: Capture) -> None:
    assert agh("lst") == 2
    assert "did you mean 'list'?" in capsys.readouterr().err
    assert agh("LIST", "--plain") == 0
    assert "AppWorld-Hindsight-v0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["rollout", "--taks", "3"], "did you mean '--tasks'?"),
        (["data", "panel", "--out", "x", "--sed=3"], "did you mean '--seed'?"),
        (["data", "panl"], "panel"),
        (["list", "--jsn"], "did you mean '--json'?"),
        (["bench", "alfwrld"], "did you mean 'alfworld'?"),
        (["eval", "--protocol", "codee"], "did you mean 'code'?"),
        (["anchors"], "try agh anchors --help"),
        (["list", "more"], "Expected no further word, got 'more'"),
        (["rollout", "--seed", "x"], "Expected a whole number from 0 to 4294967295, got 'x'; try 0."),
        (["rollout", "--tasks", "-1"], "whole number of 0 or more"),
    ],
)
def test_other_misspelt_words(words: list[str], expected: str, capsys: Capture) -> None:
    assert agh(*words) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert len(error.splitlines()) == 1


def test_case_of_other_names(tmp_path: Path, capsys: Capture) -> None:
    words = ["--env", "ALFWORLD", "--split", "TRAIN", "--tasks", "1", "--set", "data=embedded"]
    assert agh("rollout", *words, "--policy", "Random", "--out", tmp_path / "x.jsonl") == 0
    (played,) = read_jsonl(tmp_path / "x.jsonl").trajectories
    assert (played.env_id, played.split, played.policy) == ("ALFWorld-Hindsight-v0", "train", "random")
    assert agh("eval", *words, "--policy", "EXPERT", "--protocol", "PLAIN", "--out", tmp_path / "e") == 0
    assert (tmp_path / "e" / "rollouts-expert-seed0.jsonl").is_file()
    capsys.readouterr()


def test_two_envs_have_two_default_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs the extra [train]")
    from agentgym_hindsight.baselines.training.run import Stopped
    from agentgym_hindsight.cli import train_command

    folders: list[str] = []

    def stop(_: object, out: Path, **__: object) -> Path:
        folders.append(str(out))
        raise Stopped("stopped")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train_command, "train", stop)
    for env in ("alfworld", "webshop", "tests.wrappers.stack:WrappedCorridor-v0"):
        assert agh("train", "grpo", "--env", env, "--seed", "3") == 130
    assert folders == ["runs/grpo-alfworld-seed3", "runs/grpo-webshop-seed3", "runs/grpo-wrappedcorridor-seed3"]


def test_an_unknown_task(capsys: Capture) -> None:
    assert agh("play", "--set", "data=embedded", "--task", "nope") == 2
    error = capsys.readouterr().err
    assert "got 'nope'; try one that `agh data list --env ALFWorld-Hindsight-v0 --split valid_unseen` prints" in error
    assert "There is no" not in error
    assert agh("play", "--env", "webshop", "--set", "data=embedded", "--game-file", "x") == 2
    assert "with ALFWorld only" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["{", '["a"', '"a', "[" * 50_000])
def test_broken_json_in_set(value: str, capsys: Capture) -> None:
    assert agh("rollout", "--set", f"task_types={value}") == 2
    error = capsys.readouterr().err
    assert "Expected JSON in --set task_types=…" in error
    assert len(error) < 500
