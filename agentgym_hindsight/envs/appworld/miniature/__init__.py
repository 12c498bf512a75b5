"""Hamlet: a small world of apps that this package generates from a seed. Its results are named ``miniature/hamlet``."""

from __future__ import annotations

from agentgym_hindsight.envs.appworld.miniature.database import Frozen
from agentgym_hindsight.envs.appworld.miniature.hamlet import APPS, LOGIN_APPS, SCHEMA, WORLD_NAME
from agentgym_hindsight.envs.appworld.miniature.world import World

__all__ = ["APPS", "LOGIN_APPS", "SCHEMA", "WORLD_NAME", "Frozen", "World"]
