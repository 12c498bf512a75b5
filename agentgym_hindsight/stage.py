"""Where a policy acts: an env with the prompt, parser and reward of a protocol around it. One value for training, tests
and evaluation, so that none of them plays something else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import gymnasium as gym

from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.registration import ENVS
from agentgym_hindsight.tasks import SeededOrder, Task, TaskPanel
from agentgym_hindsight.vector import HindsightVectorEnv
from agentgym_hindsight.wrappers import PROTOCOLS, REWARD_PROTOCOLS, ActionParser, PromptProtocol, RewardProtocol

__all__ = ["Stage"]


@dataclass(frozen=True)
class Stage:
    """An env id, its arguments, and how a turn is put to a model.

    * ``env``, ``settings``: the id and the env's own arguments (``data``, ``difficulty``, ``max_steps`` …).
    * ``protocol``, ``history``: the prompt of a turn; ``None`` turns of history is the protocol's own.
    * ``reward``: ``"10-won"`` as the papers have it, or ``"native"``.
    * ``workers``: worker processes for the envs; 0 plays in this one.

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
            raise UsageError(f"Expected history ≥ 0 turns, got {self.history!r}; try nothing for the protocol's own.")
        if self.workers < 0:
            raise UsageError(f"Expected workers ≥ 0, got {self.workers}; try 0 to play in this process.")
        if not isinstance(self.settings, Mapping):
            raise UsageError(f"Expected settings by name, got {self.settings!r}; try {{'max_steps': 50}}.")
        if "split" in self.settings:
            raise UsageError(
                "Expected settings without 'split', got one; splits belong to training and evaluation: "
                "try train_split or split."
            )

    @property
    def parser(self) -> str:
        """Who reads the replies: see ``wrappers.parsing``."""
        return PROTOCOLS[self.protocol].parser

    @property
    def world(self) -> str:
        """Which world it is: ``alfworld``, ``webshop`` …; ``generic`` where the env does not say."""
        with self._bare() as env:
            return str(getattr(env, "prompt_world", "generic"))

    @property
    def wrappers(self) -> tuple[Callable[..., Any], ...]:
        """From the env outwards. Penalties for invalid actions are the advantages' affair and stay outside."""
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
        """Many of them, side by side."""
        return HindsightVectorEnv(
            self.env, num_envs, workers=self.workers, wrappers=self.wrappers, **self._arguments(split), **more
        )

    @property
    def held_out(self) -> str:
        """The split that policies are tried on."""
        with self._bare() as env:
            splits = env.splits
        found = next((split for split in ("valid_unseen", "test") if split in splits), None)
        if found is None:
            raise UsageError(
                f"Expected a held-out split in {self.env}, got {', '.join(splits)}; try --set examination.split=NAME."
            )
        return found

    def backend(self) -> str:
        """What is really played, such as ``native/embedded``: figures of embedded worlds are not the benchmark's."""
        with self._bare() as env:
            return str(env.backend.name)

    def size(self, split: str) -> int:
        """How many tasks a split has."""
        with self._bare(split) as env:
            return int(env.backend.count(split))

    def panel(self, split: str, n: int = 0, seed: int = 0) -> TaskPanel:
        """The first ``n`` tasks of a seeded walk over a split (0: all of them, in order)."""
        with self._bare(split) as env:
            size = env.backend.count(split)
            if not 0 <= n <= size:
                raise UsageError(f"Expected 1 to {size} tasks of {split}, got {n}; try 0 for all of them.")
            order: Any = SeededOrder(size, seed) if n else range(size)
            tasks: list[Task] = [env.backend.task(split, order[place]) for place in range(n or size)]
        return TaskPanel(tasks, name=f"{split}[{n}]@{seed}" if n else split)

    @contextmanager
    def _bare(self, split: str | None = None) -> Iterator[Any]:
        """The env itself, to be asked something and closed."""
        env = gym.make(self.env, **self._arguments(split))
        try:
            yield env.unwrapped
        finally:
            env.close()

    def _arguments(self, split: str | None) -> dict[str, Any]:
        return {**self.settings, **({} if split is None else {"split": split})}
