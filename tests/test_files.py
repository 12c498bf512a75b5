"""Pipes, devices, sockets and folders given as files are refused at once, by every reader of files."""

from __future__ import annotations

import os
import signal
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

import agentgym_hindsight  # noqa: F401  # registers the ids
from agentgym_hindsight.baselines.report.runs import read_run
from agentgym_hindsight.baselines.run_log import RunLog
from agentgym_hindsight.envs.alfworld.gamefile import read_game
from agentgym_hindsight.envs.alfworld.library import FileLibrary
from agentgym_hindsight.envs.webshop.goals import recorded_goals
from agentgym_hindsight.envs.webshop.json_stream import JsonFile
from agentgym_hindsight.envs.webshop.official_files import read_json
from agentgym_hindsight.errors import DamagedDataError, DataError, MissingDataError
from agentgym_hindsight.files import open_file, read_file, read_text
from agentgym_hindsight.hindsight.jsonl import read_jsonl
from agentgym_hindsight.hindsight.judge_cache import AnswerCache
from agentgym_hindsight.hindsight.reference_store import ReferenceStore
from agentgym_hindsight.tasks import TaskPanel

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with a name")


@pytest.fixture(autouse=True)
def alarm() -> Iterator[None]:
    """A reader that waits for a writer would never return."""

    def stop(*_: object) -> None:
        raise TimeoutError("the reader waits")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def endless(folder: Path) -> Path:
    (folder / "zero").symlink_to("/dev/zero")
    return folder / "zero"


def a_folder(folder: Path) -> Path:
    (folder / "folder").mkdir()
    return folder / "folder"


def a_socket(folder: Path) -> Path:
    here = Path.cwd()
    os.chdir(folder)  # the path of a socket is limited to a hundred bytes
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket")
    finally:
        os.chdir(here)
    return folder / "socket"


MAKERS = {"a pipe": pipe, "a device": endless, "a folder": a_folder, "a socket": a_socket}


def as_run(read: Callable[[Path], object], name: str) -> Callable[[Path], object]:
    """Read a folder in which the file has this name."""

    def run(path: Path) -> object:
        target = path.parent / name
        path.rename(target)
        return read(path.parent)

    return run


def play(path: Path) -> object:
    env = gym.make("ALFWorld-Hindsight-v0", data="embedded")
    return env.reset(options={"game_file": path})


READERS: dict[str, Callable[[Path], Any]] = {
    "open_file": open_file,
    "read_file": read_file,
    "read_game": read_game,
    "FileLibrary": FileLibrary().open,
    "game_file": play,
    "read_jsonl": read_jsonl,
    "ReferenceStore": ReferenceStore.load,
    "TaskPanel": TaskPanel.load,
    "AnswerCache": AnswerCache,
    "read_json": read_json,
    "recorded_goals": recorded_goals,
    "JsonFile": JsonFile,
    "RunLog": as_run(lambda folder: RunLog(folder).read("metrics"), "metrics.jsonl"),
    "RunLog.check": as_run(lambda folder: RunLog(folder).check({}), "run.json"),
    "read_run": as_run(read_run, "run.json"),
}


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("name", READERS)
def test_only_regular_files_are_read(name: str, kind: str, tmp_path: Path) -> None:
    path = MAKERS[kind](tmp_path)
    expected = kind
    if name in ("FileLibrary", "game_file") and kind == "a folder":
        expected = "no file"  # a folder may contain the game
    with pytest.raises(DataError, match=expected):
        READERS[name](path)


def test_a_regular_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("é\r\n", encoding="utf-8")
    assert read_text(path) == "é\r\n"
    assert read_file(str(path), largest=4) == "é\r\n".encode()
    link = tmp_path / "link"
    link.symlink_to(path)
    with open_file(link) as file:
        assert stat.S_ISREG(os.fstat(file.fileno()).st_mode)


def test_the_size_is_limited(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    with pytest.raises(DamagedDataError, match=r"a list of at most 4 bytes at '.*file', got more; try less"):
        read_file(path, "a list", "try less.", largest=4)
    with path.open("wb") as file:
        file.truncate(1 << 40)  # no disk space is used
    with pytest.raises(DamagedDataError, match="at most 8,388,608 bytes"):
        read_game(path)


def test_a_file_that_reports_no_size_is_limited_too() -> None:
    source = Path("/proc/self/maps")
    if not source.exists():
        pytest.skip("needs /proc")
    assert source.stat().st_size == 0
    assert len(read_file(source)) > 100
    with pytest.raises(DamagedDataError, match="at most 10 bytes"):
        read_file(source, largest=10)


def test_a_missing_file_and_impossible_paths(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"Expected a panel, found no file at '.*nothing'; try again\."):
        read_file(tmp_path / "nothing", "a panel", "try again.")
    for path in ("a\0b", "x" * 5000):
        with pytest.raises(DataError) as caught:
            read_file(path)
        assert len(str(caught.value)) < 600
