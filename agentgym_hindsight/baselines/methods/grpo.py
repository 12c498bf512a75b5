"""GRPO as verl-agent, GiGPO and SERL use it: one row per turn, group statistics over rows.

For the rows of one task, with R the episode's return::

    score = R − penalty · [the turn's action was invalid]
    A     = (score − mean) / (std + 1e-6)          std unbiased; the only row of a task: mean 0, std 1

Long rollouts therefore weigh more in mean and std. ``statistics="trajectories"`` is the papers' Eq. 3: one score per
rollout. ``scale="none"`` does not divide by the std (Dr. GRPO). The loss is dual-clip PPO over tokens with an entropy
bonus of 0.001. verl-agent's GRPO scripts add ``kl=0.01``; SERL's GRPO baseline does not, and neither does this one.
"""

from __future__ import annotations

from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.methods.credit import GroupRelative

__all__ = ["METHOD"]

PAPER = "arXiv 2402.03300"
EVIDENCE = "code"
METHOD = Method("grpo", GroupRelative())
