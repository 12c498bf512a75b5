"""Reinforcement learning of LLM agents from hindsight.

>>> import gymnasium as gym, agentgym_hindsight
>>> env = gym.make("ALFWorld-Hindsight-v0", data="embedded")
>>> obs, info = env.reset(seed=0)
>>> obs, reward, terminated, truncated, info = env.step(info["admissible_actions"][0])
>>> info["hindsight"].known
('immediate_feedback', 'next_observation', 'current_trajectory')
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from agentgym_hindsight import errors
from agentgym_hindsight.hindsight.info import plain_info
from agentgym_hindsight.hindsight.resolve import resolve
from agentgym_hindsight.hindsight.sources import Feedback, FeedbackSource, Hindsight, Provenance
from agentgym_hindsight.hindsight.trajectory import Group, Step, Trajectory
from agentgym_hindsight.registration import register_envs
from agentgym_hindsight.tasks import Task, TaskPanel

__version__ = "0.2.0"

__all__ = [
    "Feedback",
    "FeedbackSource",
    "Group",
    "Hindsight",
    "Provenance",
    "Step",
    "Task",
    "TaskPanel",
    "Trajectory",
    "__version__",
    "errors",
    "plain_info",
    "register_envs",
    "resolve",
]

register_envs()

_SUBPACKAGES = ("baselines", "envs", "hindsight", "testing", "vector", "wrappers")


def __getattr__(name: str) -> ModuleType:
    """Import ``agentgym_hindsight.testing`` and the other subpackages at their first use."""
    if name in _SUBPACKAGES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
