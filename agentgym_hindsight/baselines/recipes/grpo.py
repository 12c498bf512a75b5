"""GRPO as verl-agent, GiGPO and SERL use it: one row a turn, group statistics over rows.

For the rows of one task, with R the episode's return and n the rows of the whole group::

    score = R − penalty · [the turn's action was invalid]
    A     = (score − mean) / (std + 1e-6)          std unbiased; a lone row has mean 0 and std 1

Long rollouts thus weigh more in mean and deviation. ``statistics="trajectories"`` is the textbook's Eq. 3: one score a
rollout. ``scale="none"`` leaves the deviation out (Dr. GRPO). The loss is dual-clip PPO over tokens with an entropy
bonus of 0.001; verl-agent's own GRPO scripts add ``kl=0.01``, SERL's, with which we compare, do not.
"""

from __future__ import annotations

from agentgym_hindsight.baselines.method import Method
from agentgym_hindsight.baselines.recipes.credit import GroupRelative

__all__ = ["METHOD"]

METHOD = Method("grpo", GroupRelative())
