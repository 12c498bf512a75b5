"""Comparison of our desks with recordings of the genuine tau-bench."""

from __future__ import annotations

import json
import lzma
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.cli import main
from agentgym_hindsight.envs.tau.data_folder import load_desk
from agentgym_hindsight.envs.tau.desk import Desk, DeskTask
from agentgym_hindsight.envs.tau.parity import ParityReport, check_recordings, read_recordings
from agentgym_hindsight.envs.tau.rewards import evaluate, gold_database
from agentgym_hindsight.envs.tau.store import Database
from tests.envs.tau.wrong_variants import WRITES, Calls, played, wrong_variants

DOMAINS = ("retail", "airline")
EPISODES = {"retail": (2935, 14451), "airline": (691, 6451)}


@pytest.fixture
def official(shared: Path) -> Path:
    folder = shared / "data" / "tau"
    if not (folder / "recordings_retail.jsonl.xz").is_file():
        pytest.skip(f"no recordings of tau-bench: {folder} is not there (set AGENTGYM_HINDSIGHT_SHARED)")
    return folder


@pytest.fixture
def same_python() -> None:
    if sys.version_info[:2] != (3, 11):
        pytest.skip("the recordings have the texts of Python 3.11's errors")


def recorded(official: Path, domain: str, step: int) -> list[dict[str, Any]]:
    return list(islice(read_recordings(official / f"recordings_{domain}.jsonl.xz"), 0, None, step))


def written(folder: Path, episodes: list[dict[str, Any]]) -> Path:
    path = folder / "recording.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in episodes), encoding="utf-8")
    return path


def report_of(official: Path, path: Path) -> ParityReport:
    report = ParityReport()
    for _ in check_recordings(official, [path], report):
        pass
    return report


@pytest.mark.usefixtures("same_python")
@pytest.mark.parametrize("domain", DOMAINS)
def test_a_sample_of_the_recordings(official: Path, domain: str, tmp_path: Path) -> None:
    report = report_of(official, written(tmp_path, recorded(official, domain, 61)))
    assert report.shown == []
    assert report.calls > 70
    assert report.rewards > 5
    assert report.hashes > 15


@pytest.mark.slow
@pytest.mark.usefixtures("same_python")
@pytest.mark.parametrize("domain", DOMAINS)
def test_all_recordings(official: Path, domain: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = official / f"recordings_{domain}.jsonl.xz"
    assert main(["parity", "tau", "--data", str(official), "--recordings", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].startswith(f"{EPISODES[domain][0]} episodes, ")
    assert lines[-1] == f"differences: 0 of {EPISODES[domain][1]} calls"


def test_differences_are_found(official: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gold = next(each for each in read_recordings(official / "recordings_airline.jsonl.xz") if each["kind"] == "gold")
    changes: list[dict[str, Any]] = [
        {"calls": [{**gold["calls"][0], "result": "Error: no"}, *gold["calls"][1:]]},
        {"calls": [{**gold["calls"][0], "db_hash": "0"}, *gold["calls"][1:]]},
        {"calls": [{**gold["calls"][0], "done": True}, *gold["calls"][1:]]},
        {"db_hash": "0"},
        {"gold_db_hash": "0"},
        {"db_match": False},
        {"reward": 0.0},
        {"reward_info": {"r_outputs": 0.0, "outputs": {"x": False}}},
    ]
    path = written(tmp_path, [{**gold, **change} for change in changes])
    assert main(["parity", "tau", "--data", str(official), "--recordings", str(path)]) == 1
    output = capsys.readouterr().out.splitlines()
    assert output[-1] == f"differences: {len(changes)} of {len(changes) * len(gold['calls'])} calls"


@pytest.mark.parametrize("rules", ["official", "strict"])
def test_every_gold_list_is_rewarded(official: Path, rules: str) -> None:
    count = 0
    for domain in DOMAINS:
        desk = load_desk(official, domain)
        untouched = desk.initial.hash
        for tasks in desk.tasks.values():
            for task in tasks:
                said = [" ".join(task.outputs)]
                assert evaluate(desk, task, gold_database(desk, task, rules), said, rules).reward == 1.0, task
                count += 1
        desk.initial._texts.clear()
        desk.initial._rows.clear()
        desk.initial._joined.clear()
        desk.initial._hash = ""
        assert desk.initial.hash == untouched  # no reference has changed the shared records
    assert count == 685


@pytest.mark.slow
def test_wrong_variants_of_the_references_are_refused(official: Path) -> None:
    """Each write that matters is left out or gets other arguments; something else is damaged; nothing is said."""
    count = 0
    for domain in DOMAINS:
        desk = load_desk(official, domain)
        for task in (task for tasks in desk.tasks.values() for task in tasks):
            shorter = replace(task, actions=tuple(with_effect(desk, task)))
            for name, calls, said in wrong_variants(desk, shorter):
                assert played(desk, task, calls, said, "strict") == 0.0, (domain, task.instruction, name)
                count += 1
    assert count == 4710


def with_effect(desk: Desk, task: DeskTask) -> Calls:
    """The calls of a reference without the writes that do not change its end: some fail, and some are undone later."""
    calls = [(name, dict(arguments)) for name, arguments in task.actions]
    end, number = end_of(desk, calls), 0
    while number < len(calls):
        shorter = calls[:number] + calls[number + 1 :]
        if calls[number][0].startswith(WRITES) and end_of(desk, shorter) == end:
            calls, number = shorter, 0
        else:
            number += 1
    return calls


def end_of(desk: Desk, calls: Calls) -> str:
    database = Database(desk.initial)
    for name, arguments in calls:
        desk.call(database, name, arguments)
    return database.anchor


def test_the_hash_of_the_initial_records(official: Path) -> None:
    manifest = json.loads((official / "MANIFEST.json").read_text(encoding="utf-8"))
    for domain in DOMAINS:
        assert load_desk(official, domain).initial.hash == manifest[f"{domain}/initial_db_hash"]


def test_the_official_desk_in_the_env(official: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gymnasium as gym

    monkeypatch.setenv("TAU_BENCH_DATA", str(official))
    env = gym.make("TauBench-Hindsight-v0", domain="airline", split="test", expert=True)
    won = 0
    for seed in range(5):
        _, info = env.reset(seed=seed)
        over = False
        while not over:
            _, reward, terminated, truncated, info = env.step(info["expert_action"])
            over = terminated or truncated
        won += int(reward)
    assert won == 5
    assert info["extra"].backend == "native/airline-official/official/user=scripted"
    world: Any = env.unwrapped
    assert world.splits == ("test",)


@pytest.mark.parametrize("content", [b"", b"{}\n", b"not json\n", b"[1]\n", b'{"calls": [], "domain": "bank"}\n'])
def test_damaged_recordings_are_refused_or_empty(
    official: Path, content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "recording.jsonl.xz"
    path.write_bytes(lzma.compress(content))
    code = main(["parity", "tau", "--data", str(official), "--recordings", str(path)])
    if content:
        assert code != 0
        assert "Expected" in capsys.readouterr().err
    else:
        assert code == 0
        assert capsys.readouterr().out.splitlines()[-1] == "differences: 0 of 0 calls"
