"""``--json``: standard output is one JSON value of the documented shape, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.baselines.evaluation.results import Evaluation
from agentgym_hindsight.cli import main

Capture = pytest.CaptureFixture[str]
EMBEDDED = ["--set", "data=embedded", "--tasks", "6"]


def printed(capsys: Capture, *words: str | Path) -> Any:
    assert main([*map(str, words), "--json"]) == 0
    output = capsys.readouterr().out
    assert "\x1b" not in output
    return json.loads(output)


def test_list(capsys: Capture) -> None:
    found = printed(capsys, "list")
    assert [each["short_name"] for each in found] == ["alfworld", "webshop", "appworld", "taubench", "bfcl"]
    assert found[0] == {
        "name": "ALFWorld-Hindsight-v0",
        "short_name": "alfworld",
        "summary": found[0]["summary"],
        "backend": "native/embedded",
        "splits": {"train": 2400, "valid_seen": 240, "valid_unseen": 1200},
        "problem": "",
    }


def test_doctor(capsys: Capture) -> None:
    found = printed(capsys, "doctor")
    assert found["healthy"] is True
    packages = {package["name"]: package for package in found["packages"]}
    assert packages["rich"]["version"]
    assert set(packages["torch"]) == {"name", "version", "purpose", "extra", "install"}
    worlds = [world["name"] for world in found["environments"]]
    assert worlds == ["ALFWorld", "WebShop", "AppWorld", "tau-bench", "BFCL"]
    finding = found["environments"][0]["findings"][0]
    assert finding == {"name": "embedded houses", "found": True, "text": "always available", "details": []}


def test_eval_of_one_policy(tmp_path: Path, capsys: Capture) -> None:
    found = printed(capsys, "eval", *EMBEDDED, "--out", tmp_path)
    assert (found["panel"]["tasks"], found["backend"], found["differences"]) == (6, "native/embedded", [])
    (policy,) = found["policies"]
    assert (policy["name"], policy["folder"], policy["broken"]) == ("expert", str(tmp_path), 0)
    (seed,) = policy["seeds"]
    assert Evaluation.from_dict(seed).micro.success == 1.0
    assert seed["interval"] == pytest.approx([0.61, 1.0], abs=0.01)


def test_eval_of_several_policies(tmp_path: Path, capsys: Capture) -> None:
    words = ["eval", *EMBEDDED, "--policy", "expert", "random", "seeking-expert", "--out", tmp_path]
    found = printed(capsys, *words)
    assert [policy["name"] for policy in found["policies"]] == ["expert", "random", "seeking-expert"]
    worse, equal = found["differences"]
    assert (worse["name"], worse["reference"], worse["difference"], worse["tasks"]) == ("random", "expert", -1.0, 6)
    low, high = worse["interval"]
    assert low == -1.0
    assert -0.7 < high < -0.3, "with six tasks the difference is not known exactly"
    assert equal["difference"] == 0
    assert main([*map(str, words)]) == 0
    text = capsys.readouterr().out
    assert "Differences, paired by task" in text
    assert "-100.0 pp" in text
    for name in ("expert", "random", "seeking-expert"):
        assert (tmp_path / name / "eval.jsonl").is_file()
        assert f"saved: {tmp_path / name}" in text


def test_differences_are_paired_over_seeds(tmp_path: Path, capsys: Capture) -> None:
    words = ["--env", "tests.wrappers.stack:WrappedCorridor-v0", "--split", "valid", "--set", "max_steps=9"]
    recorded = tmp_path / "recorded.jsonl"
    assert main(["rollout", *words, "--policy", "random", "--seed", "7", "--out", str(recorded)]) == 0
    capsys.readouterr()
    policies = ["random", f"replay:{recorded}"]
    found = printed(capsys, "eval", *words, "--policy", *policies, "--seeds", "3", "--out", tmp_path / "e")
    (difference,) = found["differences"]
    means = [[seed["micro"]["won"] / seed["micro"]["rollouts"] for seed in each["seeds"]] for each in found["policies"]]
    assert difference["difference"] == pytest.approx(sum(means[1]) / 3 - sum(means[0]) / 3)
    assert difference["interval"][0] <= difference["difference"] <= difference["interval"][1]
    assert [seed["seed"] for seed in found["policies"][0]["seeds"]] == [0, 1, 2]


def test_policies_with_one_folder_or_two_panels_are_refused(tmp_path: Path, capsys: Capture) -> None:
    recordings = [tmp_path / "a+b.jsonl", tmp_path / "a-b.jsonl"]
    for path in recordings:
        assert main(["rollout", *EMBEDDED, "--policy", "random", "--out", str(path)]) == 0
    words = ["eval", *EMBEDDED, "--policy", *(f"replay:{path}" for path in recordings), "--out", str(tmp_path / "e")]
    assert main(words) == 2
    assert "one at a time" in capsys.readouterr().err
    run = tmp_path / "run"
    (run / "policy").mkdir(parents=True)
    (run / "run.json").write_text(json.dumps({"settings": {"stage": {"env": "WebShop-Hindsight-v0"}}}))
    assert main(["eval", *EMBEDDED, "--policy", "expert", str(run / "policy"), "--out", str(tmp_path / "f")]) in (1, 2)
    assert not (tmp_path / "f").exists()
    capsys.readouterr()


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"settings": 3}', '{"settings": {"stage": []}}'])
def test_a_damaged_description_of_the_training_run(text: str, tmp_path: Path, capsys: Capture) -> None:
    pytest.importorskip("torch", reason="needs the extra [train]")
    (tmp_path / "policy").mkdir()
    (tmp_path / "run.json").write_text(text)
    assert main(["eval", *EMBEDDED, "--policy", str(tmp_path / "policy")]) == 1
    assert "Expected the description of a training run" in capsys.readouterr().err


def test_bench(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "agentgym_hindsight.cli.bench_command._measure", lambda *_: ([("turns", "9/s")], "--episodes 1")
    )
    found = printed(capsys, "bench", "webshop")
    assert (found["name"], found["command"]) == ("webshop", "agh bench webshop --episodes 1 --seed 0")
    assert found["figures"] == [{"name": "turns", "value": "9/s"}]
    assert found["machine"].startswith("Python ")


def test_compare(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="needs the extra [train]")
    from agentgym_hindsight.cli import compare_command
    from tests.cli.test_compare import leave_run

    for seed, (grpo, serl) in enumerate(((40, 50), (42, 50))):
        leave_run(tmp_path / f"grpo-seed{seed}", 30, grpo)
        leave_run(tmp_path / f"serl-seed{seed}", 30, serl)
    monkeypatch.setattr(compare_command, "_make_start", lambda *_: None)
    monkeypatch.setattr(compare_command, "_train", lambda *_: "")
    found = printed(capsys, "compare", "grpo", "serl", "--seeds", "2", "--jobs", "1", "--out", tmp_path)
    assert [row["name"] for row in found["results"]] == ["warm start", "grpo", "serl"]
    serl = found["results"][2]
    assert serl["minus_first"]["mean"] == pytest.approx(0.09)
    assert (serl["seeds"], serl["env_turns"], found["failed"]) == (2, 700, [])
    one = printed(capsys, "compare", "grpo", "--seeds", "1", "--jobs", "1", "--out", tmp_path)
    assert one["results"][1]["success"] == {"mean": 0.4, "half": None}, "infinite: JSON has no infinity"
