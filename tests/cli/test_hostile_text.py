"""Text of worlds, models and files reaches the terminal as text: no control character, no markup."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest

from agentgym_hindsight.cli import main
from agentgym_hindsight.cli.progress import progress_display
from agentgym_hindsight.cli.tables import Grid
from agentgym_hindsight.cli.terminal import SafeConsole, console, print_json
from agentgym_hindsight.hindsight.jsonl import write_jsonl
from agentgym_hindsight.hindsight.trajectory import Step
from tests.cli.hostile import ATTACK

HOSTILE = ["--env", "tests.cli.hostile:Hostile-v0"]
#: All that a terminal would execute, and what reorders text. Line feeds and tabs are wanted.
DANGEROUS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
Capture = pytest.CaptureFixture[str]


def check(printed: str, *shown: str) -> None:
    found = DANGEROUS.search(printed)
    assert found is None, f"{found[0]!r} in {printed[max(0, found.start() - 60) : found.end() + 20]!r}"
    for text in shown:
        assert text in printed


def agh(*words: str | Path) -> int:
    return main([str(word) for word in words])


def test_play(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    typed = "\n".join([":actions", ":hint", "look", ":why", ":help", "win", ":why", "quit"])
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert agh("play", *HOSTILE) == 0
    printed = capsys.readouterr()
    check(printed.out, "start\\x1b[31m", "reply\\x1b[31m", "why\\x1b[31m", "[red]", ":smile:", "end\\x1b")
    check(printed.err)


def test_play_in_human_mode(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("look\nquit\n"))
    assert agh("play", *HOSTILE, "--set", "render_mode=human") == 0
    printed = capsys.readouterr()
    check(printed.out, "reply\\x1b[31m")
    check(printed.err)


@pytest.mark.parametrize("command", ["rollout", "eval"])
@pytest.mark.parametrize("more", [[], ["--workers", "1"]], ids=["here", "worker"])
def test_rollouts_and_evaluations(command: str, more: list[str], tmp_path: Path, capsys: Capture) -> None:
    assert agh(command, *HOSTILE, "--policy", "random", "--out", tmp_path / "out", *more) == 0
    printed = capsys.readouterr()
    check(printed.out, "kind\\x1b[31m", "hostile\\x1b", "[red]")
    check(printed.err)


def test_a_broken_rollout(tmp_path: Path, capsys: Capture) -> None:
    recorded = tmp_path / "recorded.jsonl"
    tasks = ["rollout", *HOSTILE, "--policy", "random", "--out", recorded]
    assert agh(*tasks) == 0
    from agentgym_hindsight.hindsight.jsonl import read_jsonl

    step = Step(0, "", "break", "", "")
    write_jsonl(recorded, [each.replace(steps=(step,)) for each in read_jsonl(recorded).trajectories])
    capsys.readouterr()
    words = ["rollout", *HOSTILE, "--policy", f"replay:{recorded}", "--out", tmp_path / "out.jsonl"]
    assert agh(*words) == 1
    printed = capsys.readouterr()
    check(printed.out)
    check(printed.err, "broken\\x1b[31m", "[red]")


def test_results_as_json(tmp_path: Path, capsys: Capture) -> None:
    assert agh("eval", *HOSTILE, "--policy", "random", "--out", tmp_path, "--json") == 0
    printed = capsys.readouterr().out
    check(printed)
    assert json.loads(printed)["policies"][0]["seeds"][0]["categories"][0]["name"] == f"kind{ATTACK}"


def test_data_list_and_anchors(tmp_path: Path, capsys: Capture) -> None:
    assert agh("data", "list", *HOSTILE) == 0
    check(capsys.readouterr().out, "goal\\x1b[31m")
    assert agh("rollout", *HOSTILE, "--policy", "random", "--out", tmp_path / "x.jsonl") == 0
    assert agh("anchors", tmp_path / "x.jsonl") == 0
    check(capsys.readouterr().out)


def test_a_file_of_another_program(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "name\x1b[31m.jsonl"
    path.write_text(f"{ATTACK.encode('utf-8', 'replace').decode()}\n")
    assert agh("anchors", path) == 2
    assert agh("rollout", "--set", "data=embedded", "--out", path) == 2
    printed = capsys.readouterr()
    check(printed.out)
    check(printed.err, "\\x1b")


@pytest.mark.parametrize("words", [["rollout", "--env"], ["rollout", "--polic"], ["bench"], ["rollout", "--out", "x"]])
def test_the_users_own_words(
    words: list[str], capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert agh(*words, f"x{ATTACK}") == 2
    check(capsys.readouterr().err, "x\\x1b[31m" if words != ["rollout", "--out", "x"] else "x")


def test_every_way_to_the_console(capsys: Capture) -> None:
    from rich.text import Text

    out = SafeConsole()
    out.print(ATTACK, style="bold")
    out.print(Text(ATTACK))
    out.print(Text.assemble(("x", "bold"), ATTACK))
    Grid(ATTACK, (f"head{ATTACK}", "b"), [(ATTACK, ATTACK)], text_columns=2).print(out)
    Grid(ATTACK, (f"head{ATTACK}", "b"), [(ATTACK * 9, ATTACK)], text_columns=2).print(SafeConsole(width=40))
    console.print(ATTACK, soft_wrap=True)
    print_json({ATTACK: ATTACK})
    with progress_display(console) as bar:
        line = bar.add_task(ATTACK, total=2, note=ATTACK)
        bar.update(line, advance=1, note=f"[bold]{ATTACK}")
    printed = capsys.readouterr()
    check(printed.out, "[red]", "[bold", ":smile:", "\\x1b[31m")
    check(printed.err, "[red]")


def test_a_warning_with_colours(capsys: Capture) -> None:
    import warnings

    from agentgym_hindsight.cli.terminal import plain_warnings

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with plain_warnings():
            warnings.warn(f"\x1b[33mWARN: a{ATTACK}\x1b[0m", stacklevel=1)
    error = capsys.readouterr().err
    check(error, "warning: WARN: a")
    assert len(error.splitlines()) == 1
