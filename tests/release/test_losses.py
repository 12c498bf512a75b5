"""The policy loss of micro-batches and its gradient: weights of tokens, dual clip, entropy and mean over tokens."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("trl", reason="needs the extra [train]")

import torch

from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.methods.batch import Scores
from tests.baselines.training.tiny_runs import PLAN, make_trainer
from tests.release.released_code import needs_release, released

pytestmark = [needs_release, pytest.mark.slow]
MINI_BATCHES, ENTROPY = 600, 0.001


def drawn(rng: random.Random, generator: torch.Generator) -> dict[str, Any]:
    """The numbers of a mini-batch. Many ratios are beyond the clip, and some beyond the dual clip."""
    rows, width = rng.randint(2, 12), rng.randint(1, 9)
    size = (rows, width)
    lengths = torch.randint(1, width + 1, (rows, 1), generator=generator)
    mask = torch.arange(width)[None] < lengths
    old = -3 * torch.rand(size, generator=generator)
    return {
        "mask": mask,
        "old": old,
        "student": old + rng.choice((0.05, 0.3, 2.0)) * torch.randn(size, generator=generator),
        "teacher": old + torch.randn(size, generator=generator),
        "entropies": 3 * torch.rand(size, generator=generator),
        "advantages": torch.randn(rows, generator=generator) * (torch.rand(rows, generator=generator) < 0.8),
        "chosen": (torch.rand(size, generator=generator) < 0.5) & mask,
        "contexts": torch.rand(rows, generator=generator) < 0.7,
        "micro_rows": rng.choice((1, 2, 3)),
        "update": rng.randint(0, 55),
    }


def of_release(given: dict[str, Any]) -> tuple[float, torch.Tensor]:
    """The loss of a mini-batch and its gradient, as the release adds them up over micro-batches."""
    core = released("verl/trainer/ppo/core_algos.py")
    core.verl_F.masked_mean = staticmethod(released("verl/utils/torch_functional.py").masked_mean)
    student = given["student"].clone().requires_grad_()
    config = {"weight_clip": 0.2, "mixing_lambda": 0.5, "lambda_decay_steps": 50}
    size, total = given["micro_rows"], 0.0
    starts = range(0, len(student), size)
    for start in starts:
        part = {name: value[start : start + size] for name, value in given.items() if torch.is_tensor(value)}
        mask, logps = part["mask"].float(), student[start : start + size]
        advantages, _ = core.compute_serl_action_mask_reweighted_advantages(
            advantages=part["advantages"][:, None] * mask,
            student_log_probs=logps,
            teacher_log_probs=part["teacher"],
            response_mask=mask,
            serl_config=config,
            update_step=given["update"],
            serl_mask=part["contexts"].float(),
            serl_action_mask=part["chosen"].float(),
        )
        loss, *_ = core.compute_policy_loss(
            old_log_prob=part["old"], log_prob=logps, advantages=advantages, response_mask=mask, cliprange=0.2
        )
        loss = loss - ENTROPY * core.agg_loss(part["entropies"], mask, "token-mean")
        (loss / len(starts)).backward()
        total += float(loss.detach()) / len(starts)
    assert student.grad is not None
    return total, student.grad


def of_trainer(trainer: Any, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> tuple[float, torch.Tensor]:
    """The same from the trainer's own loss, whose models give these scores."""
    monkeypatch.setattr(trainer, "plan", replace(trainer.plan, micro_rows=given["micro_rows"]))
    student = given["student"].clone().requires_grad_()
    lengths = given["mask"].sum(-1).tolist()
    rows = [SimpleNamespace(response_ids=(0,) * length) for length in lengths]
    batches, start, total = trainer._micro_batches(rows), 0, 0.0
    trainer._chosen_tokens = 1.0
    trainer._marked_tokens = trainer._turns = trainer._marked_turns = 1.0
    for number, batch in enumerate(batches):
        part = slice(start, start + len(batch))
        start += len(batch)
        logps, entropies = student[part], given["entropies"][part]
        mask = given["mask"][part]
        scores = Scores(logps * mask, lambda: None), (logps, entropies, None)  # type: ignore[arg-type,return-value]
        teacher = Scores(given["teacher"][part], lambda: None)  # type: ignore[arg-type,return-value]
        monkeypatch.setattr(trainer, "_student_scores", lambda *_, scores=scores: scores)
        monkeypatch.setattr(trainer, "_teacher_scores", lambda *_, teacher=teacher: teacher)
        ids = torch.zeros_like(mask, dtype=torch.long)
        inputs = {
            "prompt_ids": ids[:, :1],
            "prompt_mask": torch.ones_like(ids[:, :1]),
            "completion_ids": ids,
            "completion_mask": mask.long(),
            "advantages": given["advantages"][part],
            "chosen": given["chosen"][part] & given["contexts"][part, None],
            "old_per_token_logps": given["old"][part],
            "lam": trainer.method.when(given["update"]),
            "num_items_in_batch": torch.tensor(trainer._tokens_of_mean(float(sum(lengths)), batches, number)),
            "rows": [],
        }
        loss = trainer._compute_loss(trainer.model, inputs)
        loss.backward()
        total += float(loss.detach())
    assert student.grad is not None
    return total, student.grad


def test_policy_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    method = recipe("serl").changed(tokens="action:released", entropy=ENTROPY)
    trainer = make_trainer(method, tmp_path, replace(PLAN, micro_rows=2))
    rng, generator = random.Random(0), torch.Generator().manual_seed(0)
    tokens = clipped = dual = 0
    worst = worst_gradient = 0.0
    for _ in range(MINI_BATCHES):
        given = drawn(rng, generator)
        theirs, their_gradient = of_release(given)
        mine, gradient = of_trainer(trainer, given, monkeypatch)
        worst = max(worst, abs(mine - theirs) / max(1.0, abs(theirs)))
        difference = (gradient - their_gradient)[given["mask"]].abs().max()
        worst_gradient = max(worst_gradient, float(difference / their_gradient.abs().max().clamp(min=1.0)))
        ratio = (given["student"] - given["old"]).exp()
        tokens += int(given["mask"].sum())
        clipped += int((((ratio - 1).abs() > 0.2) & given["mask"]).sum())
        dual += int(((ratio > 3) & (given["advantages"][:, None] < 0) & given["mask"]).sum())
    assert min(clipped, dual) > 500
    with capsys.disabled():
        print(
            f"\npolicy loss: {MINI_BATCHES} mini-batches, {tokens} tokens, {clipped} beyond the clip, {dual} beyond "
            f"the dual clip; largest difference {worst:.1e}, of a gradient {worst_gradient:.1e}"
        )
    assert worst < 1e-5
    assert worst_gradient < 1e-5
