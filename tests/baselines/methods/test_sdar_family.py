"""SDAR, OPSD and Skill-SD: losses of sampled tokens, against plain formulas and their gradients."""

from __future__ import annotations

from math import exp

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from agentgym_hindsight.baselines.methods import recipe  # noqa: E402
from agentgym_hindsight.baselines.methods.batch import Scores  # noqa: E402
from agentgym_hindsight.baselines.methods.combined import combine  # noqa: E402
from agentgym_hindsight.baselines.methods.evidence import Evidence  # noqa: E402
from agentgym_hindsight.errors import UsageError  # noqa: E402
from tests.baselines.methods.scored import batch_of, drawn, scores_of  # noqa: E402
from tests.baselines.methods.two_rollouts import two_rollouts  # noqa: E402

GAPS = torch.tensor([[-0.5, -0.1, 0.0, 0.1, 0.5]], dtype=torch.float64)
STUDENT = torch.full((1, 5), -2.0, dtype=torch.float64)
CHOSEN = torch.tensor([[True, True, True, True, False]])


def logits_are_not_needed() -> torch.Tensor:
    raise AssertionError("these losses need no logits")


def pair() -> tuple[torch.Tensor, Scores, Scores]:
    student = STUDENT.clone().requires_grad_()
    return student, Scores(student, logits_are_not_needed), Scores(STUDENT + GAPS, logits_are_not_needed)


def test_sdar_is_gated_imitation() -> None:
    student, *scores = pair()
    method = recipe("sdar")
    losses = method.token_losses(batch_of(CHOSEN), *scores)
    gates = [0.075858, 0.377541, 0.5, 0.622459, 0.924142]
    wanted = [gate * gap for gate, gap in zip(gates, GAPS[0].tolist(), strict=True)]
    assert losses[0].tolist() == pytest.approx(wanted, abs=1e-6)
    loss = method.extra_loss(batch_of(CHOSEN, lam=0.01), *scores)
    assert loss.item() == pytest.approx(0.01 * sum(wanted[:4]) / 4, abs=1e-8)
    loss.backward()  # the gate has no gradient
    assert student.grad[0].tolist() == pytest.approx([-0.01 * gate / 4 for gate in gates[:4]] + [0.0], abs=1e-8)
    assert not method.uses_logits


def test_the_entropy_gate_and_the_soft_or() -> None:
    logits = torch.tensor([[[0.0, 0.0, 0.0], [9.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [5.0, 5.0, 0.0]]])
    logits = logits.double().requires_grad_()
    student = STUDENT.clone().requires_grad_()
    scores = Scores(student, lambda: logits), Scores(STUDENT + GAPS, logits_are_not_needed)
    entropies = []
    for row in logits[0].tolist():
        total = sum(map(exp, row))
        entropies.append(-sum(exp(each) / total * (each - np.log(total)) for each in row))
    mean = sum(entropies[:4]) / 4  # the fifth token is not chosen
    opened = [1 / (1 + exp(-5 * (each - mean))) for each in entropies]
    gaps = GAPS[0].tolist()
    gap_gates = [1 / (1 + exp(-5 * gap)) for gap in gaps]
    either = [1 - (1 - one) * (1 - other) for one, other in zip(gap_gates, opened, strict=True)]
    for gates, wanted in (("gap", gap_gates), ("entropy", opened), ("either", either)):
        method = recipe("sdar").changed(gates=gates)
        losses = method.token_losses(batch_of(CHOSEN), *scores)
        assert losses[0].tolist() == pytest.approx([g * gap for g, gap in zip(wanted, gaps, strict=True)], abs=1e-6)
        assert method.uses_logits == (gates != "gap")
        losses.sum().backward()
        assert logits.grad is None, "no gate has a gradient"
    with pytest.raises(UsageError, match="gates"):
        recipe("sdar").changed(gates="entropi")


def test_opsd_is_sdar_without_a_gate_and_without_a_policy_gradient() -> None:
    _, *scores = pair()
    ungated = recipe("sdar").changed(gate_slope=0)
    assert torch.equal(
        recipe("opsd").token_losses(batch_of(CHOSEN), *scores), ungated.token_losses(batch_of(CHOSEN), *scores)
    )
    assert (recipe("opsd").policy_weight, recipe("sdar").policy_weight) == (0.0, 1.0)


def test_skill_sd_is_k3_times_the_ratio() -> None:
    _, *scores = pair()
    losses = recipe("skill-sd").token_losses(batch_of(CHOSEN), *scores)
    assert losses[0].tolist() == pytest.approx([exp(gap) - 1 - gap for gap in GAPS[0].tolist()])
    assert losses[0, [0, 4]].tolist() == pytest.approx([0.106531, 0.148721], abs=1e-6)
    old = STUDENT - 0.2
    weighted = recipe("skill-sd").token_losses(batch_of(CHOSEN, signals=old), *scores)
    assert torch.allclose(weighted, losses * exp(0.2))
    given = Evidence([], logps=[np.ones(2)])
    assert recipe("skill-sd").update_signals(two_rollouts(), np.zeros(1), given, 1.0, {})[0].tolist() == [1, 1]


def test_skill_sds_expected_gradient_is_that_of_the_reverse_kl() -> None:
    """The mean over all tokens of the vocabulary, each weighted by its probability under the policy that sampled it."""
    logits, teacher, _ = drawn(rows=1, length=1, vocabulary=6)
    student = logits.clone().requires_grad_()
    total = torch.zeros((), dtype=torch.float64)
    for token in range(6):
        ids = torch.tensor([[token]])
        old = scores_of(logits, ids).logps
        one = torch.ones(1, 1, dtype=torch.bool)
        scores = scores_of(student, ids), scores_of(teacher, ids)
        total = total + old.exp()[0, 0] * recipe("skill-sd").token_losses(batch_of(one, signals=old), *scores)[0, 0]
    total.backward()
    exact = logits.clone().requires_grad_()
    p, q = exact.log_softmax(-1), teacher.log_softmax(-1)
    (p.exp() * (p - q)).sum().backward()
    assert torch.allclose(student.grad, exact.grad)


@pytest.mark.parametrize("name", ["sdar", "opsd", "skill-sd"])
def test_rows_without_a_teacher_and_lambda_0_have_no_loss(name: str) -> None:
    _, *scores = pair()
    assert recipe(name).extra_loss(batch_of(CHOSEN), scores[0], None) is None
    assert recipe(name).extra_loss(batch_of(CHOSEN, lam=0.0), *scores) is None
    given = batch_of(CHOSEN)
    assert recipe(name).token_advantages(given, *scores) is given.advantages


def test_runs_from_before_the_gates_can_be_continued() -> None:
    method = recipe("sdar")
    assert {"gates", "entropy_slope"}.isdisjoint(method.as_dict())
    assert method.changed(**method.as_dict()) == method
    other = method.changed(gates="either", entropy_slope=2.0)
    assert (other.as_dict()["gates"], other.as_dict()["entropy_slope"]) == ("either", 2.0)
    assert method.changed(**other.as_dict()) == other
    combined = combine(recipe("grpo"), "sdar:0.5")
    assert {"sdar.gates", "sdar.entropy_slope"}.isdisjoint(combined.as_dict())
    assert "sdar.gate_slope" in combined.as_dict()
    assert combined.changed(**{"sdar.gates": "entropy"}).as_dict()["sdar.gates"] == "entropy"
