"""Advantages from a value function: generalised advantage estimation (GAE)."""

from __future__ import annotations

import numpy as np

from agentgym_hindsight.baselines.methods.checks import check_unit
from agentgym_hindsight.baselines.methods.rows import Array
from agentgym_hindsight.errors import UsageError

__all__ = ["gae"]


def gae(rewards: Array, values: Array, dones: Array, *, gamma: float, lam: float) -> tuple[Array, Array]:
    """Generalised advantage estimation over (B, T): the advantages, and the targets of the value function (A + V).

    ``dones`` marks the last step of an episode. Later columns (padding or another episode) do not affect the steps up
    to it. The last column has no next value; if an episode was cut there, add ``gamma`` times the value of the next
    state to its reward. Computed in float64, returned as float32.

    >>> advantages, targets = gae([[0.0, 1.0]], [[0.5, 0.5]], [[False, True]], gamma=1.0, lam=1.0)
    >>> advantages.tolist(), targets.tolist()
    ([[0.5, 0.5]], [[1.0, 1.0]])
    """
    reward, value, ends = np.asarray(rewards, np.float64), np.asarray(values, np.float64), np.asarray(dones)
    if reward.ndim != 2 or not reward.shape == value.shape == ends.shape:
        raise UsageError(
            f"Expected rewards, values and dones of one shape (B, T), got {reward.shape}, {value.shape} and "
            f"{ends.shape}; try a value and an end for every reward."
        )
    check_unit("gamma", gamma, example=0.95)
    check_unit("lam", lam, example=0.95)
    continues = 1.0 - ends.astype(np.float64)
    advantages = np.zeros_like(reward)
    next_value = next_advantage = np.zeros(len(reward))
    for t in reversed(range(reward.shape[1])):
        delta = reward[:, t] + gamma * continues[:, t] * next_value - value[:, t]
        next_advantage = delta + gamma * lam * continues[:, t] * next_advantage
        advantages[:, t], next_value = next_advantage, value[:, t]
    return advantages.astype(np.float32), (advantages + value).astype(np.float32)
