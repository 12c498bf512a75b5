"""Token advantages and the loss of a training step, compared with values computed by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("trl")

import torch

from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.training.trainer import HindsightTrainer
from agentgym_hindsight.stage import Stage
from tests.baselines.training.tiny_runs import PLAN, logps, make_trainer, scores, serl, tokenizer
from tests.baselines.training.trainer_probes import (
    gradients,
    key,
    play_actions,
    record_loss_inputs,
    step,
    unpadded_rows,
)


@pytest.mark.parametrize("how", ["reweight:0.2", "reweight:0.1:mean"])
def test_token_advantages_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    plan = replace(PLAN, temperature=0.8)
    trainer = make_trainer(serl(how=how, when="0.5"), tmp_path, plan)
    seen = record_loss_inputs(monkeypatch)
    step(trainer)
    clip, weighted = trainer.method.how.clip, 0
    advantages = {
        row: advantage
        for batch in seen
        for row, advantage in zip(unpadded_rows(batch), batch["advantages"], strict=True)
    }
    rows = trainer._mini_batches[0]
    assert len(rows) == len(advantages) == 32
    for row in rows:
        assert row.teacher_logps is not None
        student = logps(trainer.model, *key(row), plan.temperature)
        teacher = logps(trainer.model, row.teacher_ids, row.response_ids, plan.temperature)
        sign = 1 if row.advantage > 0 else -1
        factors = (0.5 + 0.5 * (sign * (teacher - student)).exp().clamp(1 - clip, 1 + clip)).tolist()
        if how.endswith("mean"):
            factors = [factor * len(factors) / sum(factors) for factor in factors]
        expected = torch.tensor([row.advantage * factor for factor in factors])
        torch.testing.assert_close(advantages[key(row)][: len(expected)], expected, atol=1e-5, rtol=1e-5)
        weighted += sum(abs(factor - 1) > 1e-3 for factor in factors)
    assert weighted > 50


def test_only_action_tokens_are_weighted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stormy: Stage) -> None:
    tasks = stormy.panel("train", 3)
    trainer = make_trainer(recipe("serl"), tmp_path, kind=HindsightTrainer, stage=stormy, tasks=tasks)
    play_actions(trainer, lambda turn: "east" if turn.sibling else "west")
    seen = record_loss_inputs(monkeypatch)
    step(trainer)
    pairs = [pair for batch in seen for pair in zip(batch["advantages"], unpadded_rows(batch), strict=True)]
    words, weighted = tokenizer(), 0
    for advantages, (_, response) in pairs:
        base = advantages[0]  # of the opening tag
        for place, token in enumerate(response):
            if advantages[place] != base:
                assert words.decode([token]) in "eastwest"
                weighted += 1
    assert weighted > 10


@pytest.mark.parametrize("delta", [3.0, None])
def test_the_loss_is_dual_clip_ppo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, delta: float | None) -> None:
    trainer = make_trainer(recipe("grpo").changed(dual_clip=delta, entropy=0), tmp_path)
    generator = torch.Generator().manual_seed(0)
    new = (torch.randn(40, 7, generator=generator) * 1.2).requires_grad_()
    advantages = torch.randn(40, generator=generator)
    mask = (torch.arange(7) < torch.randint(1, 8, (40, 1), generator=generator)).long()
    ids = torch.ones(40, 7, dtype=torch.long)
    monkeypatch.setattr(
        HindsightTrainer, "_score_on_cpu", lambda self, *args, **kwargs: (new, torch.zeros_like(new), None)
    )
    inputs = {
        "prompt_ids": ids[:, :1], "prompt_mask": ids[:, :1], "completion_ids": ids, "completion_mask": mask,
        "advantages": advantages.clone(), "chosen": torch.zeros(40, 7, dtype=torch.bool), "lam": 0.0,
        "old_per_token_logps": torch.zeros(40, 7), "num_items_in_batch": mask.sum().float(),
    }  # fmt: skip
    loss = trainer._compute_loss(trainer.model, inputs)
    loss.backward()  # type: ignore[no-untyped-call]  # torch's own

    free = new.detach().double().clone().requires_grad_()
    ratio, a = free.exp(), advantages.double()[:, None]
    per_token = torch.maximum(-a * ratio, -a * ratio.clamp(0.8, 1.2))
    if delta is not None:
        per_token = torch.where(a < 0, torch.minimum(per_token, -delta * a), per_token)
    expected = (per_token * mask).sum() / mask.sum()
    expected.backward()  # type: ignore[no-untyped-call]
    high = ((ratio > 3) & mask.bool()).sum(-1) > 0
    assert (high & (advantages < 0)).sum() > 5
    assert (high & (advantages > 0)).sum() > 5
    assert new.grad is not None
    assert free.grad is not None
    torch.testing.assert_close(loss.double(), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(new.grad.double(), free.grad, atol=1e-6, rtol=1e-5)


def test_micro_batches_add_up_to_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    method = serl(entropy=0.05, aux_kl=0.7)
    whole, parts = (make_trainer(method, tmp_path, replace(PLAN, token_budget=n)) for n in (10**6, 500))
    seen = record_loss_inputs(monkeypatch)
    loss = step(whole)
    assert len(seen) == 1
    torch.testing.assert_close(step(parts), loss, atol=1e-6, rtol=1e-5)
    assert len(seen) > 5
    expected = gradients(whole)
    assert sum(g.abs().sum() for g in expected.values()) > 0.1
    for name, gradient in gradients(parts).items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-6, rtol=1e-4)
    # Entropy bonus and auxiliary KL are both part of the loss: without either, its value differs.
    for other in (serl(entropy=0, aux_kl=0.7), serl(entropy=0.05)):
        assert not torch.allclose(step(make_trainer(other, tmp_path)), loss, atol=1e-4)


def test_auxiliary_kl_by_hand(tmp_path: Path) -> None:
    plan = replace(PLAN, temperature=0.8, updates=1)
    result = {}
    for coefficient in (0.0, 0.7):
        trainer = make_trainer(serl(aux_kl=coefficient, when="0.4", entropy=0), tmp_path, plan)
        result[coefficient] = (step(trainer), gradients(trainer))
    total, count = 0.0, 0
    for row in trainer._mini_batches[0]:
        teacher = scores(trainer.model, row.teacher_ids, row.response_ids, plan.temperature)
        student = scores(trainer.model, *key(row), plan.temperature)
        total += float((teacher.exp() * (teacher - student)).sum())
        count += len(row.response_ids)
    expected = 0.4 * 0.7 * total / count
    assert expected > 1e-3
    assert float(result[0.7][0] - result[0.0][0]) == pytest.approx(expected, rel=1e-3)
    name = "model.embed_tokens.weight"
    assert not torch.allclose(result[0.7][1][name], result[0.0][1][name], atol=1e-5)
