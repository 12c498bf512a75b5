"""``agh eval --policy vllm:…``: several engines one after the other, and one that is killed."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("vllm", reason="needs vLLM")

import psutil

from agentgym_hindsight.baselines.policies import vllm as policies
from agentgym_hindsight.cli import main
from agentgym_hindsight.hindsight.jsonl import read_jsonl
from agentgym_hindsight.hindsight.trajectory import Trajectory

pytestmark = [pytest.mark.slow, pytest.mark.real, pytest.mark.filterwarnings("default")]

GAMES = ("--set", "data=embedded", "--set", "max_steps=3", "--protocol", "brief", "--temperature", "0")
LENGTHS = ("--max-new-tokens", "12", "--max-prompt-tokens", "448")
ENGINE = ("--engine", "enforce_eager=true", "--engine", "dtype=float32")


def engines() -> list[psutil.Process]:
    """The running processes of vLLM's engines and of their workers that this process has started."""
    return [each for each in psutil.Process().children(recursive=True) if "VLLM::" in command_of(each)]


def command_of(process: psutil.Process) -> str:
    """The command line; "" for a process that has ended."""
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def rollouts(folder: Path) -> list[Trajectory]:
    (file,) = folder.rglob("rollouts-*.jsonl")
    return read_jsonl(file).trajectories


def test_games_of_several_engines_and_of_our_loop(
    smollm2: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running: list[int] = []
    opened = policies.open_vllm

    def open_vllm(*given: Any, **more: Any) -> Any:
        running.append(len(engines()))
        return opened(*given, **more)

    monkeypatch.setattr(policies, "open_vllm", open_vllm)
    words = ["eval", "--policy", "vllm:smollm2", f"vllm:{tiny}", str(tiny), "--tasks", "3", *GAMES, *LENGTHS, *ENGINE]
    assert main([*words, "--out", str(tmp_path)]) == 0
    assert running == [0, 0], "the first engine ends before the second starts"
    assert engines() == []
    played = {rollouts(folder)[0].policy: rollouts(folder) for folder in tmp_path.iterdir() if folder.is_dir()}
    assert sorted(map(len, played.values())) == [3, 3, 3]
    for games in played.values():
        assert not any(each.broken for each in games)
        assert all(len(each) == 3 for each in games)
        assert all("<|im_" not in step.response for each in games for step in each.steps)
    texts = {name: [step.response for each in games for step in each.steps] for name, games in played.items()}
    assert texts[f"vllm:{tiny}"] == texts[tiny.name], "greedy games of one checkpoint are the same"
    assert texts["vllm:smollm2"] != texts[tiny.name]


def test_an_engine_that_is_killed_ends_the_evaluation(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stop = threading.Event()

    def kill() -> None:
        while not stop.is_set():
            if any(len(file.read_text().splitlines()) >= 4 for file in tmp_path.rglob("rollouts-*.jsonl")):
                for each in engines():
                    each.kill()
                return
            time.sleep(0.01)

    killer = threading.Thread(target=kill)
    killer.start()
    words = ["eval", "--policy", f"vllm:{tiny}", "--tasks", "200", "--num-envs", "4", *GAMES, *LENGTHS, *ENGINE]
    started = time.monotonic()
    try:
        assert main([*words, "--out", str(tmp_path)]) == 1
    finally:
        stop.set()
        killer.join()
    assert time.monotonic() - started < 400, "nothing hangs"
    told = " ".join(capsys.readouterr().err.split())
    assert "EngineDeadError" in told
    assert "are finished and kept in" in told
    assert "fault of agh" not in told
    games = rollouts(tmp_path)
    assert sum(not each.broken for each in games) >= 4
    assert sum(bool(each.broken) for each in games) == 4
