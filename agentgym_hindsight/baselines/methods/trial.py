"""TRIAL (arXiv 2608.07371): weights of the turns of a rollout."""

from __future__ import annotations

import torch
from torch import Tensor

from agentgym_hindsight.baselines.methods.tensor_checks import check_shapes, detached

__all__ = ["trial_weights"]


def trial_weights(scores: Tensor, counts: Tensor) -> Tensor:
    """TRIAL's weight of each turn (…, turns): its score divided by the token-weighted mean score of the rollout.

    ``scores`` has the mean ``|Δ|`` of each turn and ``counts`` its number of tokens, so ``Σ count·weight = Σ count``.
    A turn without tokens is padding. Padding has weight 1, and so have all turns if all scores of the rollout are 0.

    >>> weights = trial_weights(torch.tensor([0.1, 0.2, 0.3]), torch.tensor([10, 20, 10]))
    >>> [round(weight, 4) for weight in weights.tolist()]
    [0.5, 1.0, 1.5]
    """
    check_shapes("scores and counts", scores, counts)
    present, tokens = counts > 0, detached(counts)
    score = detached(scores).masked_fill(~present, 0.0)
    mean = (tokens * score).sum(-1, keepdim=True) / tokens.sum(-1, keepdim=True).clamp(min=1)
    return torch.where(present & (mean > 0), score / mean.masked_fill(mean <= 0, 1.0), 1.0)
