"""The commands on BFCL: doctor, play, rollout, eval, bench, parity and data install."""

from __future__ import annotations

import json
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from agentgym_hindsight.cli import doctor_checks, main
from agentgym_hindsight.cli.bench import bfcl as bench_bfcl
from agentgym_hindsight.envs.bfcl.official import install
from agentgym_hindsight.envs.bfcl.official.package import managed_folder
from agentgym_hindsight.errors import BackendError, DamagedDataError
from agentgym_hindsight.hindsight.jsonl import read_jsonl
from tests.bfcl_packages import V3, V4, package

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def env() -> list[str]:
    return ["--env", "bfcl", "--set", "backend=official", "--set", f"data={package().folder}"]


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    from agentgym_hindsight.envs.bfcl.official import package as module

    monkeypatch.setattr(module, "find_spec", lambda name: None)
    monkeypatch.delenv("BFCL_EVAL_DATA", raising=False)
    monkeypatch.setenv("AGENTGYM_HINDSIGHT_DATA", str(tmp_path))
    return tmp_path


def test_doctor(nothing_installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {each.name: each for each in doctor_checks.bfcl(None)}
    assert found["embedded APIs"].found
    v3 = found[f"official APIs, bfcl-eval {V3} (v3 files)"]
    assert not v3.found
    assert f"agh data install bfcl --version {V3}" in v3.text
    monkeypatch.setenv("BFCL_EVAL_DATA", str(package().folder))
    found = {each.name: each for each in doctor_checks.bfcl(None)}
    assert found[f"official APIs, bfcl-eval {V4} (v4 files)"].text == str(package().folder)
    assert not found[f"official APIs, bfcl-eval {V3} (v3 files)"].found


def test_play(env: list[str], capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = iter([":actions", "[no_such()]", "Done.", ":quit"])
    monkeypatch.setattr("builtins.input", lambda *_: next(lines))
    assert main(["play", *env, "--seed", "0"]) == 0
    output = capsys.readouterr().out
    assert output.count("You can call these functions:") == 2
    assert "no_such: Error during execution: name 'no_such' is not defined" in output
    assert "Check of user turn 1: failed" in output


def test_rollout_and_eval_name_the_version_and_the_files(env: list[str], tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "rollouts.jsonl"
    name = f"official/bfcl-eval {V4}, v4 files/all/limit=turn"
    assert main(["rollout", *env, "--tasks", "4", "--policy", "expert", "--out", str(out)]) == 0
    capsys.readouterr()
    trajectories = read_jsonl(out).trajectories
    assert [each.won for each in trajectories] == [True] * 4
    assert {each.backend for each in trajectories} == {name}
    command = ["eval", *env, "--tasks", "4", "--policy", "expert", "--out", str(tmp_path / "eval"), "--json"]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["backend"] == name


def test_data_list_and_panel(env: list[str], tmp_path: Path, capsys: Capture) -> None:
    assert main(["data", "list", *env, "--split", "valid", "--set", "category=base"]) == 0
    assert "20 tasks, panel " in "".join(capsys.readouterr())
    assert main(["data", "panel", *env, "--split", "test", "--tasks", "3", "--out", str(tmp_path / "panel.json")]) == 0


def test_bench(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_bfcl, "_EPISODES", 3)
    monkeypatch.setattr(bench_bfcl, "_AGAIN", 20)
    assert main(["bench", "bfcl", "--data", str(package().folder), "--fuzz", "150", "--json"]) == 0
    figures = [(each["name"], each["value"]) for each in json.loads(capsys.readouterr().out)["figures"]]
    worlds = [name for name, value in figures if name.endswith("fuzzed calls") and value == "150"]
    assert worlds == ["embedded: fuzzed calls", f"bfcl-eval {V4}, v4 files, all: fuzzed calls"]
    assert figures.count(("  episodes won", "3 of 3")) == 5
    assert figures.count(("  tasks that begin in another state after the calls", "0 of 20")) == 2
    assert figures.count(("  references that still pass", "20 of 20")) == 2


def test_parity_says_what_is_missing(nothing_installed: Path, capsys: Capture) -> None:
    assert main(["parity", "bfcl"]) != 0
    assert "--recordings FILE" in capsys.readouterr().err
    record = {"id": "x", "version": V4, "entry_id": "multi_turn_base_0", "steps": [[], [], [], []]}
    path = nothing_installed / "recording.jsonl"
    path.write_text(json.dumps(record) + "\n", encoding="utf-8")
    assert main(["parity", "bfcl", "--recordings", str(path)]) != 0
    assert "agh data install bfcl" in capsys.readouterr().err


def test_parity_with_a_folder_of_both_versions(tmp_path: Path, capsys: Capture) -> None:
    for version in (V4, V3):
        (tmp_path / version).symlink_to(package(version).folder, target_is_directory=True)
    verdict = {"valid": False}
    records = [
        {"id": "x", "version": version, "entry_id": "multi_turn_base_0", "steps": [[], [], [], []], "verdict": verdict}
        for version in (V4, V3)
    ]
    path = tmp_path / "recording.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    assert main(["parity", "bfcl", "--data", str(tmp_path), "--recordings", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"played with bfcl-eval {V3}, v3 files, bfcl-eval {V4}, v4 files"
    assert lines[-1] == "differences: 0 of 0 calls"


def test_installation(nothing_installed: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a wheel that is made of the package here, instead of a download."""
    package()
    wheel = nothing_installed / "bfcl_eval-2026.3.23-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for part in ("eval_checker/multi_turn_eval", "data/possible_answer", "data/multi_turn_func_doc", "constants"):
            for path in sorted((package().folder / "bfcl_eval" / part).rglob("*")):
                if path.is_file() and path.suffix in (".py", ".json"):
                    archive.write(path, path.relative_to(package().folder))
        for path in sorted((package().folder / "bfcl_eval" / "data").glob("*multi_turn*.json")):
            archive.write(path, path.relative_to(package().folder))
        archive.writestr("bfcl_eval/__init__.py", "")
        archive.writestr("bfcl_eval/eval_checker/__init__.py", "")
        archive.writestr("bfcl_eval-2026.3.23.dist-info/METADATA", "")
    assert main(["data", "install", "bfcl", "--dry-run"]) == 0
    assert str(managed_folder(V4)) in capsys.readouterr().out
    assert main(["data", "install", "bfcl"]) != 0  # no terminal to ask at
    assert "--yes" in capsys.readouterr().err
    monkeypatch.setattr(install, "download", lambda requirement, folder, python: wheel)
    assert main(["data", "install", "bfcl", "--yes"]) == 0
    ready = f"Ready: bfcl-eval {V4}, v4 files (200 base, 200 miss_func, 200 miss_param, 200 long_context)"
    assert ready in capsys.readouterr().out
    monkeypatch.setattr(install, "download", None)
    assert main(["data", "install", "bfcl"]) == 0  # already there: nothing is asked or downloaded
    assert "already done" in capsys.readouterr().out


def test_another_wheel_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "bfcl_eval-2026.3.23-py3-none-any.whl"
    wheel.write_bytes(b"another")
    with pytest.raises(DamagedDataError, match=sha256(b"another").hexdigest()):
        install.check_hash("bfcl-eval==2026.3.23", wheel)


@pytest.mark.parametrize("name", ["../outside", "/outside", "a/../../outside", "a\\..\\outside"])
def test_a_wheel_with_paths_outside_is_refused(name: str, tmp_path: Path) -> None:
    wheel = tmp_path / "x.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(name, "text")
    with pytest.raises(DamagedDataError, match="below its folder"):
        install.unpack([wheel], tmp_path / "bfcl" / "1")
    assert sorted(each.name for each in (tmp_path / "bfcl").iterdir()) == []


def test_a_failed_download_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="PIP_INDEX_URL"):
        install.download("bfcl-eval==2026.3.23", tmp_path, python="false")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["bfcl", "--version", "2025.7.18"], "2025.7.17"),
        (["appworld", "--version", "1"], "only with bfcl"),
        (["bfcll"], "bfcl"),
    ],
)
def test_wrong_installations_are_named(words: list[str], message: str, capsys: Capture) -> None:
    assert main(["data", "install", *words]) != 0
    assert message in capsys.readouterr().err
