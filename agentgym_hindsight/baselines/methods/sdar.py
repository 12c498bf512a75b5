"""SDAR (arXiv 2605.15155): a gate for tokens that are more probable for the teacher than for the policy."""

from __future__ import annotations

from agentgym_hindsight.baselines.requirements import require_torch

require_torch("computing token weights")

from torch import Tensor  # noqa: E402

from agentgym_hindsight.baselines.methods.tensor_checks import detached  # noqa: E402

__all__ = ["sdar_gate"]


def sdar_gate(gap: Tensor, beta: float = 5.0) -> Tensor:
    """``σ(β·Δ)``, detached: the weight of a token in SDAR's imitation loss. ``beta=0`` gives GRPO+OPSD's constant ½.

    >>> import torch
    >>> [round(gate, 4) for gate in sdar_gate(torch.tensor([-0.5, 0.0, 0.5])).tolist()]
    [0.0759, 0.5, 0.9241]
    """
    return (beta * detached(gap)).sigmoid()
