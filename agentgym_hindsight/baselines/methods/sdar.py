"""SDAR: the gate that selects the tokens whose teacher log-probability is higher."""

from __future__ import annotations

from torch import Tensor

from agentgym_hindsight.baselines.methods.checks import detached

__all__ = ["sdar_gate"]


def sdar_gate(gap: Tensor, beta: float = 5.0) -> Tensor:
    """``σ(β·Δ)``, detached: SDAR learns from the teacher where it likes a token better. ``beta=0`` is GRPO+OPSD's half.

    >>> import torch
    >>> [round(gate, 4) for gate in sdar_gate(torch.tensor([-0.5, 0.0, 0.5])).tolist()]
    [0.0759, 0.5, 0.9241]
    """
    return (beta * detached(gap)).sigmoid()
