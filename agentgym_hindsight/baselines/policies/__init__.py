"""Who acts: scripted policies here; models beside them, where the extras are installed."""

from agentgym_hindsight.baselines.policies.base import Policy, Reply, TurnView
from agentgym_hindsight.baselines.policies.scripted import ExpertPolicy, RandomPolicy, ReplayPolicy, scripted_policy

__all__ = ["ExpertPolicy", "Policy", "RandomPolicy", "ReplayPolicy", "Reply", "TurnView", "scripted_policy"]
