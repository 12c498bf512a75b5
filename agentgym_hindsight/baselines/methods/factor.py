"""FACTOR (arXiv 2608.07118): weights of the tokens of an action, with mean 1."""

from __future__ import annotations

from math import isfinite

import torch
from torch import Tensor

from agentgym_hindsight.baselines.methods.checks import check_unit
from agentgym_hindsight.baselines.methods.tensor_checks import check_mask, detached
from agentgym_hindsight.errors import UsageError

__all__ = ["factor_weights"]


def factor_weights(
    advantage_sign: Tensor | float,
    gaps: Tensor,
    eta: float,
    tau: float = 1.0,
    clip: float = 3.0,
    *,
    mask: Tensor | None = None,
) -> Tensor:
    """FACTOR's weights of the tokens of an action, with mean 1: ``(1 − η) + η·L·softmax(sgn(A)·clip(Δ)/τ)``.

    ``gaps`` is (…, L), one action per row. ``advantage_sign`` is a number or has shape (…,); only its sign is used.
    ``mask`` (…, L) marks the tokens of the actions if these differ in length; other tokens have weight 1.

    >>> [round(weight, 4) for weight in factor_weights(-1, torch.tensor([0.0, 2.0, -2.0]), eta=0.42).tolist()]
    [0.7278, 0.6, 1.6722]
    """
    check_unit("eta", eta)
    if not (tau > 0 and clip > 0 and isfinite(tau)):
        raise UsageError(f"Expected tau and clip above 0, got tau={tau}, clip={clip}; try tau=1.0, clip=3.0.")
    delta = detached(gaps)
    sign = torch.as_tensor(advantage_sign, device=delta.device).detach().sign()
    if sign.dim() and sign.shape != delta.shape[:-1]:
        raise UsageError(
            f"Expected one advantage per action, got shape {tuple(sign.shape)} for gaps of shape {tuple(delta.shape)}; "
            "try (B,) and (B, L)."
        )
    mask = torch.ones_like(delta, dtype=torch.bool) if mask is None else mask
    check_mask(mask, delta)
    scores = (sign[..., None] * delta.clamp(-clip, clip) / tau).masked_fill(~mask, -torch.inf)
    share = scores.softmax(-1)  # NaN for an action without tokens; the mask then excludes the whole row
    return torch.where(mask, (1 - eta) + eta * mask.sum(-1, keepdim=True) * share, 1.0)
