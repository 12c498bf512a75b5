"""A stage: an env id, its arguments, and the prompt, parser and reward around it.

Training, evaluation and tests use the same value, so they all play the same environment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any

import gymnasium as gym

from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.redaction import hide_passwords
from agentgym_hindsight.registration import ENVS
from agentgym_hindsight.tasks import TaskPanel
from agentgym_hindsight.vector import HindsightVectorEnv
from agentgym_hindsight.wrappers import PROTOCOLS, REWARD_PROTOCOLS, ActionParser, PromptProtocol, RewardProtocol

__all__ = ["Stage", "held_out_split"]


def held_out_split(splits: Sequence[str]) -> str | None:
    """The split on which policies are evaluated: ``valid_unseen`` or ``test``; None if the environment has neither."""
    return next((split for split in ("valid_unseen", "test") if split in splits), None)


@dataclass(frozen=True)
class Stage:
    """An env id, its arguments, and the prompt, parser and reward of a turn.

    * ``env``, ``settings``: the id and the arguments of the env (``data``, ``difficulty``, ``max_steps`` …).
    * ``protocol``, ``history``: the prompt of a turn and its number of past turns; ``None``: the protocol's default.
    * ``reward``: ``"10-won"`` as in the papers, or ``"native"``.
    * ``workers``: worker processes for the envs; 0: the envs run in this process.

    >>> import agentgym_hindsight
    >>> stage = Stage(settings={"data": "embedded", "max_steps": 9})
    >>> panel = stage.panel("valid_unseen", 3, seed=0)
    >>> len(panel), panel.name
    (3, 'valid_unseen[3]@0')
    """

    env: str = ENVS[0].id
    settings: Mapping[str, Any] = field(default_factory=dict)
    protocol: str = "verl-agent-2025"
    history: int | None = None
    reward: str = "10-won"
    workers: int = 0

    def __post_init__(self) -> None:
        if self.env not in gym.registry and ":" not in self.env:
            raise UnknownNameError("environment id", self.env, [entry.id for entry in ENVS])
        if self.protocol not in PROTOCOLS:
            raise UnknownNameError("prompt protocol", self.protocol, PROTOCOLS)
        if self.reward not in REWARD_PROTOCOLS:
            raise UnknownNameError("reward protocol", self.reward, REWARD_PROTOCOLS)
        if self.history is not None and (type(self.history) is not int or self.history < 0):
            raise UsageError(f"Expected history ≥ 0 turns, got {self.history!r}; try None for the protocol's default.")
        if self.workers < 0:
            raise UsageError(f"Expected workers ≥ 0, got {self.workers}; try 0 to run the envs in this process.")
        if not isinstance(self.settings, Mapping):
            raise UsageError(f"Expected settings by name, got {self.settings!r}; try {{'max_steps': 50}}.")
        if "split" in self.settings:
            raise UsageError(
                "Expected settings without 'split', got one; a stage has no split: "
                "try the split argument of make, vector or panel, or --set evaluation.split=NAME."
            )

    def __repr__(self) -> str:
        # Settings may contain the URLs of servers.
        listed = ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in fields(self))
        return hide_passwords(f"{type(self).__name__}({listed})")

    @property
    def parser(self) -> str:
        """The name of the parser of replies; see ``wrappers.parsing``."""
        return PROTOCOLS[self.protocol].parser

    @property
    def world(self) -> str:
        """The world of the env: ``alfworld``, ``webshop`` …; ``generic`` if the env declares none."""
        with self._unwrapped_env() as env:
            return str(getattr(env, "prompt_world", "generic"))

    @property
    def wrappers(self) -> tuple[Callable[..., Any], ...]:
        """The wrappers, innermost first. No wrapper penalizes invalid actions: the credit of a method does."""
        return (
            partial(PromptProtocol, protocol=self.protocol, history=self.history),
            ActionParser,
            partial(RewardProtocol, protocol=self.reward),
        )

    def make(self, split: str | None = None, **more: Any) -> Any:
        """One wrapped env."""
        env = gym.make(self.env, **self._arguments(split), **more)
        for wrap in self.wrappers:
            env = wrap(env)
        return env

    def vector(self, num_envs: int, split: str | None = None, **more: Any) -> HindsightVectorEnv:
        """A vector env of ``num_envs`` wrapped envs."""
        return HindsightVectorEnv(
            self.env, num_envs, workers=self.workers, wrappers=self.wrappers, **self._arguments(split), **more
        )

    @property
    def held_out(self) -> str:
        """The held-out split of the env, on which policies are evaluated."""
        with self._unwrapped_env() as env:
            splits = env.splits
        split = held_out_split(splits)
        if split is None:
            raise UsageError(
                f"Expected a held-out split in {self.env}, got {', '.join(splits)}; try --set evaluation.split=NAME."
            )
        return split

    def backend(self) -> str:
        """The backend and its data, such as ``native/embedded``. Results on embedded data are not benchmark results."""
        with self._unwrapped_env() as env:
            return str(env.backend.name)

    def size(self, split: str) -> int:
        """The number of tasks of a split."""
        with self._unwrapped_env(split) as env:
            return int(env.backend.count(split))

    def panel(self, split: str, n: int = 0, seed: int = 0) -> TaskPanel:
        """The first ``n`` tasks of a split in an order drawn by ``seed``; 0: the whole split, in its own order."""
        with self._unwrapped_env(split) as env:
            return TaskPanel.of_split(env.backend, split, n, seed)

    @contextmanager
    def _unwrapped_env(self, split: str | None = None) -> Iterator[Any]:
        """The unwrapped env; closed at the end."""
        env = gym.make(self.env, **self._arguments(split))
        try:
            yield env.unwrapped
        finally:
            env.close()

    def _arguments(self, split: str | None) -> dict[str, Any]:
        return {**self.settings, **({} if split is None else {"split": split})}
