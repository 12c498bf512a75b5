"""A file of another program is kept by every command that writes, unless the user says --fresh."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from agentgym_hindsight.cli import main
from agentgym_hindsight.hindsight.jsonl import read_jsonl, write_jsonl
from agentgym_hindsight.hindsight.trajectory import Trajectory
from tests.baselines.report.faked import fake_run

FOREIGN = {
    "a note": b"my notes\nline two\n",
    "a table": b"task,score\n1,0.5\n",
    "foreign JSONL": b'{"a": 1}\n{"b": 2}\n',
    "another version": b'{"schema":"agentgym-hindsight/trajectory","version":99,"task_id":"1"}\n',
    "binary": bytes(range(256)),
    "a cut line of another program": b'{"name": "x", "val',
}
EMBEDDED = ["--set", "data=embedded", "--tasks", "2"]


def agh(*words: str | Path) -> int:
    return main([str(word) for word in words])


def report(out: Path) -> list[str | Path]:
    fake_run(out.parent / "run", updates=3)
    return ["report", out.parent / "run", "--out", out]


#: Command → its words, for the file that it writes.
WRITERS = {
    "rollout": lambda out: ["rollout", *EMBEDDED, "--out", out],
    "eval": lambda out: ["eval", *EMBEDDED, "--out", _in(out, "rollouts-expert-seed0.jsonl")],
    "eval, records": lambda out: ["eval", *EMBEDDED, "--out", _in(out, "eval.jsonl")],
    "eval, panel": lambda out: ["eval", *EMBEDDED, "--out", _in(out, "panel.json")],
    "data panel": lambda out: ["data", "panel", *EMBEDDED, "--out", out],
    "report": report,
    "bench": lambda out: ["bench", "webshop", "--out", out],
    "demo": lambda out: ["demo", "--scripted", "--tasks", "2", "--out", _in(out, "expert.jsonl")],
}


def _in(out: Path, name: str) -> Path:
    """Give the file the name that the command writes in its folder."""
    if out.exists():
        out.rename(out.parent / name)
    out.symlink_to(out.parent / name)
    return out.parent


@pytest.fixture(autouse=True)
def quick_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentgym_hindsight.cli.bench_command._measure", lambda *_: ([("figure", "1")], "--episodes 1"))


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("command", WRITERS)
def test_a_foreign_file_is_kept(
    command: str, content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.write_bytes(content)
    words = WRITERS[command](out)
    assert agh(*words) == 2
    assert out.read_bytes() == content
    error = capsys.readouterr().err
    assert "--fresh" in error
    assert len(error.splitlines()) == 1, "one message, not one for each line"
    assert agh(*words, "--fresh") == 0
    assert out.read_bytes() != content
    capsys.readouterr()
    assert agh(*words) == 0, "its own file is no foreign one"


def test_a_page_of_a_comparison_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="needs the extra [train]")
    page = tmp_path / "page.md"
    page.write_text("# My page\n")
    assert agh("compare", "grpo", "--seeds", "1", "--out", tmp_path / "runs", "--markdown", page) == 2
    assert page.read_text() == "# My page\n"
    assert "another --markdown" in capsys.readouterr().err


def test_the_log_of_another_program_is_kept(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs the extra [train]")
    from agentgym_hindsight.cli.compare_command import _log_file

    log = tmp_path / "grpo-seed0.log"
    assert _log_file(log) == log
    log.write_text("$ agh train grpo\n")
    assert _log_file(log) == log
    log.write_text("mine\n")
    assert _log_file(log) == tmp_path / "grpo-seed0.1.log"


def test_exported_games_replace_only_games(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["data", "export", *EMBEDDED, "--out", tmp_path / "games"]
    assert agh(*words) == 0
    assert agh(*words) == 0
    game = next(tmp_path.rglob("game.tw-pddl"))
    game.write_text(game.read_text()[:100])  # as after a crash
    assert agh(*words) == 0
    for name in ("game.tw-pddl", "traj_data.json"):
        (game.parent / name).write_text("mine")
        others = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
        assert agh(*words) == 2
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == others
        assert agh(*words, "--fresh") == 0
    assert agh("data", "export", *EMBEDDED, "--out", game) == 2
    capsys.readouterr()


def test_converted_recordings_replace_only_trajectories(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording, out = tmp_path / "logs.jsonl", tmp_path / "refs.jsonl"
    recording.write_text("{}\n")
    out.write_text("mine\n")
    words = ["data", "references", recording, "--env", "webshop", "--set", "products=200", "--out", out]
    assert agh(*words) == 2
    assert out.read_text() == "mine\n"
    assert "--fresh" in capsys.readouterr().err


def test_a_later_file_of_an_evaluation_is_checked_before_the_first_is_played(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rollouts-random-seed2.jsonl").write_text("mine\n")
    assert agh("eval", *EMBEDDED, "--policy", "random", "--seeds", "3", "--out", tmp_path) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["rollouts-random-seed2.jsonl"]
    capsys.readouterr()


@pytest.mark.parametrize("cut", [1, 20, 60, 200, -2])
def test_a_file_of_ours_with_a_cut_line_is_continued(
    cut: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.jsonl"
    words = ["rollout", *EMBEDDED, "--policy", "random", "--out", str(out)]
    assert agh(*words) == 0
    whole = out.read_bytes()
    first, second = whole.splitlines(keepends=True)
    for content in (first + second[:cut], second[:cut], first[:cut] + b"\n" + second):
        out.write_bytes(content)
        assert agh(*words) == 0
        assert sorted(out.read_bytes().splitlines()) == sorted(whole.splitlines())
    assert "incomplete" in capsys.readouterr().err


def test_an_empty_file_is_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out.jsonl").touch()
    assert agh("rollout", *EMBEDDED, "--out", tmp_path / "out.jsonl") == 0
    capsys.readouterr()


def test_rollouts_of_other_software_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.jsonl"
    write_jsonl(out, [Trajectory("1f")])
    assert agh("rollout", *EMBEDDED, "--out", out) == 2
    assert len(read_jsonl(out).trajectories) == 1
    assert "rollouts of another program" in capsys.readouterr().err


# -- places that cannot be written ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "place", "expected"),
    [
        ("rollout", "folder", "Expected a file"),
        ("rollout", "/dev/full", "device or pipe"),
        ("rollout", "/dev/null", "device or pipe"),
        ("rollout", "pipe", "device or pipe"),
        ("rollout", "file/below", "file"),
        ("rollout", "a" * 300, "shorter name"),
        ("rollout", "/proc/none/x", "/proc/none"),
        ("eval", "file", "Expected a folder"),
        ("eval", "file/below", "file"),
        ("data panel", "folder", "Expected a file"),
        ("report", "folder", "Expected a file"),
        ("bench", "folder", "Expected a file"),
        ("demo", "file", "Expected a folder"),
    ],
)
def test_a_wrong_place_is_reported_before_playing(
    command: str,
    place: str,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def played(*_: object, **__: object) -> None:
        raise AssertionError("played before the place was checked")

    for name in ("rollout_command.rollout", "demo_command.rollout", "eval_jobs.play", "bench_command._measure"):
        monkeypatch.setattr(f"agentgym_hindsight.cli.{name}", played)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    os.mkfifo(tmp_path / "pipe")
    out = tmp_path / place
    words: dict[str, list[str | Path]] = {
        "rollout": ["rollout", *EMBEDDED],
        "eval": ["eval", *EMBEDDED],
        "data panel": ["data", "panel", *EMBEDDED],
        "report": ["report", fake_run(tmp_path / "run", updates=3)],
        "bench": ["bench", "webshop"],
        "demo": ["demo", "--scripted", "--tasks", "2"],
    }
    assert agh(*words[command], "--out", out) in (1, 2)
    assert expected in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "run") == ["file", "folder", "pipe"]


def run(words: Sequence[str | Path], *, limit: int | None = None, shell: str = "") -> subprocess.CompletedProcess[str]:
    """Run ``agh`` in a process of its own, in which no file may grow beyond ``limit`` bytes."""

    def restrict() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    command = [sys.executable, "-m", "agentgym_hindsight", *map(str, words)]
    if shell:
        command = ["bash", "-c", f'"$0" "$@" {shell}', *command]
    return subprocess.run(command, capture_output=True, text=True, preexec_fn=restrict, timeout=120)


def test_a_full_disk_is_reported_before_playing(tmp_path: Path) -> None:
    done = run(["rollout", *EMBEDDED, "--out", tmp_path / "out.jsonl"], limit=1000)
    assert done.returncode == 1
    assert "write to another disk" in done.stderr
    assert "Traceback" not in done.stderr
    assert "expert" not in done.stderr, "no progress bar: nothing was played"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    "words",
    [["list"], pytest.param(["list", "--json"], marks=pytest.mark.slow), ["data", "list", *EMBEDDED]],
    ids=" ".join,
)
def test_full_standard_output_is_reported(words: list[str]) -> None:
    done = run(words, shell="> /dev/full")
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_streams_are_no_error(closed: str) -> None:
    done = run(["list", "--plain"], shell=closed)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_an_argument_that_is_no_utf_8() -> None:
    command = [os.fsencode(sys.executable), b"-m", b"agentgym_hindsight", b"rollout", b"--env", b"\xff\xfe"]
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert done.returncode == 2
    assert b"Expected a known environment id" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.slow
def test_an_output_without_utf_8() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "agentgym_hindsight", "doctor"]
    done = subprocess.run(command, capture_output=True, env=environment, timeout=120)
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    json_done = subprocess.run([*command, "--json"], capture_output=True, env=environment, timeout=120)
    assert json.loads(json_done.stdout)["healthy"] is True


def test_a_closed_standard_error_loses_nothing_else(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = f"{sys.executable} -m agentgym_hindsight rollout --set data=embedded --tasks 1 --out r.jsonl 2>&-"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert done.returncode == 0
    assert len((tmp_path / "r.jsonl").read_text().splitlines()) == 1
