"""AntiSD: the penalty on tokens that only the context explains."""

from __future__ import annotations

from math import log

import torch
from torch import Tensor

from agentgym_hindsight.baselines.methods.checks import detached

__all__ = ["antisd_phi"]


def antisd_phi(u: Tensor) -> Tensor:
    """``½·(softplus(u) − log 2)``, detached: what AntiSD, times λ, *subtracts* from a token's advantage.

    Tokens that only the context explains lose without bound; others gain ``½·log 2`` at most.

    >>> [round(value, 4) for value in antisd_phi(torch.tensor([-5.0, 0.0, 5.0])).tolist()]
    [-0.3432, 0.0, 2.1568]
    """
    return (torch.nn.functional.softplus(detached(u)) - log(2)) / 2
