"""Shared by tests of imitation losses: batches and scores from logits."""

from __future__ import annotations

from typing import Any

import torch

from agentgym_hindsight.baselines.methods.batch import Batch, Scores

__all__ = ["batch_of", "drawn", "scores_of"]


def scores_of(logits: torch.Tensor, ids: torch.Tensor) -> Scores:
    """The scores of the sampled tokens ``ids`` (B, T) by logits (B, T, V)."""
    logps = logits.log_softmax(-1).gather(-1, ids[..., None])[..., 0]
    return Scores(logps, lambda: logits)


def batch_of(chosen: torch.Tensor, **values: Any) -> Batch:
    """A micro-batch that is the whole optimizer step; all tokens are response tokens."""
    tokens = values.pop("tokens", torch.ones_like(chosen))
    given = {"advantages": torch.ones(len(chosen), dtype=torch.float64), "lam": 1.0, **values}
    given.setdefault("all_chosen", float(chosen.sum()))
    given.setdefault("all_tokens", float(tokens.sum()))
    return Batch(tokens=tokens, chosen=chosen, **given)


def drawn(rows: int = 3, length: int = 4, vocabulary: int = 6) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits of student and teacher, and sampled tokens."""
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, rows, length, vocabulary, generator=generator, dtype=torch.float64) * 1.5
    return student, teacher, torch.randint(0, vocabulary, (rows, length), generator=generator)
