"""The reward that a paper trained on, instead of the env's reward."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from agentgym_hindsight.envs.plain_values import flag, number, row
from agentgym_hindsight.names import known_name
from agentgym_hindsight.wrappers.base import StepResult, TextWrapper, annotate, refuse_below
from agentgym_hindsight.wrappers.snapshots import RestoreInner, require_argument

__all__ = ["REWARD_PROTOCOLS", "RewardProtocol"]

_WHERE = "wrappers.RewardProtocol"

REWARD_PROTOCOLS: tuple[str, ...] = ("native", "10-won")


class RewardProtocol(TextWrapper):
    """Replaces the reward by that of a protocol.

    * ``"native"``: the env's reward, unchanged.
    * ``"10-won"``: 10 on the step that wins, else 0 (verl-agent, GiGPO, SERL). In the world ``"webshop"`` this is the
      step that ends the episode with a score of exactly 1. ``info["score"]`` does not change.

    May be inside or outside of :class:`~agentgym_hindsight.wrappers.InvalidActionPenalty`: the penalty of an inner one
    is kept, and ``info["raw_reward"]`` is the protocol's reward in both cases.

    >>> import gymnasium as gym, agentgym_hindsight
    >>> env = RewardProtocol(gym.make("ALFWorld-Hindsight-v0", data="embedded", expert=True), "10-won")
    >>> obs, info = env.reset(seed=0)
    >>> terminated = False
    >>> while not terminated:
    ...     obs, reward, terminated, truncated, info = env.step(info["expert_action"])
    >>> reward
    10.0
    """

    rewards_by_protocol = True

    def __init__(self, env: gym.Env[str, str], protocol: str = "native") -> None:
        protocol = known_name("reward protocol", protocol, REWARD_PROTOCOLS)
        super().__init__(env, protocol=protocol)
        refuse_below(env, "RewardProtocol", marker="rewards_by_protocol")
        self.protocol = protocol
        self._is_webshop = getattr(env.unwrapped, "prompt_world", "generic") == "webshop"
        self._won = False
        self._raw: float | None = None  # the reward before the penalty of an inner wrapper, if there is one

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        observation, info = self.env.reset(seed=seed, options=options)
        self._won, self._raw = False, None
        return observation, info

    def step(self, action: str) -> StepResult:
        observation, env_reward, terminated, truncated, info = self.env.step(action)
        if self.protocol == "native":
            return observation, float(env_reward), terminated, truncated, info
        won = (terminated and info["score"] == 1.0) if self._is_webshop else info["won"]
        reward = 10.0 if won and not self._won else 0.0
        self._won = self._won or won
        if "raw_reward" in info:  # keep the penalty that an inner wrapper subtracted
            penalty = info["raw_reward"] - float(env_reward)
            self._raw = reward
            info = info | {"raw_reward": reward}
            reward -= penalty
        annotate(self.env, reward=reward)
        return observation, reward, terminated, truncated, info

    def snapshot_state(self) -> Any:
        """Whether the win was rewarded, for :func:`~agentgym_hindsight.wrappers.snapshot_of`."""
        return self.protocol, self._won, self._raw

    def restore_state(self, state: Any, restore_inner: RestoreInner) -> tuple[str, dict[str, Any]]:
        """Set what :meth:`snapshot_state` returned, and the env inside."""
        protocol, won, raw = row(state, _WHERE, 3)
        require_argument(self, "protocol", self.protocol, protocol)
        saved = flag(won, _WHERE), None if raw is None else number(raw, _WHERE)
        observation, info = restore_inner()
        self._won, self._raw = saved
        return observation, info if self._raw is None else info | {"raw_reward": self._raw}
