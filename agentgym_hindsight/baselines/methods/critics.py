"""Advantages from a value function: generalised advantage estimation (GAE)."""

from __future__ import annotations

import torch
from torch import Tensor

from agentgym_hindsight.baselines.methods.credit import as_float64
from agentgym_hindsight.baselines.methods.tensor_checks import check_unit
from agentgym_hindsight.errors import UsageError

__all__ = ["gae"]


def gae(rewards: Tensor, values: Tensor, dones: Tensor, *, gamma: float, lam: float) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimation over (B, T): the advantages, and the targets of the value function (A + V).

    ``dones`` marks the last step of an episode. Later columns (padding or another episode) do not affect the steps up
    to it. The last column has no next value; if an episode was cut there, add ``gamma`` times the value of the next
    state to its reward.

    >>> advantages, targets = gae(
    ...     torch.tensor([[0.0, 1.0]]), torch.tensor([[0.5, 0.5]]), torch.tensor([[False, True]]), gamma=1.0, lam=1.0
    ... )
    >>> advantages.tolist(), targets.tolist()
    ([[0.5, 0.5]], [[1.0, 1.0]])
    """
    if rewards.dim() != 2 or not rewards.shape == values.shape == dones.shape:
        raise UsageError(
            f"Expected rewards, values and dones of one shape (B, T), got {tuple(rewards.shape)}, "
            f"{tuple(values.shape)} and {tuple(dones.shape)}; try a value and an end for every reward."
        )
    check_unit("gamma", gamma, example=0.95)
    check_unit("lam", lam, example=0.95)
    reward, value, continues = as_float64(rewards), as_float64(values), 1 - as_float64(dones)
    advantages = torch.zeros_like(reward)
    next_value = next_advantage = torch.zeros(len(reward), dtype=torch.float64)
    for t in reversed(range(reward.shape[1])):
        delta = reward[:, t] + gamma * continues[:, t] * next_value - value[:, t]
        next_advantage = delta + gamma * lam * continues[:, t] * next_advantage
        advantages[:, t], next_value = next_advantage, value[:, t]
    targets = advantages + value
    return advantages.to(rewards.device, torch.float32), targets.to(rewards.device, torch.float32)
