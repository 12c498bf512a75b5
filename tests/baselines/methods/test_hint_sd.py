"""HINT-SD: its loss against the vectors of the released code, its contexts, and what a failing analyser costs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from math import exp, log
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from agentgym_hindsight.baselines.methods import recipe  # noqa: E402
from agentgym_hindsight.baselines.methods.batch import Batch, Scores  # noqa: E402
from agentgym_hindsight.baselines.methods.scripted_ask import ScriptedAsk  # noqa: E402
from agentgym_hindsight.errors import UsageError  # noqa: E402
from tests.baselines.methods.imitations import failed_and_won, scripted  # noqa: E402

STUDENT = torch.tensor([[2.0, 1.0, 0.5, 0.0, -1.0], [0.0, 1.0, 2.0, -1.0, 0.5], [1.0, 1.0, 1.0, 1.0, 3.0]]).double()
TEACHER = torch.tensor([[1.0, 2.0, 0.0, 0.5, -1.0], [0.0, 1.0, 2.5, -1.0, 0.5], [1.0, 1.0, 1.0, 1.0, 3.0]]).double()
CHOSEN = torch.tensor([[True, True], [True, False]])


def batch(chosen: torch.Tensor = CHOSEN, all_chosen: float = 3.0, lam: float = 1.0, **more: Any) -> Batch:
    rows = len(chosen)
    return Batch(torch.zeros(rows), chosen, chosen=chosen, lam=lam, all_chosen=all_chosen, **more)


def scores(logits: torch.Tensor) -> Scores:
    return Scores(logits.log_softmax(-1)[..., 0], lambda: logits)


def in_rows(values: torch.Tensor) -> torch.Tensor:
    """Tokens 0 and 1 in the first row, token 2 in the second, whose other position is padding."""
    return torch.stack([values[:2], torch.stack([values[2], torch.full_like(values[2], 7.0)])])


def reference(student: Sequence[float], teacher: Sequence[float], k: int) -> float:
    """The reverse KL of one token by plain probabilities: the k best tokens of the student, and the rest as one."""
    p, q = ([exp(x) / sum(map(exp, logits)) for x in logits] for logits in (student, teacher))
    best = sorted(range(len(p)), key=lambda index: -p[index])[:k]
    rest = [index for index in range(len(p)) if index not in best]
    buckets = [([i], [i]) for i in best] + ([(rest, rest)] if rest else [])
    total = 0.0
    for members, _ in buckets:
        ps, qs = sum(p[i] for i in members), sum(q[i] for i in members)
        total += ps * log(ps / qs)
    return total


def test_the_loss_is_that_of_the_release() -> None:
    method = recipe("hint-sd").changed(top_k=2)
    losses = method.token_losses(batch(), scores(in_rows(STUDENT)), scores(in_rows(TEACHER)))
    assert losses[CHOSEN].tolist() == pytest.approx([0.355897, 0.029822, 0.0], abs=1e-6)
    assert losses[CHOSEN].tolist() == pytest.approx(
        [reference(s, t, 2) for s, t in zip(STUDENT.tolist(), TEACHER.tolist(), strict=True)]
    )
    whole = recipe("hint-sd").token_losses(batch(), scores(in_rows(STUDENT)), scores(in_rows(TEACHER)))
    assert whole[CHOSEN].tolist() == pytest.approx([0.380612, 0.029822, 0.0], abs=1e-6)
    mean = method.extra_loss(batch(), scores(in_rows(STUDENT)), scores(in_rows(TEACHER)))
    assert mean.item() == pytest.approx(0.128573, abs=1e-6), "a mean over tokens, not over rows"


def test_the_gradient_is_that_of_the_release_and_reaches_the_policy_alone() -> None:
    student = in_rows(STUDENT).requires_grad_()
    teacher = in_rows(TEACHER).requires_grad_()
    losses = recipe("hint-sd").changed(top_k=2).token_losses(batch(), scores(student), scores(teacher))
    losses[0, 0].backward()
    wanted = [0.362643, -0.280839, -0.044710, -0.027118, -0.009976]
    assert student.grad[0, 0].tolist() == pytest.approx(wanted, abs=1e-6)
    assert teacher.grad is None


def test_micro_batches_add_up_and_rows_without_chosen_tokens_change_nothing() -> None:
    method = recipe("hint-sd").changed(top_k=2)
    student, teacher = in_rows(STUDENT), in_rows(TEACHER)
    whole = method.extra_loss(batch(), scores(student), scores(teacher))
    parts = [method.extra_loss(batch(CHOSEN[[row]]), scores(student[[row]]), scores(teacher[[row]])) for row in (1, 0)]
    assert sum(parts).item() == pytest.approx(whole.item())
    none = torch.tensor([[False, False]])
    assert method.extra_loss(batch(none), scores(student[[0]]), scores(teacher[[0]])).item() == 0
    assert method.extra_loss(batch(none, all_chosen=0.0), scores(student[[0]]), None) is None
    assert method.extra_loss(batch(lam=0.0), scores(student), scores(teacher)) is None
    half = method.extra_loss(batch(lam=0.5), scores(student), scores(teacher))
    assert half.item() == pytest.approx(whole.item() / 2)


def test_a_lumped_divergence_is_at_most_the_whole_one_and_never_negative() -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 50, 2, 30).double() * 2
    chosen = torch.ones(50, 2, dtype=torch.bool)
    values = [
        recipe("hint-sd").changed(top_k=k).token_losses(batch(chosen), scores(student), scores(teacher))
        for k in (1, 5, 29, 30)
    ]
    assert all((value >= -1e-12).all() for value in values)
    for fewer, more in pairwise(values):
        assert (fewer <= more + 1e-9).all()


def test_there_is_no_policy_gradient() -> None:
    method = recipe("hint-sd")
    assert (method.policy_weight, method.entropy, method.kl) == (0, 0, 0)
    given = batch()
    assert method.token_advantages(given, scores(in_rows(STUDENT)), scores(in_rows(TEACHER))) is given.advantages


def answered(answer: str, **changes: Any) -> tuple[Any, ScriptedAsk]:
    method = recipe("hint-sd").changed(**changes)
    ask = ScriptedAsk(method, lambda messages: answer)
    return method.contexts([failed_and_won()], ask), ask


def test_the_teacher_reads_the_feedback_after_the_prompt_of_the_named_turns() -> None:
    answer = json.dumps({"failures": [{"step": 2, "feedback": "Do not eat it."}, {"step": 3, "feedback": "Go on."}]})
    (((first, second, third), won),), ask = answered(answer)
    assert first is None
    assert [message["content"] for message in second.messages] == [
        "You are in room 1.",
        "Consider the following feedback to solve this step:\n\nDo not eat it.",
    ]
    assert third.source == "hint"
    assert won == [None, None], "won rollouts are not trained"
    assert ask.asked == {"teacher"}
    assert [(analysis.kind, analysis.step, analysis.text) for _, analysis in ask.kept] == [
        ("hint", 1, "Do not eat it."),
        ("hint", 2, "Go on."),
    ]
    (((_, second, _), _),), _ = answered(answer, feedback_at="start")
    assert [message["role"] for message in second.messages] == ["system", "user"]
    ((turns, _),), _ = answered(answer, targets="single")
    assert [context is not None for context in turns] == [False, True, False]


@pytest.mark.parametrize("answer", ["", "I do not know.", '{"failures": []}', '{"failures": [{"step": 9}]}'])
def test_an_analyser_that_fails_costs_its_rollout_the_context(answer: str) -> None:
    ((failed, won),), ask = answered(answer)
    assert failed == [None] * 3
    assert won == [None] * 2
    assert ask.kept == []


def test_the_dense_sibling_asks_about_every_turn_of_failed_rollouts() -> None:
    ((failed, won),), ask = answered('{"feedback": "Hm."}', targets="dense")
    assert len(ask.prompts) == 3
    assert all(context is not None for context in failed)
    assert won == [None] * 2


def test_a_script_needs_no_model() -> None:
    method = scripted("hint-sd")
    ask = ScriptedAsk(method)
    failed, _ = method.contexts([failed_and_won()], ask)[0]
    assert [context is not None for context in failed] == [False, True, True]
    assert ask.prompts == []
    assert {analysis.analyser for _, analysis in ask.kept} == {"scripted"}


@pytest.mark.parametrize(
    ("values", "message"),
    [({"most_targets": 0}, "most_targets"), ({"alpha": 1.5}, "alpha"), ({"top_k": 0}, "top_k"),
     ({"importance": 0.5}, "importance"), ({"targets": "some"}, "targets")],
)  # fmt: skip
def test_wrong_values_are_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        recipe("hint-sd").changed(**values)
