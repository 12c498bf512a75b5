"""Policies. Scripted ones are exported here; the modules of model policies need extras and are imported by name."""

from agentgym_hindsight.baselines.policies.base import Policy, Reply, TurnView
from agentgym_hindsight.baselines.policies.scripted import ExpertPolicy, RandomPolicy, ReplayPolicy, scripted_policy

__all__ = ["ExpertPolicy", "Policy", "RandomPolicy", "ReplayPolicy", "Reply", "TurnView", "scripted_policy"]
