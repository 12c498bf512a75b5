"""``agh`` in a real terminal: narrow ones, ones without colour, and the line editor of ``agh play``."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("needs a pseudo-terminal", allow_module_level=True)

from agentgym_hindsight.cli.play_input import CommandLine, history_file
from agentgym_hindsight.cli.tables import Grid
from agentgym_hindsight.cli.terminal import SafeConsole
from agentgym_hindsight.registration import ENVS
from tests.cli.terminal import Terminal

PLAIN = [{"NO_COLOR": "1"}, {"TERM": "dumb"}]


# -- narrow terminals -------------------------------------------------------------------------------------------------


def test_ids_are_whole_in_40_columns(tmp_path: Path) -> None:
    terminal = Terminal("list", columns=40, cwd=tmp_path)
    assert terminal.finish() == 0
    lines = terminal.printed.splitlines()
    assert all(entry.id in lines for entry in ENVS)
    assert "…" not in terminal.printed


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 150])
def test_an_evaluation_cuts_no_word(columns: int, tmp_path: Path) -> None:
    words = ["eval", "--set", "data=embedded", "--tasks", "6", "--policy", "expert", "random", "--out", "e"]
    terminal = Terminal(*words, columns=columns, cwd=tmp_path, NO_COLOR="1")
    assert terminal.finish() == 0
    results = terminal.printed.partition(" on valid_unseen")[2]  # below the progress bars, which may be cut
    for text in ("look_at_obj_in_light", "pick_clean_then_place_in_recep", "100.0%", "[61.0%,", "-100.0", "e/expert"):
        assert text in results
    assert "…" not in results


def test_a_grid_is_a_table_or_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    grid = Grid("Title", ("id", "value"), [("x" * 30, "a b\nc"), ("y", "")], text_columns=2)
    grid.print(SafeConsole(width=50))
    assert "┃ id" in capsys.readouterr().out
    grid.print(SafeConsole(width=30))
    assert capsys.readouterr().out.splitlines() == ["Title", "x" * 30, "  value: a b", "    c", "y"]


# -- no colour --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("environment", PLAIN, ids=["NO_COLOR", "dumb"])
@pytest.mark.parametrize("words", [["list"], ["rollout", "--set", "data=embedded", "--tasks", "3", "--out", "x.jsonl"]])
def test_no_escape_is_printed(words: list[str], environment: dict[str, str], tmp_path: Path) -> None:
    terminal = Terminal(*words, cwd=tmp_path, **environment)
    assert terminal.finish() == 0
    assert terminal.printed.strip()
    assert "\x1b" not in terminal.printed


def test_with_colour_escapes_are_printed(tmp_path: Path) -> None:
    terminal = Terminal("list", cwd=tmp_path, columns=150)
    assert terminal.finish() == 0
    assert "\x1b[" in terminal.printed, "otherwise the tests above would show nothing"


@pytest.mark.parametrize("environment", PLAIN, ids=["NO_COLOR", "dumb"])
def test_play_prints_no_escape(environment: dict[str, str], tmp_path: Path) -> None:
    terminal = play(tmp_path, **environment)
    terminal.type("lo\t")
    terminal.type("\n")
    terminal.expect("turn 2 of 9 > ")
    terminal.type(":why\n")
    terminal.expect("future_trajectory")
    terminal.type("quit\n")
    assert terminal.finish() == 0
    assert "\x1b" not in terminal.printed


# -- the line editor --------------------------------------------------------------------------------------------------


def play(folder: Path, **environment: str) -> Terminal:
    words = ["play", "--set", "data=embedded", "--set", "max_steps=9", "--seed", "1"]
    terminal = Terminal(*words, cwd=folder, **{"XDG_STATE_HOME": str(folder / "state"), **environment})
    terminal.expect("turn 1 of 9 > ")
    return terminal


def test_tab_completes_and_the_history_is_kept(tmp_path: Path) -> None:
    terminal = play(tmp_path)
    terminal.type("inv\t")
    terminal.expect("inventory")
    terminal.type("\n")
    terminal.expect("You are not carrying anything.")
    terminal.expect("turn 2 of 9 > ")
    terminal.type(":qu\t")
    terminal.expect(":quit")
    terminal.type("\n")
    assert terminal.finish() == 0
    file = tmp_path / "state" / "agentgym_hindsight" / "play_history"
    assert "inventory\n" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    terminal = play(tmp_path)
    terminal.type("\x1b[A\x1b[A")  # the arrow up, twice
    terminal.expect("inventory")
    terminal.type("\n")
    terminal.expect("turn 2 of 9 > ")
    terminal.type("exit\n")
    assert terminal.finish() == 0


@pytest.mark.parametrize("state", ["/proc/none", "link", "folder"])
def test_a_history_that_cannot_be_written_is_no_error(state: str, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    target = tmp_path / state / "agentgym_hindsight" / "play_history"
    if state == "link":
        target.parent.mkdir(parents=True)
        target.symlink_to(tmp_path / "mine")
    elif state == "folder":
        target.mkdir(parents=True)
    terminal = play(tmp_path, XDG_STATE_HOME=str(tmp_path / state) if state != "/proc/none" else state)
    terminal.type("look\n")
    terminal.expect("turn 2 of 9 > ")
    terminal.type("\x04")  # Ctrl-D
    assert terminal.finish() == 0
    assert (tmp_path / "mine").read_text() == "mine"
    assert "Traceback" not in terminal.printed


def test_ctrl_c_stops_without_a_traceback(tmp_path: Path) -> None:
    terminal = play(tmp_path)
    terminal.process.send_signal(2)
    assert terminal.finish() == 130
    assert "Traceback" not in terminal.printed


def test_the_default_place_of_the_history(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert history_file() == tmp_path / ".local" / "state" / "agentgym_hindsight" / "play_history"


def test_what_tab_offers() -> None:
    line = CommandLine(lambda: ["go to desk 1", "Go north", "look", ":quit", "go \x1b[31m"], code=False)
    assert line.matches("go ") == ["go to desk 1", "Go north"]
    assert line.matches("") == ["go to desk 1", "Go north", "look", ":quit"]
    assert line.matches(":q") == [":quit"]
    program = CommandLine(lambda: [":quit"], code=True)
    assert program.matches("") == ["    "]
    assert program.matches(":") == [":quit"]
