"""A reward penalty for invalid actions."""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym

from agentgym_hindsight.envs.plain_values import number, row
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.wrappers.base import StepResult, TextWrapper, annotate, refuse_below
from agentgym_hindsight.wrappers.snapshots import RestoreInner, require_argument

__all__ = ["InvalidActionPenalty"]


class InvalidActionPenalty(TextWrapper):
    """Subtracts ``penalty`` from the reward of every step whose ``info["action_valid"]`` is False.

    ``info["raw_reward"]`` is the reward before the penalty (0.0 on reset). The recorded step has the reward after it.
    Put this wrapper outside of :class:`~agentgym_hindsight.wrappers.ActionParser`, which decides validity.

    >>> import gymnasium as gym, agentgym_hindsight
    >>> env = InvalidActionPenalty(gym.make("ALFWorld-Hindsight-v0", data="embedded"), penalty=0.1)
    >>> obs, info = env.reset(seed=0)
    >>> obs, reward, *_, info = env.step("fly to the moon")
    >>> reward, info["raw_reward"]
    (-0.1, 0.0)
    """

    penalises_invalid_actions = True

    def __init__(self, env: gym.Env[str, str], penalty: float = 0.1) -> None:
        if isinstance(penalty, bool) or not isinstance(penalty, (int, float)) or not 0 <= penalty < math.inf:
            raise UsageError(f"Expected a penalty ≥ 0 to subtract from the reward, got {penalty!r}; try 0.1.")
        super().__init__(env, penalty=penalty)
        refuse_below(env, "InvalidActionPenalty", marker="penalises_invalid_actions")
        self.penalty = float(penalty)
        self._raw = 0.0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        observation, info = self.env.reset(seed=seed, options=options)
        self._raw = 0.0
        return observation, info | {"raw_reward": 0.0}

    def step(self, action: str) -> StepResult:
        observation, env_reward, terminated, truncated, info = self.env.step(action)
        raw = self._raw = float(env_reward)
        reward = raw if info["action_valid"] else raw - self.penalty
        annotate(self.env, reward=reward)
        return observation, reward, terminated, truncated, info | {"raw_reward": raw}

    def snapshot_state(self) -> Any:
        """The last reward before the penalty, for :func:`~agentgym_hindsight.wrappers.snapshot_of`."""
        return self.penalty, self._raw

    def restore_state(self, state: Any, restore_inner: RestoreInner) -> tuple[str, dict[str, Any]]:
        """Set what :meth:`snapshot_state` returned, and the env inside."""
        penalty, raw = row(state, "wrappers.InvalidActionPenalty", 2)
        require_argument(self, "penalty", self.penalty, penalty)
        saved = number(raw, "wrappers.InvalidActionPenalty")
        observation, info = restore_inner()
        self._raw = saved
        return observation, info | {"raw_reward": saved}
