"""The samples of a training run are exported with the gap and the weight of every token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.cli import main
from agentgym_hindsight.errors import MissingDataError
from agentgym_hindsight.exports.samples import read_rollouts
from agentgym_hindsight.exports.turn_tokens import TurnTokens
from agentgym_hindsight.hindsight.jsonl import LineProblem
from agentgym_hindsight.hindsight.trajectory import Trajectory
from tests.viewer.rollout_files import lost, sample, won

SAMPLE: dict[str, Any] = {
    "update": 3,
    "task_id": "lamp",
    "goal": "Find the lamp.",
    "won": True,
    "sibling": 2,
    "return": 10.0,
    "analyses": [{"kind": "playbook", "text": "Look first.", "analyser": "teacher"}],
    "steps": [
        {
            "prompt": "A hall.",
            "action_valid": True,
            "feedback": "A room.",
            "advantage": 1.5,
            "tokens": ["go ", "east"],
            "weights": [1.0, 1.2],
            "gaps": [0.0, 0.4],
            "context": "The winner went east.",
            "analyses": [{"kind": "hint", "text": "Go east.", "analyser": "teacher"}],
        }
    ],
}


def test_a_sample_as_a_rollout(tmp_path: Path) -> None:
    (tmp_path / "samples.jsonl").write_text(f"{json.dumps(SAMPLE)}\nnonsense\n{{}}\n")
    for given in (tmp_path, tmp_path / "samples.jsonl"):
        found, *problems = read_rollouts(given)
        assert isinstance(found, Trajectory)
        assert [problem.line_number for problem in problems if isinstance(problem, LineProblem)] == [2, 3]
    tokens = TurnTokens.of(found.steps[0])
    assert (tokens.gaps, tokens.weights, tokens.credit) == ((0.0, 0.4), (1.0, 1.2), 1.5)
    assert (found.won, found.total_reward, found.sibling) == (True, 10.0, 2)
    assert found.steps[0].response == "go east"
    assert found.steps[0].extra["context"] == "The winner went east."
    assert [(each.kind, each.step) for each in found.analyses] == [("playbook", None), ("hint", 0)]
    assert found.extra["sample"] == {"update": 3}


def test_the_command_reads_the_folder_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "samples.jsonl").write_text(json.dumps(SAMPLE) + "\n")
    out = tmp_path / "out.json"
    assert main(["export", str(tmp_path), "--to", "atif", "--out", str(out)]) == 0
    metrics = json.loads(out.read_text())["steps"][1]["metrics"]
    assert metrics["extra"]["weights"] == [1.0, 1.2]


@pytest.mark.parametrize("steps", [None, 3, [3], [{}], [{"tokens": 3}], [{"tokens": ["a"], "prompt": 7}]])
def test_a_damaged_sample_is_a_problem(steps: object, tmp_path: Path) -> None:
    (tmp_path / "samples.jsonl").write_text(json.dumps({**SAMPLE, "steps": steps}) + "\n")
    [problem] = read_rollouts(tmp_path)
    assert isinstance(problem, LineProblem)
    assert "Expected" in problem.cause


def test_a_folder_without_samples(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"without samples\.jsonl"):
        read_rollouts(tmp_path)


def test_a_sample_as_training_writes_it_today(tmp_path: Path) -> None:
    """It is a trajectory with more keys; a run that was continued after an upgrade has older lines too."""
    recorded = sample(lost())
    recorded["steps"][1] |= {"analyses": [{"kind": "hint", "text": "Walk.", "analyser": "teacher"}]}
    recorded["steps"][1] |= {"mask_reason": "the advantage is 0"}
    (tmp_path / "samples.jsonl").write_text(f"nonsense\n{json.dumps(recorded)}\n{json.dumps(SAMPLE)}\n")
    problem, found, older = read_rollouts(tmp_path)
    assert isinstance(problem, LineProblem)
    assert isinstance(found, Trajectory)
    assert isinstance(older, Trajectory)
    tokens, masked = (TurnTokens.of(step) for step in found.steps)
    assert (tokens.gaps, tokens.weights, tokens.credit) == ((0.0, 0.7, 0.0), (1.0, 1.1, 1.0), 0.5)
    assert (tokens.logprobs, tokens.teacher_logprobs) == ((-0.1, -1.2, -0.1), (-0.1, -0.5, -0.1))
    assert tokens.texts == ("<a>", "open door", "</a>")
    assert tokens.advantages == pytest.approx((0.5, 0.55, 0.5))
    assert (tokens.mask, masked.mask) == ((False, True, False), (False, False, False))
    assert found.steps[0].extra["context_uncut"] == "Immediate feedback:\nA garden"
    assert ("hint", 1) in [(each.kind, each.step) for each in found.analyses]
    assert found.extra["sample"] == {"update": 0, "lambda": 0.5, "weight_bounds": [0.8, 1.2], "method": "serl"}
    assert older.steps[0].response == "go east"


@pytest.mark.parametrize("changed", [{"weights": 3}, {"tokens": 7}, {"chosen": "x"}, {"analyses": 1}, {"gaps": {}}])
def test_odd_values_of_a_sample_stay_in_extra(changed: dict[str, Any], tmp_path: Path) -> None:
    recorded = sample(won())
    recorded["steps"][0] |= changed
    (tmp_path / "samples.jsonl").write_text(json.dumps(recorded) + "\n")
    [found] = read_rollouts(tmp_path)
    assert isinstance(found, Trajectory)
    TurnTokens.of(found.steps[0])
