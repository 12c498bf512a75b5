"""AntiSD (arXiv 2605.11609): a penalty on tokens that are more probable with the privileged context than without it."""

from __future__ import annotations

from math import log

import torch
from torch import Tensor

from agentgym_hindsight.baselines.methods.tensor_checks import detached

__all__ = ["antisd_phi"]


def antisd_phi(u: Tensor) -> Tensor:
    """``½·(softplus(u) − log 2)`` with ``u = log π_T − log π_S``, detached.

    AntiSD *subtracts* λ times this value from a token's advantage. The penalty of tokens that are more probable for the
    teacher is unbounded; the bonus of the others is at most ``½·log 2``.

    >>> [round(value, 4) for value in antisd_phi(torch.tensor([-5.0, 0.0, 5.0])).tolist()]
    [-0.3432, 0.0, 2.1568]
    """
    return (torch.nn.functional.softplus(detached(u)) - log(2)) / 2
