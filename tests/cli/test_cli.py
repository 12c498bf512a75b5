"""The commands that need no extra, called as on the command line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.cli import COMMANDS, main, rollout_command
from agentgym_hindsight.cli.bench import webshop as bench_webshop
from agentgym_hindsight.cli.doctor_checks import _tagger
from agentgym_hindsight.hindsight.jsonl import read_jsonl
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.installation import pip_command

EMBEDDED = ["--set", "data=embedded"]


def agh(*words: str | Path) -> int:
    return main([str(word) for word in words])


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert agh() == 2
    printed = capsys.readouterr().out
    assert all(name in printed for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_page(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    if command in ("train", "compare"):
        pytest.importorskip("torch", reason="needs the extra [train]")
    with pytest.raises(SystemExit) as stopped:
        agh(command, "--help")
    assert stopped.value.code == 0
    assert command in capsys.readouterr().out


@pytest.mark.parametrize("words", ["train serl", "train --help", "compare rivals", "compare --help", "demo"])
def test_a_missing_extra_is_one_line(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("agentgym_hindsight.baselines.requirements.find_spec", lambda _: None)
    assert agh(*words.split()) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert printed.err.startswith(f"agh {words.split()[0]}: ")
    assert pip_command("train") in printed.err
    assert list(tmp_path.iterdir()) == []


def test_list_and_doctor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ALFWORLD_DATA", raising=False)
    assert agh("list") == 0
    assert "native/embedded" in capsys.readouterr().out
    assert agh("list", "--plain") == 0
    assert "ALFWorld-Hindsight-v0" in capsys.readouterr().out.split()
    assert agh("doctor") == 0
    printed = capsys.readouterr().out
    assert "official games: not installed" in printed
    assert "alfworld-download" in printed


def test_doctor_recognises_a_subset_of_games(alfworld_games: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert agh("doctor", "--data", alfworld_games[0].parents[4]) == 0
    printed = capsys.readouterr().out
    assert "600 of 3553" in printed
    assert "release 0.4" in printed


def test_doctor_reports_the_official_shop_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WEBSHOP_DATA", raising=False)
    assert agh("doctor") == 0
    printed = capsys.readouterr().out
    assert "embedded shop: always available" in printed
    assert "official files: not found. " in printed
    assert "WEBSHOP_DATA=DIR" in printed
    assert "noun rule 'spacy': " in printed
    monkeypatch.setenv("WEBSHOP_DATA", str(tmp_path))
    assert agh("doctor") == 0
    assert f"not found ($WEBSHOP_DATA is {tmp_path})" in capsys.readouterr().out
    for name in ("items_shuffle_1000.json", "items_ins_v2_1000.json"):
        (tmp_path / name).write_text("[]")
    assert agh("doctor") == 0
    printed = capsys.readouterr().out
    assert "catalogue 1000" in printed
    assert "items_shuffle_1000.json, 0.0 MiB" in printed
    assert "items_human_ins" in printed


@pytest.mark.parametrize("model", [True, False])
def test_doctor_reports_the_tagger_model(model: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"spacy", "en_core_web_lg"} if model else {"spacy"}
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *_: object() if name in installed else None)
    printed = _tagger(("en_core_web_sm", "en_core_web_lg"))
    assert printed.startswith(
        "model en_core_web_lg" if model else "no model; try python -m spacy download en_core_web_sm"
    )


def test_play_in_the_shop(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    typed = iter([":actions", "search[red shoes]", "click[nope]", ":actions", ":why", ":quit"])
    monkeypatch.setattr("builtins.input", lambda *_: next(typed))
    assert agh("play", "--env", "WebShop-Hindsight-v0", *EMBEDDED, "--seed", "1") == 0
    printed = capsys.readouterr().out
    assert "search[words]" in printed
    assert "[SEP]" not in printed
    assert "Back to Search\nPage 1 (Total results:" in printed
    assert "why: 'nope' is not on the results page" in printed
    assert "click[next >]" in printed


def test_play_ends_with_the_review(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    typed = iter(["search[shoes]", ":quit"])
    monkeypatch.setattr("builtins.input", lambda *_: next(typed))
    assert agh("play", "--env", "WebShop-Hindsight-v0", *EMBEDDED, "--set", "max_steps=1") == 0
    assert "Nothing was bought: reward 0." in capsys.readouterr().out


def test_the_default_split_of_a_rollout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop = ["--env", "WebShop-Hindsight-v0", *EMBEDDED]
    assert agh("rollout", *shop, "--tasks", "2", "--out", tmp_path / "shop.jsonl") == 0
    assert {t.split for t in read_jsonl(tmp_path / "shop.jsonl").trajectories} == {"test"}
    toy = ["--env", "tests.wrappers.stack:WrappedCorridor-v0"]
    assert agh("rollout", *toy, "--policy", "random", "--tasks", "2", "--out", tmp_path / "toy.jsonl") == 0
    capsys.readouterr()


@pytest.mark.parametrize(
    ("words", "shows"),
    [
        (["webshop", "--products", "60", "--episodes", "20"], "engine against it"),
        (["webshop-search", "--products", "300", "--workers", "2"], "memory of 2 workers together"),
    ],
)
def test_bench(
    words: list[str], shows: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_webshop, "_ROUNDS", 1)
    monkeypatch.setattr(bench_webshop, "_RESETS", 100)
    page = tmp_path / "page.md"
    assert agh("bench", *words, "--out", page) == 0
    assert shows in capsys.readouterr().out
    text = page.read_text()
    assert f"`agh bench {' '.join(words)} --seed 0`" in text
    assert shows in text


def test_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert agh("demo", "--scripted", "--tasks", "12", "--out", tmp_path) == 0
    printed = capsys.readouterr().out
    assert "100.0%" in printed
    assert "turns/s" in printed
    assert len(read_jsonl(tmp_path / "expert.jsonl").trajectories) == 12


def test_rollout_continues_where_it_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "rollouts.jsonl"
    arguments = ["rollout", *EMBEDDED, "--policy", "random", "--tasks", "4", "--siblings", "2", "--out", str(out)]
    assert agh(*arguments) == 0
    whole = out.read_bytes()
    lines = whole.splitlines(keepends=True)
    out.write_bytes(b"".join(lines[:3]) + lines[3][:100])  # as after a crash
    assert agh(*arguments) == 0
    assert "line 4" in capsys.readouterr().err
    assert out.read_bytes() == whole
    assert agh(*arguments, "--fresh") == 0
    assert out.read_bytes() == whole


def test_rollout_refuses_another_policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "rollouts.jsonl"
    assert agh("rollout", *EMBEDDED, "--tasks", "2", "--out", out) == 0
    assert agh("rollout", *EMBEDDED, "--tasks", "2", "--out", out, "--policy", "random") == 2
    assert "--fresh" in capsys.readouterr().err


def test_rollout_refuses_another_seed_or_setting(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "rollouts.jsonl"
    common = ["rollout", *EMBEDDED, "--tasks", "2", "--policy", "random", "--out", str(out)]
    assert agh(*common, "--siblings", "2") == 0
    assert agh(*common, "--seed", "9") == 2
    assert agh(*common, "--set", "max_steps=5") == 2
    assert "--fresh" in capsys.readouterr().err
    assert agh(*common) == 0, "fewer siblings than the file holds"
    assert "(2 rollouts)" in capsys.readouterr().out


def comparable(trajectory: Trajectory) -> Trajectory:
    """Without the policy's name and the expert's actions, which only an env with an expert records."""
    steps = [
        replace(step, extra={name: value for name, value in step.extra.items() if name != "expert_action"})
        for step in trajectory.steps
    ]
    return trajectory.replace(policy="", extra={}, steps=tuple(steps))


def test_a_rollout_can_be_replayed(tmp_path: Path) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    common = ["rollout", *EMBEDDED, "--tasks", "3"]
    assert agh(*common, "--out", first, "--policy", "expert:0.3") == 0
    assert agh(*common, "--out", second, "--policy", f"replay:{first}") == 0
    played = [read_jsonl(path).trajectories for path in (first, second)]
    assert [comparable(t) for t in played[0]] == [comparable(t) for t in played[1]]


def test_ctrl_c_keeps_finished_rollouts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """SIGINT arrives while the rollouts are played: after the third one is written."""
    out = tmp_path / "rollouts.jsonl"
    write = rollout_command.write_jsonl

    def write_and_interrupt(*arguments: Any, **options: Any) -> None:
        write(*arguments, **options)
        if len(out.read_bytes().splitlines()) == 3:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(rollout_command, "write_jsonl", write_and_interrupt)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a process of its own
    try:
        status = agh("rollout", *EMBEDDED, "--policy", "random", "--tasks", "8", "--num-envs", "4", "--out", out)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert status == 130
    assert "agh rollout: stopped; finished parts are kept." in capsys.readouterr().err
    result = read_jsonl(out)
    assert len(result.trajectories) == 3
    assert not result.problems


def test_an_unwritable_file_is_reported_before_playing(capsys: pytest.CaptureFixture[str]) -> None:
    assert agh("rollout", *EMBEDDED, "--tasks", "2", "--out", "/proc/none/rollouts.jsonl") == 1
    assert "/proc/none" in capsys.readouterr().err


def test_a_panel_of_other_data_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = tmp_path / "panel.json"
    assert agh("data", "panel", *EMBEDDED, "--tasks", "6", "--out", manifest) == 0
    text = manifest.read_text().replace('"backend": "embedded"', '"backend": "official"')
    manifest.write_text(text)
    assert agh("rollout", *EMBEDDED, "--panel", manifest, "--out", tmp_path / "out.jsonl") == 2
    assert "one of official" in capsys.readouterr().err


def test_a_closed_pipe_is_not_a_failure() -> None:
    command = f"{sys.executable} -m agentgym_hindsight doctor | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stdout.strip() == "0", done.stderr


def test_data_panel_and_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = tmp_path / "panel.json"
    assert agh("data", "panel", *EMBEDDED, "--tasks", "6", "--seed", "3", "--out", manifest) == 0
    out = tmp_path / "rollouts.jsonl"
    assert agh("rollout", *EMBEDDED, "--panel", manifest, "--out", out) == 0
    assert [t.task_id for t in read_jsonl(out).trajectories] == [
        task["id"] for task in json.loads(manifest.read_text())["tasks"]
    ]
    games = tmp_path / "games"
    assert agh("data", "export", *EMBEDDED, "--tasks", "6", "--seed", "3", "--out", games) == 0
    capsys.readouterr()
    assert agh("data", "check", games) == 0
    assert "6 games, 0 cannot be used" in capsys.readouterr().out
    victim = next(games.rglob("game.tw-pddl"))
    victim.write_text("{}")
    assert agh("data", "check", games) == 1
    assert victim.parent.name in capsys.readouterr().out
    assert agh("data", "list", *EMBEDDED, "--tasks", "2") == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_only_houses_of_alfworld_are_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop = ["--env", "WebShop-Hindsight-v0", "--set", "data=embedded", "--tasks", "1"]
    assert agh("data", "export", *shop, "--out", tmp_path / "games") == 2
    assert "got the tasks of WebShop-Hindsight-v0" in capsys.readouterr().err
    assert not (tmp_path / "games").exists()


def test_play_in_alfworld(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    typed = iter([":hint", ":actions", "look", "fly away", ":why", ":what", ":new", "inventory", ":quit"])
    monkeypatch.setattr("builtins.input", lambda *_: next(typed))
    assert agh("play", *EMBEDDED, "--seed", "1") == 0
    printed = capsys.readouterr().out
    assert "why: " in printed
    assert "future_trajectory not known yet" in printed
    assert "You are not carrying anything." in printed


def test_anchors_prints_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "rollouts.jsonl"
    assert agh("rollout", *EMBEDDED, "--policy", "random", "--tasks", "4", "--siblings", "2", "--out", out) == 0
    capsys.readouterr()
    assert agh("anchors", out) == 0
    assert "| " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["rollout", "--env", "ALFWorld-Hindsigt-v0"], "did you mean 'ALFWorld-Hindsight-v0'"),
        (["rollout", "--set", "data"], "NAME=VALUE"),
        (["rollout", "--policy", "genius", *EMBEDDED], "Known: expert"),
        (["rollout", "--tasks", "9999", *EMBEDDED], "1 to 1200"),
        (["rollout", "--set", "foo=1", *EMBEDDED], "'foo'"),
        (["rollout", "--set", "max_steps=abc", *EMBEDDED], "max_steps"),
        (["rollout", "--num-envs", "0", *EMBEDDED], "--num-envs"),
        (["rollout", "--split", "valid", *EMBEDDED], "valid_seen"),
        (["parity", "alfworld"], "--data DIR"),
        (["parity", "alfworld", "--data", "/nowhere/at/all"], "/nowhere/at/all"),
        (["data", "check", "/nowhere/at/all"], "alfworld-download"),
        (["anchors", "/nowhere/at/all.jsonl"], "all.jsonl"),
    ],
)
def test_errors_say_what_to_try(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    status = agh(*words)
    printed = capsys.readouterr().err
    assert expected in printed
    assert "Traceback" not in printed
    assert status == (1 if "data" in words[:1] or "/nowhere/at/all" in " ".join(words) else 2)


@pytest.mark.genuine
@pytest.mark.filterwarnings("ignore")  # textworld leaves files open
def test_parity_ends_with_the_number_of_differences(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("alfworld", reason="the genuine engine (extra [alfworld]) is not installed")
    if sys.version_info >= (3, 13):
        pytest.skip("textworld 1.7 does not run on Python 3.13")
    assert agh("parity", "alfworld", "--generated", "2", "--turns", "6", "--workers", "1") == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == "differences: 0 of 14 turns", printed.err
