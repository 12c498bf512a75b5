"""Which rollouts are recorded as samples, and what a sample contains."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("torch", reason="needs the extra [train]")

from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.rollout import Episode
from agentgym_hindsight.baselines.training.configuration import configure
from agentgym_hindsight.baselines.training.metrics import Measured, measure
from agentgym_hindsight.baselines.training.samples import draw_samples
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight import Analysis
from agentgym_hindsight.hindsight.codec import load_trajectory
from tests.baselines.training.test_metrics import scored_rows, use
from tests.baselines.training.test_training_rows import LOST, PAIR, WON, encoder, episode, rows_of

SERL = recipe("serl")


def summaries(episodes: list[Episode]) -> list[tuple[str, int, bool, list[str]]]:
    measured = measure(episodes, rows_of(episodes), SERL, 0.5)
    return [
        (result["task_id"], result["sibling"], result["won"], ["".join(step["tokens"]) for step in result["steps"]])
        for result in draw_samples(measured, SERL, encoder(), 3)
    ]


def replies(turns: tuple[tuple[str, str, str], ...]) -> list[str]:
    return [response for _, response, _ in turns]


def test_a_won_and_a_lost_rollout_of_the_first_task_with_both() -> None:
    broken = episode(WON[:1], task="lamp", sibling=0, broken="crash")
    flat = [episode(LOST[:1], task="lamp", sibling=n) for n in (1, 2)]
    # The rollouts of both tasks are mixed, and the first one is broken: the rows still belong to the right rollouts.
    late = [episode(LOST[1:], sibling=2), episode(WON[1:], won=True, sibling=3)]
    result = summaries([broken, flat[0], *late, flat[1], *PAIR])
    assert result == [("mug", 3, True, replies(WON[1:])), ("mug", 2, False, replies(LOST[1:]))]


def test_without_such_a_task_the_first_rollout_is_the_sample() -> None:
    assert summaries([episode(LOST), episode(LOST[:1], sibling=1)]) == [("mug", 0, False, replies(LOST))]
    assert summaries([episode(WON[:1], broken="crash")]) == []
    assert summaries([]) == []


def test_the_content_of_a_sample() -> None:
    rows = use(scored_rows(gap=-0.5))
    (won, lost) = draw_samples(Measured({}, PAIR, rows, 0.5), SERL, encoder(), 7)
    json.dumps([won, lost], allow_nan=False)
    assert (won["update"], won["goal"], won["return"], lost["return"]) == (7, "find the mug", 10.0, 0.0)
    for result, own_rows in ((won, rows[:2]), (lost, rows[2:])):
        for step, row in zip(result["steps"], own_rows, strict=True):
            assert len(step["tokens"]) == len(step["weights"]) == len(step["gaps"]) == len(row.response_ids)
            assert "".join(step["tokens"]) == row.step.response
            assert step["advantage"] == row.advantage
            assert step["feedback"] == row.step.feedback
            assert step["prompt"] == row.step.prompt
            assert row.context is not None
            assert step["context"] == row.context.text
            weight = 0.9 if row.advantage > 0 else 1.1  # λ = 0.5, and w is clipped to 0.8 or 1.2
            for chosen, one in zip(row.chosen, step["weights"], strict=True):
                assert one == pytest.approx(weight if chosen and row.teacher_logps is not None else 1.0)
    assert lost["steps"][1]["action_valid"] is False


def test_without_a_teacher_every_weight_is_1() -> None:
    grpo = recipe("grpo")
    rows = rows_of(PAIR, grpo, 0.0)
    for result in draw_samples(Measured({}, PAIR, rows, 0.0), grpo, encoder(), 0):
        for step in result["steps"]:
            assert {*step["weights"]} == {1.0}
            assert {*step["gaps"]} == {0.0}
            assert step["context"] == ""


def test_analyses_stand_beside_their_turn_or_the_rollout() -> None:
    texts = (Analysis("hint", "Go east.", step=1, analyser="teacher"), Analysis("skill", "Look first."))
    analysed = [pair._replace(trajectory=pair.trajectory.replace(analyses=texts)) for pair in PAIR]
    result = next(draw_samples(Measured({}, analysed, rows_of(PAIR), 0.5), SERL, encoder(), 0))
    assert result["analyses"] == [{"kind": "skill", "text": "Look first.", "analyser": ""}]
    assert [step["analyses"] for step in result["steps"]] == [
        [], [{"kind": "hint", "text": "Go east.", "analyser": "teacher"}],
    ]  # fmt: skip


def test_a_sample_is_a_trajectory_with_the_tokens_of_its_turns() -> None:
    rows = use(scored_rows(gap=-0.5))
    (won, lost) = draw_samples(Measured({}, PAIR, rows, 0.5), SERL, encoder(), 7)
    for result, original, own_rows in ((won, PAIR[0], rows[:2]), (lost, PAIR[1], rows[2:])):
        assert load_trajectory(json.dumps(result)) == original.trajectory
        assert (result["lambda"], result["weight_bounds"], result["method"]) == (0.5, [0.8, 1.2], "serl")
        for step, row in zip(result["steps"], own_rows, strict=True):
            assert step["response_ids"] == list(row.response_ids)
            assert step["prompt_ids"] == list(row.prompt_ids)
            assert step["chosen"] == list(row.chosen)
            assert step["logprobs"] == pytest.approx(list(row.logprobs))
            decode = encoder().tokenizer.decode
            assert step["prompt_read"] == decode(list(row.prompt_ids), skip_special_tokens=False)
            if row.teacher_ids:
                assert step["teacher_read"] == decode(list(row.teacher_ids), skip_special_tokens=False)
                assert step["mask_reason"] == ""


def test_the_reason_of_a_mask() -> None:
    failed = SERL.changed(tokens="action@failed")
    rows = rows_of(PAIR, failed, 0.5)
    (won, lost) = draw_samples(Measured({}, PAIR, rows, 0.5), failed, encoder(), 0)
    assert {step["mask_reason"] for step in won["steps"]} == {"tokens=action@failed leaves this turn out"}
    assert "" in {step["mask_reason"] for step in lost["steps"]}
    grpo = recipe("grpo")
    (won, _) = draw_samples(Measured({}, PAIR, rows_of(PAIR, grpo, 0.0), 0.0), grpo, encoder(), 0)
    assert {step["mask_reason"] for step in won["steps"]} == {"grpo has no teacher"}


def test_all_rollouts_can_be_recorded() -> None:
    rows = use(scored_rows(gap=-0.5))
    assert len(list(draw_samples(Measured({}, PAIR, rows, 0.5), SERL, encoder(), 0, "all"))) == 2
    several = [episode(LOST, sibling=n) for n in range(3)]
    drawn = draw_samples(Measured({}, several, rows_of(several), 0.5), SERL, encoder(), 0, "all")
    assert [result["sibling"] for result in drawn] == [0, 1, 2]


def test_runs_without_the_setting_can_be_continued() -> None:
    pair, every = (configure("serl", {}, [f"samples={name}"]) for name in ("pair", "ALL"))
    assert "samples" not in pair.as_dict()
    assert every.as_dict()["samples"] == "all"
    with pytest.raises(UsageError, match="as 'pair' or 'all'"):
        configure("serl", {}, ["samples=pairs"])
