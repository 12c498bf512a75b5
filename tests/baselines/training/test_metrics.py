"""The figures of an update, compared with values computed by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")

from agentgym_hindsight.baselines.methods import recipe  # noqa: E402
from agentgym_hindsight.baselines.methods.base import Method  # noqa: E402
from agentgym_hindsight.baselines.methods.batch import Batch, Scores  # noqa: E402
from agentgym_hindsight.baselines.padding import pad_right  # noqa: E402
from agentgym_hindsight.baselines.training.collating import credit_tensors  # noqa: E402
from agentgym_hindsight.baselines.training.metrics import (  # noqa: E402
    Measured,
    add_weights,
    measure,
    store_used,
    token_weights,
)
from agentgym_hindsight.baselines.training.running_figures import TokenMean  # noqa: E402
from agentgym_hindsight.baselines.training.training_row import TrainingRow  # noqa: E402
from tests.baselines.training.test_training_rows import HALL, LOST, PAIR, WON, episode, rows_of  # noqa: E402


def scored_rows(gap: float = 0.1, method: Method | None = None, lam: float = 0.5) -> list[TrainingRow]:
    """Rows whose teacher log-probabilities are those of the policy plus ``gap``."""
    rows = rows_of(PAIR, method, lam)
    for row in rows:
        if row.teacher_ids:
            row.teacher_logps = torch.tensor(row.logprobs) + gap
    return rows


def use(rows: list[TrainingRow], method: Method | None = None, lam: float = 0.5) -> list[TrainingRow]:
    """Store in the rows what the loss would use: the student's log-probabilities are those of sampling."""
    inputs = credit_tensors(rows, 0) if any(row.teacher_logps is not None for row in rows) else None
    if inputs is not None:
        logps = pad_right([row.logprobs for row in rows], 0.0, torch.float32)
        student, teacher = (Scores(each, logps.clone) for each in (logps, inputs["teacher_logps"]))
        batch = Batch(inputs["advantages"], logps != 0, inputs["chosen"], lam=lam)
        used = (method or recipe("serl")).token_advantages(batch, student, teacher)
        store_used(rows, used, batch.per_token_of(batch.advantages), teacher.logps - student.logps)
    return rows


def record(rows: list[TrainingRow], method: Method | None = None, lam: float = 0.5, **more: Any) -> dict[str, Any]:
    method = method or recipe("serl")
    measured = measure(more.pop("episodes", PAIR), rows, method, lam)
    for row in rows:
        row.used = None
    use(rows, method, lam)
    add_weights(measured, method)
    return measured.record


def test_figures_of_the_rollouts() -> None:
    broken = episode(LOST[:1], sibling=2, broken="crash")
    flat = [episode(LOST, task="lamp"), episode(LOST, task="lamp", sibling=1, truncated=True)]
    episodes = [*PAIR, broken, *flat]
    rows = rows_of(episodes, recipe("grpo"), 0.0)
    result = record(rows, recipe("grpo"), 0.0, episodes=episodes)
    assert result["episodes"] == 5
    assert result["broken"] == 1
    assert result["success"] == result["score"] == 1 / 4
    assert result["return"] == 10 / 4
    assert result["truncated"] == 1 / 4
    assert result["episode_turns"] == (2 + 3 + 3 + 3) / 4
    assert result["invalid"] == 3 / 11
    assert result["groups_without_variance"] == 1 / 2
    assert result["rows"] == 11
    assert result["response_tokens"] == sum(len(row.response_ids) for row in rows)
    assert result["prompt_tokens"] == sum(len(row.prompt_ids) for row in rows)
    assert result["rollout_tokens"] == result["prompt_tokens"] + result["response_tokens"]
    assert result["surprise"] == pytest.approx(1.5)
    assert result["advantage_abs"] == pytest.approx(sum(abs(row.advantage) for row in rows) / 11)
    assert not {"lambda", "gap", "weights", "context_available", "parse_failures"} & result.keys(), (
        "a method without a teacher"
    )


def test_repetition_is_the_same_action_from_the_same_state() -> None:
    look, eat = ((HALL, f"<action>{action}</action>", HALL) for action in ("look", "eat"))
    played = episode([look, look, look, eat, eat], task="lamp")
    # The anchors of these steps contain the turn; the first four turns get the same anchor.
    steps = tuple(replace(s, anchor="s:hall" if s.index < 4 else s.anchor) for s in played.trajectory.steps)
    played = played._replace(trajectory=played.trajectory.replace(steps=steps))
    assert record([], recipe("grpo"), 0.0, episodes=[played])["repetition"] == 2 / 5


def test_figures_of_the_teacher() -> None:
    rows = scored_rows()
    result = record(rows)
    scored = [row for row in rows if row.teacher_ids]
    chosen = sum(sum(row.chosen) for row in scored)
    assert len(scored) == 4
    assert result["lambda"] == 0.5
    assert result["context_available"] == 1.0
    assert result["parse_failures"] == 1 / 5
    assert result["action_tokens"] == sum(sum(row.chosen) for row in rows) / result["response_tokens"]
    assert result["teacher_tokens"] == sum(len(row.teacher_ids) + len(row.response_ids) for row in scored)
    assert result["gap"] == pytest.approx(0.1, abs=1e-6)
    assert result["gap_abs"] == pytest.approx(0.1, abs=1e-6)
    assert result["clipped"] == 0.0
    # w is exp(0.1) for tokens of the won rollout and exp(−0.1) for the lost one; λ = 0.5 halves the difference from 1.
    up, down = (0.5 + 0.5 * math.exp(sign * 0.1) for sign in (1, -1))
    won = sum(sum(row.chosen) for row in scored if row.advantage > 0)
    assert result["weight_mean"] == pytest.approx((won * up + (chosen - won) * down) / chosen, rel=1e-5)
    assert result["weight_up"] == pytest.approx(up, rel=1e-5)
    assert result["weight_down"] == pytest.approx(down, rel=1e-5)
    assert sum(result["weights"]["counts"]) == chosen
    assert len(result["weights"]["edges"]) == len(result["weights"]["counts"]) + 1
    bins = {
        (low, high): count
        for low, high, count in zip(
            result["weights"]["edges"], result["weights"]["edges"][1:], result["weights"]["counts"], strict=False
        )
        if count
    }
    assert [low <= value < high for (low, high), value in zip(sorted(bins), (down, up), strict=True)] == [True, True]
    assert result["gap_by_source"] == {
        "immediate": {"mean": pytest.approx(0.1, abs=1e-6), "abs": pytest.approx(0.1, abs=1e-6), "rows": 4.0}
    }


def test_rows_with_advantage_0_are_in_neither_weight_up_nor_weight_down() -> None:
    """With a KL term the teacher scores such rows too, but there is no advantage to multiply."""
    rows = scored_rows()
    for row in rows:
        row.advantage = max(0.0, row.advantage)
    result = record(rows)
    assert result["weight_up"] == pytest.approx(0.5 + 0.5 * math.exp(0.1), rel=1e-5)
    assert "weight_down" not in result


def test_clipped_weights_are_counted() -> None:
    assert record(scored_rows(gap=0.17))["clipped"] == pytest.approx(0.0), "exp(0.17) = 1.185 and exp(−0.17) = 0.844"
    assert record(scored_rows(gap=0.19))["clipped"] == pytest.approx(
        sum(sum(r.chosen) for r in scored_rows() if r.teacher_ids and r.advantage > 0)
        / sum(sum(r.chosen) for r in scored_rows() if r.teacher_ids)
    ), "exp(0.19) = 1.209 and exp(−0.19) = 0.827"
    assert record(scored_rows(gap=-0.5))["clipped"] == 1.0
    assert record(scored_rows(gap=-0.5))["gap"] == pytest.approx(-0.5, abs=1e-6)
    assert record(scored_rows(gap=-0.5))["gap_abs"] == pytest.approx(0.5, abs=1e-6)


def test_sources_without_scored_rows_have_zeros() -> None:
    """If the teacher scored no row of a source, its figures are 0 and nothing is divided by 0."""
    method = recipe("serl").changed(what="success|immediate")
    rows = scored_rows(method=method)
    for row in rows:
        if row.context is not None and "success" in row.context.sources:
            row.teacher_logps = None
    result = record(rows, method)
    assert result["gap_by_source"]["success"] == {"mean": 0.0, "abs": 0.0, "rows": 0.0}
    assert result["gap_by_source"]["immediate"]["rows"] == 2.0
    judged = recipe("serl").changed(what="judge:success")
    rows = rows_of(PAIR, judged, judgements=[["This rollout succeeded.", "This rollout failed."]])
    for row in rows:
        row.teacher_logps = torch.tensor(row.logprobs) if row.teacher_ids else None
    assert set(record(rows, judged)["gap_by_source"]) == {"judge:success"}


def test_weights_of_one_row() -> None:
    rows = scored_rows(gap=-0.1)
    gaps, factors = token_weights(use(rows)[0])
    chosen = torch.tensor(rows[0].chosen)
    torch.testing.assert_close(gaps, torch.full_like(gaps, -0.1), atol=1e-6, rtol=0)
    torch.testing.assert_close(factors[chosen], torch.full_like(factors[chosen], 0.5 + 0.5 * math.exp(-0.1)))
    assert torch.equal(factors[~chosen], torch.ones_like(factors[~chosen])), "other tokens have weight 1"
    unscored = next(row for row in rows if row.teacher_logps is None)
    assert [set(values.tolist()) for values in token_weights(unscored)] == [{0.0}, {1.0}]


def test_two_processes_give_the_figures_of_one() -> None:
    rows = scored_rows()
    whole = record(rows)
    halves: list[Any] = []

    def keep(values: list[Any]) -> list[Any]:
        halves.extend(values)
        return values

    for member in (0, 1):
        measure([PAIR[member]], [row for row in rows if row.episode == member], recipe("serl"), 0.5, gather=keep)
    measured = measure([], [], recipe("serl"), 0.5, gather=lambda _: list(halves))
    halves.clear()
    for member in (0, 1):
        part = Measured({}, (), [row for row in rows if row.episode == member])
        add_weights(part, recipe("serl"), gather=keep)
    add_weights(measured, recipe("serl"), gather=lambda _: halves)
    together = measured.record
    groups = ("groups_without_variance",)  # in a real run, no group is divided between processes
    assert {k: v for k, v in together.items() if k not in groups and k not in ("weights", "gap_by_source")} == (
        pytest.approx({k: v for k, v in whole.items() if k not in groups and k not in ("weights", "gap_by_source")})
    )
    assert together["weights"] == whole["weights"]
    assert together["gap_by_source"]["immediate"] == pytest.approx(whole["gap_by_source"]["immediate"])


def test_an_update_without_rollouts_gives_zeros() -> None:
    for name in ("serl", "grpo"):
        result = measure([], [], recipe(name), 0.5).record
        assert result["success"] == result["episode_turns"] == result["surprise"] == 0.0
    assert record(rows_of([episode(WON, won=True)], lam=0.0), lam=0.0)["context_available"] == 0.0


def test_a_token_mean_is_over_tokens_of_all_micro_batches_and_processes() -> None:
    mean = TokenMean()
    mean.add(torch.tensor([[1.0, 2.0, 9.0]]), torch.tensor([[1, 1, 0]]))
    mean.add(torch.tensor([[6.0]]), torch.tensor([[1]]))
    assert mean.result(lambda mine: [*mine, [3.0, 1.0]]) == pytest.approx((1 + 2 + 6 + 3) / 4)
    assert mean.result(lambda mine: mine) == 0.0, "starts again after a result"
