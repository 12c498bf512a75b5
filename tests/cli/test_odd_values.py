"""Whatever a user types, a command ends with a status and a message, never with a traceback.

Every option of every command gets odd values, one at a time. Only the values are odd: a command that would play long
gets few tasks.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agentgym_hindsight.baselines.policies.transformers import TransformersPolicy
from agentgym_hindsight.cli import full_parser, main
from agentgym_hindsight.cli.completion_words import CommandWords, command_words
from agentgym_hindsight.exports.formats import FORMATS

#: Values that no option is made for.
ODD = (
    "", " ", "-1", "0", "1e999", "nan", "NaN", "-0.5", "99999999999999999999999999", "9" * 5000, "true", "null", "[]",
    "{", '{"a":', '["x"', "[" * 20_000, "\x1b[31mred", "\x00", "\udc80\udcff", "a" * 5000, "/",
    "/dev/full", "/dev/null", "/proc/none/x", "FOLDER", "FOLDER/", "FILE", "FILE/below", "missing.json", "CartPole-v1",
    "tests.toy:Missing", "module:", ":", ":x", "nowhere.at.all:X", "math:pi", "ALFWorld", "=", "a=", "=a", "id=1",
    "max_steps=NaN", "max_steps=[", "data={}", "data=", "split=train", "env_id=x", "spec=1", "max_episode_steps=3",
    "render_mode=nope", "anchor=[]", "expert=1", "expert:abc", "replay:", "replay:missing", "replay:FILE", "endpoint:",
    "endpoint:http://127.0.0.1:1#m", "vllm:", "react:", "react:expert:abc", "reflexion", "reflexion:react:x",
    "[red]x[/red]", "%s%n", "$(id)", "日本", "-", "--", "--x",
)  # fmt: skip

#: The shortest whole call of each command: its odd option is added. ``None``: not called with odd values.
CALLS: dict[str, list[str] | None] = {
    "list": [],
    "doctor": [],
    "demo": ["--scripted", "--tasks", "2", "--out", "DEMO"],
    "play": ["--set", "data=embedded"],
    "serve": None,  # a value that it accepts would serve for ever; see test_serve.py
    "rollout": ["--set", "data=embedded", "--tasks", "1", "--num-envs", "1", "--out", "OUT.jsonl"],
    "train": ["serl", "--print-config"],
    "eval": ["--set", "data=embedded", "--tasks", "1", "--num-envs", "1", "--out", "EVAL"],
    "compare": ["nothing"],
    "report": ["FOLDER"],
    "export": ["FILE", "--to", "messages", "--out", "EXPORT.jsonl"],
    "import": ["FILE", "--from", "messages", "--out", "IMPORT.jsonl"],
    "view": ["FILE", "--export", "PAGE.html"],  # without --export it would serve for ever; see test_view.py
    "data list": ["--tasks", "1"],
    "data panel": ["--tasks", "1", "--out", "PANEL.json"],
    "data export": ["--tasks", "1", "--set", "data=embedded", "--out", "GAMES"],
    "data references": ["FILE", "--env", "webshop", "--set", "products=200", "--out", "REF.jsonl"],
    "data check": ["FOLDER"],
    "data install": ["appworld", "--dry-run"],
    "models list": [],
    "models get": ["smollm2", "--dry-run"],
    "bench": ["webshop"],
    "parity": ["alfworld", "--generated", "1", "--turns", "1", "--workers", "1"],
    "anchors": ["FILE"],
    "credit": ["FILE"],
    "methods": [],
    "audit": ["--set", "data=embedded", "--set", "max_steps=3", "--tasks", "1", "--siblings", "2", "--turns", "1",
              "--continuations", "2", "--num-envs", "2", "--out", "AUDIT"],
    "completion": [],
}  # fmt: skip

#: Options that would make a call long, or start other programs, with a value that is not odd for them.
LONG = {
    ("eval", "--generate"), ("demo", "--updates"), ("data install", "--yes"),
}  # fmt: skip


#: Calls that take long for one value; ordinary runs try every twelfth value, the slow tests all.
SECONDS = {
    ("play", "--task"), ("eval", "--policy"), ("eval", "--out"), ("audit", "--images"), ("audit", "--anchor"),
    ("audit", "--out"), ("audit", "--reference"), ("parity", "--data"), ("demo", "--out"),
}  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("ALFWORLD_DATA", "WEBSHOP_DATA", "APPWORLD_PYTHON", "APPWORLD_ROOT", "APPWORLD_SERVERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AGENTGYM_HINDSIGHT_DATA", str(tmp_path / "data"))
    # With options that they accept, these would run for long.
    agrees = SimpleNamespace(summary=lambda: "no differences", agrees=True)
    monkeypatch.setattr("agentgym_hindsight.envs.alfworld.parity.run_parity", lambda *_, **__: agrees)
    monkeypatch.setattr("agentgym_hindsight.cli.bench_command._measure", lambda *_: ([("figure", "1")], ""))
    load = TransformersPolicy.load

    def load_without_network(name: str, **options: Any) -> object:
        if not Path(name).exists():
            raise OSError(f"{name} is neither a local folder nor a name on the hub")
        return load(name, **options)

    monkeypatch.setattr(TransformersPolicy, "load", load_without_network)
    (tmp_path / "FOLDER").mkdir()
    (tmp_path / "FILE").write_bytes(b"my notes\xff\n")
    return tmp_path


def words_of(root: CommandWords) -> Iterator[tuple[str, list[str]]]:
    """Each command, and its options that take a value."""
    for command in root.all:
        if command.path and not command.below:
            yield " ".join(command.path), [flag for flag, value in command.options.items() if value is not None]


def calls() -> list[tuple[str, str]]:
    pairs = []
    for command, flags in words_of(command_words(full_parser()[0])):
        pairs += [(command, flag) for flag in [*flags, "word"] if (command, flag) not in LONG]
    return [pair for pair in pairs if CALLS.get(pair[0], []) is not None]


def test_every_command_is_called() -> None:
    found = {command for command, _ in words_of(command_words(full_parser()[0]))}
    missing_extra = set() if "train" in found else {"train", "compare"}
    assert found | missing_extra | {"train", "compare"} == set(CALLS)


@pytest.mark.parametrize(("command", "flag"), calls())
def test_an_odd_value_gives_a_message(
    command: str, flag: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every third value; which third depends on the option, so that each value is tried with many options."""
    few = (command, flag) in SECONDS or flag == "--task"  # an unknown id lists all tasks, which takes seconds
    every = 12 if few else 3
    first = zlib.crc32(f"{command} {flag}".encode()) % every
    try_values(ODD[first::every], command, flag, place, monkeypatch, capsys)


@pytest.mark.slow
@pytest.mark.parametrize(("command", "flag"), calls())
def test_all_odd_values_give_a_message(
    command: str, flag: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    try_values(ODD, command, flag, place, monkeypatch, capsys)


def test_the_long_calls_are_there() -> None:
    assert set(calls()) >= SECONDS


def try_values(
    values: Sequence[str],
    command: str,
    flag: str,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Call a command with each of the values, and raise if one has no clear answer."""
    problems = []
    for value in values:
        if flag == "--tasks" and value == "0":
            continue  # all tasks of the split: not odd
        monkeypatch.setattr("sys.stdin", io.StringIO("look\n:why\nquit\n"))
        words = [*command.split(), *(CALLS[command] or []), *([value] if flag == "word" else [flag, value])]
        shown = [word[:60] for word in words]
        try:
            status = main(words)
        except SystemExit as stopped:  # --help
            status = int(str(stopped.code or 0))
        except BaseException as error:
            problems.append(f"{shown}: {error!r}")
            continue
        printed = capsys.readouterr()
        if status not in (0, 1, 2):
            problems.append(f"{shown}: status {status}")
        if "Traceback" in printed.err or "unexpected error" in printed.err:
            problems.append(f"{shown}: {printed.err[-400:]}")
        if status == 2 and not any(cure in printed.err for cure in ("try ", "did you mean", "Known: ", "install")):
            problems.append(f"{shown}: no cure in {printed.err[-300:]}")
        if status and not printed.err.strip() and command not in ("data check", "data references", "parity"):
            problems.append(f"{shown}: no message")
        if any(ord(character) < 32 and character not in "\n\t" for character in printed.out + printed.err):
            problems.append(f"{shown}: control characters in {printed!r}"[:500])
        if (place / "FILE").read_bytes() != b"my notes\xff\n" or not (place / "FOLDER").is_dir():
            problems.append(f"{shown}: the user's file is gone")
    assert not problems, "\n".join(problem[:600] for problem in problems)


#: Contents of files that a command reads.
CONTENTS: dict[str, bytes] = {
    "nothing": b"",
    "no UTF-8": b"\xff\xfe\x00",
    "NUL bytes": bytes(1000),
    "null": b"null",
    "a list": b"[1, 2]",
    "a number": b"7",
    "an object": b"{}",
    "deep": b"[" * 100_000,
    "deep object": b'{"a":' * 100_000,
    "an endless number": b'{"schema": ' + b"9" * 10_000 + b"}",
    "a panel without tasks": b'{"schema": "agentgym-hindsight/panel", "version": 1, "name": "x", "tasks": [],'
    b' "fingerprint": "e4a6a0577479b2b4"}',
    "a panel of numbers": b'{"schema": "agentgym-hindsight/panel", "version": 1, "name": 3, "tasks": [1],'
    b' "fingerprint": 4}',
    "a trajectory of another version": b'{"schema": "agentgym-hindsight/trajectory", "version": 77}\n',
    "a trajectory without steps": b'{"schema":"agentgym-hindsight/trajectory","version":1,"task_id":"x","steps":7}\n',
    "YAML": b"a: [1\n",
    "YAML aliases": b"a: &a [x]\nplan: {updates: *a}\n",
    "a run": b'{"settings": {"stage": {"env": 3, "settings": []}, "plan": null}}',
}
READERS = {
    "rollout, panel": ["rollout", "--set", "data=embedded", "--out", "OUT.jsonl", "--panel", "GIVEN"],
    "rollout, replay": ["rollout", "--set", "data=embedded", "--tasks", "1", "--policy", "replay:GIVEN"],
    "rollout, games": ["rollout", "--tasks", "1", "--set", "data=GIVEN"],
    "eval, panel": ["eval", "--set", "data=embedded", "--out", "EVAL", "--panel", "GIVEN"],
    "eval, replay": ["eval", "--set", "data=embedded", "--tasks", "1", "--policy", "replay:GIVEN"],
    "eval, model": ["eval", "--set", "data=embedded", "--tasks", "1", "--policy", "MODEL/policy"],
    "play": ["play", "--game-file", "GIVEN"],
    "anchors": ["anchors", "GIVEN"],
    **{f"export, {name}": ["export", "GIVEN", "--to", name, "--out", f"EXPORT-{name}"] for name in FORMATS},
    **{f"import, {name}": ["import", "GIVEN", "--from", name, "--out", "IMPORT.jsonl"] for name in FORMATS},
    "report": ["report", "MODEL"],
    "train": ["train", "--config", "GIVEN", "--print-config"],
    "compare": ["compare", "grpo", "--config", "GIVEN", "--seeds", "1", "--set", "plan.nothing=1"],
    "data check": ["data", "check", "GIVEN"],
    "references": ["data", "references", "GIVEN", "--env", "webshop", "--set", "products=200", "--out", "REF.jsonl"],
    "parity": ["parity", "alfworld", "--data", "GIVEN"],
    "doctor": ["doctor", "--data", "."],
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
@pytest.mark.parametrize("reader", READERS)
def test_odd_files_give_a_message(
    reader: str, content: bytes, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = READERS[reader]
    if words[0] in ("train", "compare") or "MODEL/policy" in words:
        pytest.importorskip("torch", reason="needs the extra [train]")
    monkeypatch.setattr("sys.stdin", io.StringIO(":quit\n"))
    (place / "MODEL" / "policy").mkdir(parents=True)
    for name in (
        "GIVEN",
        "MODEL/run.json",
        "MODEL/metrics.jsonl",
        "MODEL/policy/config.json",
        "items_shuffle_1000.json",
    ):
        (place / name).write_bytes(content)
    status = main(words)
    error = capsys.readouterr().err
    assert status in (0, 1, 2)
    assert "Traceback" not in error
    assert "unexpected error" not in error
    assert not any(ord(character) < 32 and character not in "\n\t" for character in error)
