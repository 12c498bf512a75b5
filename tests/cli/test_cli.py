"""The command line, run as a person runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agentgym_hindsight.cli import COMMANDS, main
from agentgym_hindsight.cli.doctor_command import _tagger
from agentgym_hindsight.hindsight.jsonl import read_jsonl

EMBEDDED = ["--set", "data=embedded"]


def agh(*words: str | Path) -> int:
    return main([str(word) for word in words])


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert agh() == 2
    printed = capsys.readouterr().out
    assert all(name in printed for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        agh(command, "--help")
    assert stopped.value.code == 0
    assert command in capsys.readouterr().out


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


def test_doctor_tells_an_excerpt_from_the_whole(alfworld_games: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert agh("doctor", "--data", alfworld_games[0].parents[4]) == 0
    printed = capsys.readouterr().out
    assert "600 of 3553" in printed
    assert "release 0.4" in printed


def test_doctor_looks_for_the_official_shop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WEBSHOP_DATA", raising=False)
    assert agh("doctor") == 0
    printed = capsys.readouterr().out
    assert "embedded shop: always there" in printed
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
def test_doctor_names_the_tagger(model: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"spacy", "en_core_web_lg"} if model else {"spacy"}
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *_: object() if name in there else None)
    said = _tagger(("en_core_web_sm", "en_core_web_lg"))
    assert said.startswith(
        "model en_core_web_lg" if model else "no model; cure: python -m spacy download en_core_web_sm"
    )


def test_a_person_shops(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    typed = iter([":actions", "search[red shoes]", "click[nope]", ":actions", ":why", ":quit"])
    monkeypatch.setattr("rich.console.Console.input", lambda *_, **__: next(typed))
    assert agh("play", "--env", "WebShop-Hindsight-v0", *EMBEDDED, "--seed", "1") == 0
    printed = capsys.readouterr().out
    assert "search[words]" in printed
    assert "[SEP]" not in printed
    assert "Back to Search\nPage 1 (Total results:" in printed
    assert "why: 'nope' is not on the results page" in printed
    assert "click[next >]" in printed


def test_a_shopping_trip_ends_with_its_review(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = iter(["search[shoes]", ":quit"])
    monkeypatch.setattr("rich.console.Console.input", lambda *_, **__: next(typed))
    assert agh("play", "--env", "WebShop-Hindsight-v0", *EMBEDDED, "--set", "max_steps=1") == 0
    assert "Nothing was bought: reward 0." in capsys.readouterr().out


def test_every_env_has_a_split_to_be_tried_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
def test_bench(words: list[str], shows: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_rollout_goes_on_where_it_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "rollouts.jsonl"
    arguments = ["rollout", *EMBEDDED, "--policy", "random", "--tasks", "4", "--siblings", "2", "--out", str(out)]
    assert agh(*arguments) == 0
    whole = out.read_bytes()
    lines = whole.splitlines(keepends=True)
    out.write_bytes(b"".join(lines[:3]) + lines[3][:100])  # as a crash leaves it
    assert agh(*arguments) == 0
    assert "line 4" in capsys.readouterr().err
    assert out.read_bytes() == whole
    assert agh(*arguments, "--fresh") == 0
    assert out.read_bytes() == whole


def test_rollout_does_not_mix_what_does_not_belong_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "rollouts.jsonl"
    assert agh("rollout", *EMBEDDED, "--tasks", "2", "--out", out) == 0
    assert agh("rollout", *EMBEDDED, "--tasks", "2", "--out", out, "--policy", "random") == 2
    assert "--fresh" in capsys.readouterr().err


def test_another_seed_or_setting_is_another_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "rollouts.jsonl"
    common = ["rollout", *EMBEDDED, "--tasks", "2", "--policy", "random", "--out", str(out)]
    assert agh(*common, "--siblings", "2") == 0
    assert agh(*common, "--seed", "9") == 2
    assert agh(*common, "--set", "max_steps=5") == 2
    assert "--fresh" in capsys.readouterr().err
    assert agh(*common) == 0, "fewer siblings than the file holds"
    assert "(2 rollouts)" in capsys.readouterr().out


def test_a_rollout_can_be_replayed(tmp_path: Path) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    common = ["rollout", *EMBEDDED, "--tasks", "3"]
    assert agh(*common, "--out", first, "--policy", "expert:0.3") == 0
    assert agh(*common, "--out", second, "--policy", f"replay:{first}") == 0
    played = [read_jsonl(path).trajectories for path in (first, second)]
    assert [t.replace(policy="", extra={}) for t in played[0]] == [t.replace(policy="", extra={}) for t in played[1]]


def test_ctrl_c_keeps_what_was_finished(tmp_path: Path) -> None:
    out = tmp_path / "rollouts.jsonl"
    words = ["rollout", *EMBEDDED, "--policy", "random", "--siblings", "50", "--num-envs", "8", "--out", str(out)]
    running = subprocess.Popen(
        [sys.executable, "-m", "agentgym_hindsight", *words], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not (out.exists() and out.stat().st_size > 100_000) and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert b"Traceback" not in said
    found = read_jsonl(out)
    assert found.trajectories
    assert not found.problems


def test_a_place_that_cannot_be_written_is_said_before_playing(capsys: pytest.CaptureFixture[str]) -> None:
    assert agh("rollout", *EMBEDDED, "--tasks", "2", "--out", "/proc/none/rollouts.jsonl") == 1
    assert "/proc/none" in capsys.readouterr().err


def test_a_panel_of_other_data_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = tmp_path / "panel.json"
    assert agh("data", "panel", *EMBEDDED, "--tasks", "6", "--out", manifest) == 0
    text = manifest.read_text().replace('"backend": "embedded"', '"backend": "official"')
    manifest.write_text(text)
    assert agh("rollout", *EMBEDDED, "--panel", manifest, "--out", tmp_path / "out.jsonl") == 2
    assert "one of official" in capsys.readouterr().err


def test_a_reader_that_leaves_early_is_no_failure() -> None:
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


def test_a_person_plays(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    typed = iter([":hint", ":actions", "look", "fly away", ":why", ":what", ":new", "inventory", ":quit"])
    monkeypatch.setattr("rich.console.Console.input", lambda *_, **__: next(typed))
    assert agh("play", *EMBEDDED, "--seed", "1") == 0
    printed = capsys.readouterr().out
    assert "why: " in printed
    assert "future_trajectory not known yet" in printed
    assert "You are not carrying anything." in printed


def test_anchors_makes_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "rollouts.jsonl"
    assert agh("rollout", *EMBEDDED, "--policy", "random", "--tasks", "4", "--siblings", "2", "--out", out) == 0
    capsys.readouterr()
    assert agh("anchors", out) == 0
    assert "| " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
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
def test_mistakes_are_answered_with_a_cure(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    status = agh(*words)
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said
    assert status == (1 if "data" in words[:1] or "/nowhere/at/all" in " ".join(words) else 2)


@pytest.mark.genuine
def test_parity_ends_with_its_count(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("alfworld", reason="the genuine engine (extra [alfworld]) is not installed")
    if sys.version_info >= (3, 13):
        pytest.skip("textworld 1.7 does not run on Python 3.13")
    words = ["parity", "alfworld", "--generated", "2", "--turns", "6", "--workers", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "agentgym_hindsight", *words], capture_output=True, text=True, env=os.environ.copy()
    )
    assert done.stdout.splitlines()[-1].startswith("differences: 0 of "), done.stderr
    assert done.returncode == 0
