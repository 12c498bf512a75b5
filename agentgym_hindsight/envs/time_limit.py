"""The step limit that the caller of ``gymnasium.make`` chose.

``gymnasium.make(id, max_episode_steps=k)`` wraps the env in a ``TimeLimit``, which truncates outside of it. The env is
not told: the spec that it gets has ``max_episode_steps=None``. So it could not end its own episode, and the last
``info`` had no final hindsight. ``make`` sets the spec itself, and at that moment its arguments can be read.
"""

from __future__ import annotations

from types import FrameType
from typing import Any

import gymnasium as gym
from gymnasium.envs import registration
from gymnasium.envs.registration import EnvSpec

__all__ = ["chosen_limit"]


def chosen_limit(caller: FrameType | None, spec: EnvSpec | None, own_limit: int) -> int:
    """The number of turns after which the env ends an episode, when ``caller`` has set its ``spec``.

    The limit given to ``gymnasium.make``, or registered with the id, replaces the env's default. If the caller also
    gave ``max_steps``, the smaller number counts. If ``caller`` is not ``gymnasium.make``, nothing changes.
    """
    if caller is None or spec is None or caller.f_code is not registration.make.__code__:
        return own_limit
    limit = _limit_of_make(caller.f_locals, spec)
    if limit is None:
        return own_limit
    return min(limit, own_limit) if "max_steps" in spec.kwargs else limit


def _limit_of_make(arguments: dict[str, Any], spec: EnvSpec) -> int | None:
    limit = arguments.get("max_episode_steps")
    if limit is None:
        given = arguments.get("id")
        registered = given if isinstance(given, EnvSpec) else gym.registry.get(spec.id)
        limit = registered.max_episode_steps if registered is not None else None
    # -1 means no limit; of any other value ``TimeLimit`` complains.
    return limit if type(limit) is int and limit >= 1 else None
