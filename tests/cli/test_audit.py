"""``agh audit``: a whole audit, the score of an own credit, and what is refused."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.cli import main

WORLD = ("--set", "data=embedded", "--set", "difficulty=bare", "--set", "max_steps=8")
LAMPS = (*WORLD, "--set", 'task_types=["look_at_obj_in_light"]')
SMALL = ("--tasks", "3", "--siblings", "3", "--turns", "6", "--continuations", "6", "12", "--width", "0.2")


def printed(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    assert main([str(word) for word in words]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("audit") / "out"
    assert main(["audit", *LAMPS, *SMALL, "--policy", "expert:0.5", "--out", str(path)]) == 0
    return path


def test_an_audit_end_to_end(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = {file.name for file in folder.iterdir()}
    assert names >= {"audit.json", "rollouts.jsonl", "truth.jsonl", "turns.jsonl", "summary.json", "audit.html"}
    summary = json.loads((folder / "summary.json").read_text())
    assert 3 <= summary["turns"] <= 18
    assert summary["tasks"] <= 3
    assert summary["continuations"]["continuations"] == summary["new_continuations"] > 0
    assert summary["continuations"]["seconds"] > 0
    assert {"grpo", "crbc@state", "gigpo@observation"} <= {each["name"] for each in summary["scores"]}
    again = printed(capsys, "audit", *LAMPS, *SMALL, "--policy", "expert:0.5", "--out", folder, "--json")
    assert again["new_turns"] == again["new_continuations"] == 0
    assert again["continuations"] == summary["continuations"], "those of the earlier run are not forgotten"
    assert again["scores"] == summary["scores"]


@pytest.mark.slow
def test_the_table_names_every_credit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", *LAMPS, *SMALL, "--policy", "expert:0.5", "--out", str(folder)]) == 0
    text = capsys.readouterr().out
    for part in ("crbc@state", "graphgpo@augmented", "Spearman by group size", "saved:"):
        assert part in text


def test_another_setting_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed = [*SMALL[:-1], "0.3"]
    assert main(["audit", *LAMPS, *changed, "--policy", "expert:0.5", "--out", str(folder)]) == 2
    assert "width=0.2, got width=0.3" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("file", ["turns.jsonl", "turns.parquet"])
def test_scoring_an_own_credit(
    folder: Path, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if file.endswith("parquet"):
        pytest.importorskip("pyarrow")
    module = tmp_path / "my_audit_idea.py"
    module.write_text("def credit(rows):\n    return rows.returns - rows.returns.mean()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    started = time.process_time()
    scored = printed(
        capsys, "audit", "score", folder / file, "--credit", "my_audit_idea:credit", "--anchor", "state", "--json"
    )
    assert time.process_time() - started < 10
    own, reference = scored["scores"]
    assert own["name"] == "my_audit_idea:credit"
    assert reference["name"] == scored["reference"] == "grpo"
    assert own["turns"] == reference["turns"] > 0
    assert main(["audit", "score", str(folder / file), "--credit", "my_audit_idea:credit"]) == 0
    assert "my_audit_idea:credit" in capsys.readouterr().out
    sys.modules.pop("my_audit_idea")


def test_scoring_all_credits(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scored = printed(capsys, "audit", "score", folder / "turns.jsonl", "--json")
    summary = json.loads((folder / "summary.json").read_text())
    expected = {each["name"]: each["spearman"]["value"] for each in summary["scores"]}
    assert {each["name"]: each["spearman"]["value"] for each in scored["scores"]} == pytest.approx(expected)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["audit", "scores", "x"], "agh audit score FILE"),
        (["audit", "score", "missing.parquet"], "a file of `agh audit`"),
        (["audit", "--credit", "a:b"], "agh audit score FILE --credit"),
        (["audit", "--groups", "mixd"], "mixed"),
        (["audit", "--continuations", "1", "2", "3"], "2"),
        (["audit", "--policy", "expert:2"], "noise"),
        (["audit", "--policy", "expert", "--temperature", "1"], "--temperature"),
        (["audit", "--policy", "expert:0.5", "--max-prompt-tokens", "300"], "try it with a model"),
        (["audit", "--policy", "endpoint:http://h/v1#m", "--max-prompt-tokens", "99"], "setting of the server"),
        (["audit", "--reference", "grop", *LAMPS, *SMALL, "--policy", "expert:0.5"], "grpo"),
    ],
)
def test_mistakes(words: list[str], message: str, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_files_of_others_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "audit.html").write_text("<p>mine</p>")
    assert main(["audit", *LAMPS, *SMALL, "--policy", "expert:0.5", "--out", str(tmp_path)]) == 2
    assert (tmp_path / "audit.html").read_text() == "<p>mine</p>"
    assert "another kind" in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_a_tiny_model_with_random_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("trl")
    from agentgym_hindsight.baselines.training.tiny import make_model, make_tokenizer

    tokenizer = make_tokenizer(["go to the shelf 1", "<action>look</action>"] * 9, vocabulary=300)
    make_model(tokenizer, seed=1).save_pretrained(tmp_path / "policy")
    tokenizer.save_pretrained(tmp_path / "policy")
    words = ["audit", "--policy", tmp_path / "policy", *LAMPS[:-4], "--set", "max_steps=3", "--protocol", "brief"]
    limits = ["--max-new-tokens", "4", "--max-prompt-tokens", "300", "--tasks", "2", "--siblings", "2"]
    facts = printed(capsys, *words, *limits, "--continuations", "2", "--out", tmp_path / "out", "--json")
    assert facts["turns"] == 2 * 2 * 3
    names = {each["name"] for each in facts["scores"]}
    assert {"serl", "serl+crbc", "grsd"} <= names
