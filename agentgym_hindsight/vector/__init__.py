"""Vector envs for text: groups of rollouts, an active mask, worker processes, isolation of failures."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import gymnasium as gym

from agentgym_hindsight.vector.env import HindsightVectorEnv
from agentgym_hindsight.vector.infos import unstack
from agentgym_hindsight.vector.ray import RayWorkers

__all__ = ["HindsightVectorEnv", "RayWorkers", "unstack"]


def __getattr__(name: str) -> Callable[..., HindsightVectorEnv]:
    """``make_…``: the function that ``gymnasium.make_vec`` calls for an id whose ``vector_entry_point`` names it."""
    if name.startswith("make_"):
        for env_id, spec in gym.registry.items():
            if spec.vector_entry_point == f"{__name__}:{name}":
                return partial(HindsightVectorEnv, env_id)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
