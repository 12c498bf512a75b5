"""``agh play`` without a terminal: turns, the end of a session, odd input."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from agentgym_hindsight.cli import main

Capture = pytest.CaptureFixture[str]
HOUSE = ["play", "--set", "data=embedded", "--seed", "1", "--set", "max_steps=2"]


def played(lines: list[str], capsys: Capture, monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    assert main(list(words or HOUSE)) == 0
    return capsys.readouterr().out


def test_the_prompt_counts_turns(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = played(["look", ":help", "", "look", "look", ":new", ":quit"], capsys, monkeypatch)
    assert printed.count("turn 1 of 2 > ") == 2
    assert printed.count("turn 2 of 2 > ") == 3, "neither :help nor an empty line costs a turn"
    assert "turn 3" not in printed
    assert "The game is over" in printed


@pytest.mark.parametrize("word", ["quit", "exit", " QUIT ", ":quit", ":q", ":exit"])
def test_a_word_that_stops(word: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = played([word, "look"], capsys, monkeypatch)
    assert "turn 2" not in printed
    assert printed.count("> ") == 1


def test_a_world_with_the_action_quit_keeps_it(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.toy import CorridorBackend

    monkeypatch.setattr(CorridorBackend, "_legal", lambda _: ("east", "quit"))
    words = ["play", "--env", "tests.wrappers.stack:WrappedCorridor-v0", "--seed", "1"]
    assert "turn 2" in played(["quit", ":quit"], capsys, monkeypatch, *words)


def test_in_a_world_of_programs_too(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = played(["exit", "print(41 + 1)"], capsys, monkeypatch, "play", "--env", "appworld", "--seed", "1")
    assert "42" not in printed


@pytest.mark.parametrize("stdin", [b"\xff\xfe look\n", b"", b"\x00\n", b"look" * 100_000 + b"\n"])
def test_odd_input(stdin: bytes) -> None:
    command = [sys.executable, "-m", "agentgym_hindsight", *HOUSE]
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr


def test_closed_input() -> None:
    command = ["bash", "-c", '"$0" "$@" <&-', sys.executable, "-m", "agentgym_hindsight", *HOUSE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
