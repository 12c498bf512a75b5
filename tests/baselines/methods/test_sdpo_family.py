"""SDPO, SDFT and SRPO: their losses against plain sums over the vocabulary, and the rows that they train."""

from __future__ import annotations

from dataclasses import fields
from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from agentgym_hindsight.baselines.methods import recipe  # noqa: E402
from agentgym_hindsight.baselines.methods.evidence import Evidence  # noqa: E402
from tests.baselines.methods.scored import batch_of, drawn, scores_of  # noqa: E402
from tests.baselines.methods.two_rollouts import two_rollouts  # noqa: E402

CHOSEN = torch.tensor([[True, True, False, True], [False] * 4, [True, True, True, False]])


def divergence(student: list[float], teacher: list[float], alpha: float) -> float:
    """The divergence of one token, as a sum over the vocabulary."""
    s, t = ([exp(x) / sum(map(exp, logits)) for x in logits] for logits in (student, teacher))
    if alpha == 0:
        return sum(b * log(b / a) for a, b in zip(s, t, strict=True))
    mixed = [(1 - alpha) * a + alpha * b for a, b in zip(s, t, strict=True)]
    return sum((1 - alpha) * a * log(a / m) + alpha * b * log(b / m) for a, b, m in zip(s, t, mixed, strict=True))


def slow_losses(student: torch.Tensor, teacher: torch.Tensor, alpha: float) -> torch.Tensor:
    return torch.tensor(
        [
            [divergence(s, t, alpha) for s, t in zip(*rows, strict=True)]
            for rows in zip(student.tolist(), teacher.tolist(), strict=True)
        ],
        dtype=torch.float64,
    )


def test_sdpo_is_the_mean_over_taught_tokens_with_a_bounded_ratio() -> None:
    student, teacher, ids = drawn()
    method, scores = recipe("sdpo"), (scores_of(student, ids), scores_of(teacher, ids))
    old = scores[0].logps.clone()
    old[0] -= torch.tensor([1.0, 0.4, 0.0, -1.0])  # ratios e, e^0.4, 1, 1/e; the first is bounded by 2
    loss = method.extra_loss(batch_of(CHOSEN, signals=old), *scores)
    factors = torch.ones(3, 4, dtype=torch.float64)
    factors[0] = torch.tensor([2.0, exp(0.4), 1.0, exp(-1.0)])
    wanted = (slow_losses(student, teacher, 0.5) * factors)[CHOSEN].mean()
    assert loss.item() == pytest.approx(wanted.item())
    assert method.extra_loss(batch_of(CHOSEN, lam=0.25), *scores).item() == pytest.approx(
        0.25 * slow_losses(student, teacher, 0.5)[CHOSEN].mean().item()
    )
    assert method.update_signals(two_rollouts(), np.zeros(7), Evidence([], logps=["a", "b"]), 1.0, {}) == ["a", "b"]


def test_sdft_is_forward_kl_and_may_skip_the_first_tokens() -> None:
    student, teacher, ids = drawn()
    scores = scores_of(student, ids), scores_of(teacher, ids)
    losses = slow_losses(student, teacher, 0.0)
    assert recipe("sdft").extra_loss(batch_of(CHOSEN), *scores).item() == pytest.approx(losses[CHOSEN].mean().item())
    later = CHOSEN.clone()
    later[:, :2] = False
    skipped = recipe("sdft").changed(skip=2).extra_loss(batch_of(CHOSEN), *scores)
    assert skipped.item() == pytest.approx((losses[later].sum() / CHOSEN.sum()).item())


def test_srpo_sends_failed_turns_with_a_context_to_imitation() -> None:
    student, teacher, ids = drawn()
    method, scores = recipe("srpo"), (scores_of(student, ids), scores_of(teacher, ids))
    advantages = torch.tensor([-1.0, -2.0, 3.0], dtype=torch.float64)
    weights = torch.rand(3, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    batch = batch_of(CHOSEN, advantages=advantages, signals=weights)
    assert method.token_advantages(batch, *scores).tolist() == [0.0, -2.0, 0.0]
    wanted = (slow_losses(student, teacher, 0.5) * weights)[CHOSEN].sum() / 12  # all response tokens
    assert method.extra_loss(batch, *scores).item() == pytest.approx(wanted.item())
    assert str(method.tokens) == "response@failed"
    per_token = batch_of(CHOSEN, advantages=torch.ones(3, 4))
    assert method.token_advantages(per_token, *scores).sum(-1).tolist() == [0.0, 4.0, 0.0]


def test_srpos_weights_fall_with_the_teachers_entropy_and_have_mean_one_over_the_update() -> None:
    entropies = [np.array([0.5, 2.0]), None, np.array([1.0])]
    plain = [exp(-h) for h in (0.5, 2.0, 1.0)]
    mean = sum(plain) / 3
    weights = recipe("srpo").update_signals(two_rollouts(), np.zeros(3), Evidence([], entropies=entropies), 1.0, {})
    assert weights[0].tolist() == pytest.approx([plain[0] / mean, plain[1] / mean])
    assert weights[1] is None
    assert weights[2].tolist() == pytest.approx([plain[2] / mean])
    equal = recipe("srpo").changed(entropy_slope=0)
    assert equal.update_signals(two_rollouts(), np.zeros(3), Evidence([], entropies=entropies), 1.0, {})[2] == [1.0]


def test_srpo_trains_some_turns_by_each_branch(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    from tests.baselines.training.tiny_runs import make_trainer
    from tests.baselines.training.trainer_probes import step

    trainer = make_trainer(recipe("srpo"), tmp_path)
    assert torch.isfinite(step(trainer))
    rows = trainer._mini_batches[0]
    taught = [row for row in rows if row.teacher_logps is not None]
    assert 0 < len(taught) < len(rows)
    assert all(any(row.chosen) for row in taught)
    assert np.mean([float(row.signals[torch.tensor(row.chosen)].mean()) for row in taught]) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize(
    ("trainer", "name", "mode", "changes"),
    [
        ("sdpo", "sdpo", "topk_logits", {"top_k": 3}),
        ("sdpo", "sdpo", "topk_logits", {"top_k": 3, "alpha": 1.0}),
        ("sdpo", "sdpo", "full_logits", {"top_k": None, "alpha": 0.0}),
        ("sdft", "sdft", "full_logits", {}),
        ("sdft", "sdft", "full_logits", {"alpha": 0.5}),
        ("sdft", "sdft", "topk_logits", {"top_k": 3, "alpha": 0.5, "importance": 2.0}),
    ],
)
def test_the_losses_are_those_of_trls_trainers(trainer: str, name: str, mode: str, changes: dict[str, Any]) -> None:
    """TRL averages over rows of token means; a batch of one row has one mean."""
    module = pytest.importorskip(f"trl.experimental.{trainer}.{trainer}_trainer", reason="TRL has no such trainer")
    from types import SimpleNamespace

    kind = getattr(module, f"{trainer.upper()}Trainer")
    student, teacher, ids = drawn(rows=1, length=5)
    mask = torch.tensor([[True, True, True, True, False]])
    method = recipe(name).changed(**changes)
    old = scores_of(student + 0.3 * teacher, ids).logps
    arguments = SimpleNamespace(
        distillation_mode=mode,
        distillation_topk=method.top_k,
        distillation_alpha=method.alpha,
        distillation_add_tail=True,
        distillation_is_clip=method.importance,
    )
    stub = SimpleNamespace(
        args=arguments,
        accelerator=SimpleNamespace(gather=lambda value: value),
        _log_self_distillation_metric=lambda *given: None,
    )
    theirs_at, ours_at = student.clone().requires_grad_(), student.clone().requires_grad_()
    given = {"completion_ids": ids, "completion_mask": mask, "loss_mask": mask.double(), "student_logits": theirs_at,
             "teacher_logits": teacher}  # fmt: skip
    known = {each.name for each in fields(module.DistillationLogits)}
    logits = module.DistillationLogits(**{key: value for key, value in given.items() if key in known})
    theirs = kind._compute_self_distillation_loss(
        stub, SimpleNamespace(training=True), {"old_per_token_logps": old}, logits
    )
    signals = None if method.importance is None else old
    ours = method.extra_loss(
        batch_of(mask, signals=signals, all_chosen=4.0), scores_of(ours_at, ids), scores_of(teacher, ids)
    )
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-9)
    theirs.backward()
    ours.backward()
    assert torch.allclose(ours_at.grad, theirs_at.grad, atol=1e-9)
