"""``agh eval`` with ``react:POLICY`` and ``reflexion:POLICY``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.cli.eval_policies import canonical_policy, split_prompting
from agentgym_hindsight.cli.eval_prompting import react_protocol
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.hindsight.jsonl import read_jsonl, write_jsonl
from tests.cli.test_eval import Walker, agh_eval, installed, lines_of
from tests.hindsight.test_judge import Answer, completion, serving

__all__ = ["installed"]  # a fixture

SHOP = ["--env", "webshop", "--set", "data=embedded", "--tasks", "4"]


def test_react_plays_any_policy_beside_the_zero_shot_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--set", "data=embedded", "--tasks", "4", "--out", tmp_path, "--json"]
    assert agh_eval(*words, "--policy", "React:Expert", "expert") == 0
    document = json.loads(capsys.readouterr().out)
    assert [each["policy"] for each in document["policies"]] == ["react:expert", "expert"]
    assert document["differences"][0]["difference"] == 0.0
    assert "trials" not in document["policies"][0]
    played = read_jsonl(tmp_path / "react-expert" / "rollouts-react-expert-seed0.jsonl").trajectories
    assert played[0].policy == "react:expert"
    assert played[0].extra["run"]["protocol"] == "react-2022"
    assert played[0].steps[0].prompt.startswith("Interact with a household to solve a task.\nHere is the task.\n")


def test_reflexion_reports_success_after_each_trial(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*SHOP, "--policy", "reflexion:expert:0.6", "--out", tmp_path]
    assert agh_eval(*words, "--trials", "2", "--json") == 0
    (policy,) = json.loads(capsys.readouterr().out)["policies"]
    after = policy["trials"]
    assert [each["trial"] for each in after] == [1, 2]
    assert after[0]["success"] < after[1]["success"] == policy["seeds"][0]["micro"]["won"] / 4
    assert all(each["interval"][0] <= each["success"] <= each["interval"][1] for each in after)
    file = tmp_path / "rollouts-reflexion-expert-0.6-seed0.jsonl"
    played = read_jsonl(file).trajectories
    assert {each.sibling for each in played} == {0, 1}
    lost = [each for each in played if each.sibling == 0 and not each.won]
    assert lost
    assert all(each.analyses[0].kind == "reflection" for each in lost)
    (line,) = lines_of(tmp_path)
    assert (line["trials"], line["after_trials"]) == (2, after)

    before = file.read_bytes()
    assert agh_eval(*words, "--trials", "2") == 0
    assert file.read_bytes() == before, "nothing is played again"
    shown = capsys.readouterr().out
    assert "Solved within so many trials" in shown
    assert f"{after[1]['success']:.1%}" in shown
    assert agh_eval(*words) == 0, "a third trial goes on from there"
    assert {each.sibling for each in read_jsonl(file).trajectories} <= {0, 1, 2}
    assert [line["trials"] for line in lines_of(tmp_path)] == [2, 3]
    assert agh_eval(*words, "--trials", "1", "--json") == 0, "fewer trials: the others are left out"
    (policy,) = json.loads(capsys.readouterr().out.rpartition("saved:")[2].partition("\n")[2])["policies"]
    assert policy["trials"] == after[:1]


def test_a_stopped_reflexion_ends_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    words = [*SHOP, "--policy", "reflexion:expert:0.6", "--out", tmp_path]
    assert agh_eval(*words) == 0
    file = tmp_path / "rollouts-reflexion-expert-0.6-seed0.jsonl"
    whole = {(each.task_id, each.sibling): each for each in read_jsonl(file).trajectories}
    write_jsonl(file, [each.replace(analyses=()) for each in list(whole.values())[:3]])  # before any reflection
    assert agh_eval(*words) == 0
    assert {(each.task_id, each.sibling): each for each in read_jsonl(file).trajectories} == whole


def test_a_server_reads_demonstrations_and_its_own_reflection(tmp_path: Path) -> None:
    requests: list[str] = []

    def answer(body: dict[str, Any]) -> Answer:
        (message,) = body["messages"]
        requests.append(message["content"])
        return completion(
            "Look at the desk <|im_end|> first." if message["content"].endswith("New plan:") else "> look"
        )

    with serving(answer) as stub:
        words = ["--set", "data=embedded", "--set", "max_steps=2", "--tasks", "1", "--temperature", "0"]
        policy = f"reflexion:endpoint:{stub.url}#player"
        assert agh_eval(*words, "--policy", policy, "--trials", "2", "--out", tmp_path) == 0
    plays = [text for text in requests if not text.endswith("New plan:")]
    assert len(requests) - len(plays) == 1
    assert len(plays) == 4
    assert all("Here are two examples." in text and "\n> think: " in text for text in plays)
    assert ["Your memory for the task below:\nTrial 1: Look at the desk" in text for text in plays] == [False] * 2 + [
        True
    ] * 2
    assert not any("<|im_end|>" in text for text in requests)


@pytest.mark.usefixtures("installed")
def test_a_local_model_gets_room_for_the_demonstrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from agentgym_hindsight.baselines.policies.transformers import TransformersPolicy

    loaded: list[tuple[str, int]] = []

    def load(path: str, **options: Any) -> Walker:
        loaded.append((path, options["max_prompt_tokens"]))
        return Walker()

    monkeypatch.setattr(TransformersPolicy, "load", load)
    run = tmp_path / "run"
    (run / "policy").mkdir(parents=True)
    settings = {"stage": {"env": "ALFWorld-Hindsight-v0", "settings": {"max_steps": 2}, "protocol": "brief"}}
    (run / "run.json").write_text(json.dumps({"settings": settings}))
    words = ["--set", "data=embedded", "--tasks", "1", "--policy", f"react:{run / 'policy'}", "--temperature", "0"]
    assert agh_eval(*words, "--out", tmp_path / "out") == 0
    assert loaded == [(str(run / "policy"), 8192)]
    (played,) = read_jsonl(tmp_path / "out" / "rollouts-greedy-seed0.jsonl").trajectories
    assert len(played) == 2, "settings of the training run"
    assert played.extra["run"]["protocol"] == "react-2022", "but ReAct's own prompt"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--policy", "react"], "react:POLICY"),
        (["--policy", "react:"], "react:POLICY"),
        (["--policy", "reflexion:react:expert"], "reflexion:POLICY"),
        (["--policy", "reflexion:endpoint:http://h/v1"], "endpoint:URL#MODEL"),
        (["--policy", "react:expert", "--trials", "2"], "--trials with reflexion"),
        (["--policy", "reflexion:expert", "--siblings", "2"], "--siblings 1 with reflexion:expert"),
        (["--policy", "react:expert", "--protocol", "brief"], "react-2022"),
        (["--policy", "react:expert", "--temperature", "1"], "--temperature with a model"),
    ],
)
def test_errors_say_what_to_type(words: list[str], expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        agh_eval("--set", "data=embedded", "--tasks", "1", *words)


def test_names() -> None:
    assert canonical_policy(" ReAct:EXPERT:0.5") == "react:expert:0.5"
    assert split_prompting("reflexion:vllm:folder") == ("reflexion", "vllm:folder")
    assert react_protocol("tools", None) == "tools-react"
    with pytest.raises(UnknownNameError, match="did you mean 'code-react'"):
        react_protocol("appworld", "code-reac")
