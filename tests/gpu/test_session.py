"""The session of ``agh bench gpu``: results are saved, a failure stops nothing else, later calls go on from there."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the extra [train]")

from agentgym_hindsight.cli.bench.gpu.cases import Case, Run, Skipped, results
from agentgym_hindsight.cli.bench.gpu.child import measure
from agentgym_hindsight.cli.bench.gpu.parts import PARTS, Part
from agentgym_hindsight.cli.bench.gpu.records import Record, read_records, write_records
from agentgym_hindsight.cli.bench.gpu.session import Session
from agentgym_hindsight.names import import_object


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between cases of tests there is no memory to free, and finding that out takes half a second."""
    monkeypatch.setattr("agentgym_hindsight.cli.bench.gpu.device.free_memory", lambda: None)


def part(name: str, minutes: float = 5.0) -> Part:
    return Part(name, minutes, "a test", f"tests.gpu.fake_parts:{name}")


def test_the_limits() -> None:
    assert all(0 < each.minutes <= 8 for each in PARTS.values())
    assert sum(each.minutes for each in PARTS.values()) <= 25
    assert all(name == each.name for name, each in PARTS.items())


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("dry", [False, True])
def test_every_part_names_its_cases(name: str, dry: bool) -> None:
    pytest.importorskip("trl")
    cases = list(import_object("part", PARTS[name].cases)(Run(dry=dry)))
    names = [case.name for case in cases]
    assert len(names) == len(set(names)) > 0
    for case in cases:
        assert json.loads(json.dumps(case.settings))["seed"] == 0
        assert case.least_seconds < PARTS[name].minutes * 60


def raising(error: BaseException) -> Any:
    def measure() -> Any:
        raise error

    return measure


def test_a_case_that_fails_does_not_stop_the_others() -> None:
    cases = [
        Case("memory", {}, raising(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))),
        Case("bad", {}, raising(KeyError("x\x1b[2J"))),
        Case("package", {}, raising(Skipped("vllm is not installed"))),
        Case("long", {}, dict, least_seconds=1000.0),
        Case("done", {}, raising(AssertionError)),
        Case("good", {}, lambda: {"figure": 1}),
    ]
    begun: list[str] = []
    found = list(
        results(cases, Run(seconds=500), lambda case: case.name == "done", lambda case: begun.append(case.name))
    )
    assert [each.case for each in found] == ["memory", "bad", "package", "long", "good"]
    assert begun == ["memory", "bad", "package", "good"]
    memory, bad, package, long, good = found
    assert memory.skipped.startswith("out of memory: RuntimeError: CUDA out of memory")
    assert (bad.error, bad.skipped) == ("KeyError: 'x\\x1b[2J'", "")
    assert package.skipped == "vllm is not installed"
    assert long.skipped.endswith("s of the part's time were left, at least 1000 needed")
    assert (good.figures, good.error, good.skipped) == ({"figure": 1}, "", "")


def test_an_interrupt_is_no_result() -> None:
    with pytest.raises(KeyboardInterrupt):
        list(results([Case("stopped", {}, raising(KeyboardInterrupt()))], Run()))


def test_a_dry_run_measures_also_what_would_take_long() -> None:
    (found,) = results([Case("long", {}, lambda: {"figure": 1}, least_seconds=1000.0)], Run(dry=True, seconds=5))
    assert found.figures


def test_a_file_with_a_cut_line(tmp_path: Path) -> None:
    path = tmp_path / "gpu.jsonl"
    records = [Record("step", name, {"a": [1]}, {"device": "x"}, {"figure": 2.5}) for name in ("one", "two")]
    write_records(path, records)
    whole = path.read_text(encoding="utf-8")
    assert read_records(path) == records
    path.write_text(whole + whole[:40] + "\n" + '{"part": 1}\n[]\n' + "[" * 50_000, encoding="utf-8")
    assert read_records(path) == records
    assert read_records(tmp_path / "missing.jsonl") == []


def test_the_messages_of_the_process(tmp_path: Path) -> None:
    messages = tmp_path / "messages.jsonl"
    job = {"cases": "tests.gpu.fake_parts:mixed", "seed": 3, "dry": True, "seconds": 60.0, "messages": str(messages)}
    measure({**job, "done": []})
    lines = [json.loads(line) for line in messages.read_text(encoding="utf-8").splitlines()]
    assert [line["kind"] for line in lines] == ["machine", *["begin", "result"] * 4]
    good = lines[-1]
    assert good["figures"] == {"figure": 1.5, "none": "nan", "seed": 3, "dry": 1}
    assert lines[0]["machine"]["torch"]
    assert "\x1b" not in messages.read_text(encoding="utf-8")
    # With the same settings on the same machine it is not measured again.
    done = {"case": "good", "settings": {"pair": [1, 2]}, "machine": lines[0]["machine"]}
    for other, count in (
        (done, 3),
        ({**done, "machine": {"device": "another"}}, 4),
        ({**done, "settings": {"pair": [1, 3]}}, 4),
    ):
        messages.write_text("", encoding="utf-8")
        measure({**job, "done": [other]})
        assert messages.read_text(encoding="utf-8").count('"result"') == count


def test_a_crash_is_recorded_and_only_what_is_missing_is_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, log = tmp_path / "gpu.jsonl", tmp_path / "log"
    monkeypatch.setenv("FAKE_LOG", str(log))
    monkeypatch.setenv("FAKE_CRASH", "1")
    notes: list[str] = []
    found = Session(dry=True, out=out, note=lambda what: notes.append(what)).run(part("counted"))
    assert [(each.case, each.is_measured) for each in found] == [("one", True), ("two", False)]
    assert found[1].error == "the process ended with status 7: a kernel crashed"
    assert notes == ["counted", "counted: one", "counted: two"]
    assert read_records(out) == found
    monkeypatch.delenv("FAKE_CRASH")
    again = Session(dry=True, out=out).run(part("counted"))
    assert [(each.case, each.is_measured) for each in again] == [("one", True), ("two", True)]
    assert read_records(out) == again
    assert log.read_text(encoding="utf-8").split() == ["one", "two", "two"]


@pytest.mark.slow
def test_fresh_and_other_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, log = tmp_path / "gpu.jsonl", tmp_path / "log"
    monkeypatch.setenv("FAKE_LOG", str(log))
    Session(out=out).run(part("counted"))
    assert len(Session(out=out, seed=1).run(part("counted"))) == 4
    assert len(read_records(out)) == 4
    assert len(Session(out=out, fresh=True).run(part("counted"))) == 2
    assert len(read_records(out)) == 2
    assert log.read_text(encoding="utf-8").split() == ["one", "two"] * 3


@pytest.mark.slow
def test_the_time_limit_ends_the_part_with_its_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, log = tmp_path / "gpu.jsonl", tmp_path / "log"
    monkeypatch.setenv("FAKE_LOG", str(log))
    started = time.monotonic()
    found = Session(out=out).run(part("hangs", minutes=0.5))
    assert time.monotonic() - started < 120
    assert [each.case for each in found] == ["good", "hangs"]
    assert found[1].error == "the part's time limit of 0.5 minutes was reached"
    assert read_records(out) == found
    pid = int(log.read_text(encoding="utf-8"))
    for _ in range(100):
        if not is_running(pid):
            break
        time.sleep(0.1)
    assert not is_running(pid)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"


@pytest.mark.slow
def test_a_part_that_cannot_be_imported(tmp_path: Path) -> None:
    out = tmp_path / "gpu.jsonl"
    (found,) = Session(out=out).run(Part("lost", 5.0, "a test", "tests.gpu.no_such_module:cases"))
    assert found.case == ""
    assert "no_such_module" in found.error
    assert [each.part for each in read_records(out)] == ["lost"]
