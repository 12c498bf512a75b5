"""A stage: an env id, its arguments, and the prompt, parser and reward around it.

Training, evaluation and tests use the same value, so they all play the same environment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import load_env_creator

from agentgym_hindsight.envs.base import HindsightEnv
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.names import import_object, known_name
from agentgym_hindsight.redaction import hide_passwords
from agentgym_hindsight.registration import ENVS
from agentgym_hindsight.tasks import TaskPanel
from agentgym_hindsight.vector import HindsightVectorEnv
from agentgym_hindsight.wrappers import REWARD_PROTOCOLS, ActionParser, PromptProtocol, RewardProtocol
from agentgym_hindsight.wrappers.parsing import parser_name
from agentgym_hindsight.wrappers.protocols import History, check_history, make_protocol, protocol_name

__all__ = ["Stage", "held_out_split", "known_env", "short_name"]


def short_name(env_id: str) -> str:
    """The env's name without namespace, suffix and version, in lower case.

    >>> short_name("ALFWorld-Hindsight-v0"), short_name("mypackage.worlds:MyShop-v3")
    ('alfworld', 'myshop')
    """
    name = env_id.rpartition(":")[2].rpartition("/")[2]
    return re.sub(r"-v\d+$", "", name).removesuffix("-Hindsight").lower()


#: Further short names: ``agh bench`` and ``agh parity`` use them too.
_OTHER_NAMES = {"tau": "TauBench-Hindsight-v0"}


def known_env(name: str) -> str:
    """The id of a registered env. Case does not matter, and ``alfworld`` is short for ``ALFWorld-Hindsight-v0``.

    ``module:ID`` imports the module, which registers the id.

    >>> known_env("webshop"), known_env("tau")
    ('WebShop-Hindsight-v0', 'TauBench-Hindsight-v0')
    """
    name = _OTHER_NAMES.get(name, name)
    if name in gym.registry:
        return _of_this_library(name, name)
    module, colon, env_id = name.rpartition(":")
    if colon:
        before = set(gym.registry)
        try:
            import_object("environment", f"{module}:__name__")
        except UsageError as error:
            raise UsageError(str(error).replace(f"{module}:__name__", name)) from error
        if env_id not in gym.registry:
            registered = set(gym.registry) - before
            if registered:
                raise UnknownNameError(f"environment id of {module}", env_id, registered)
            raise UsageError(
                f"Expected {module} to register the environment id {env_id!r}, got a module without it; "
                f"try gymnasium.register({env_id!r}, entry_point=…) in it, or --env {ENVS[0].id}."
            )
        return _of_this_library(name, env_id)
    short_names = {short_name(entry.id): entry.id for entry in ENVS}
    known = known_name("environment id", name, [*(entry.id for entry in ENVS), *short_names])
    return short_names.get(known, known)


def _of_this_library(name: str, env_id: str) -> str:
    """The name, unless the id belongs to an env that is no :class:`HindsightEnv`, such as ``CartPole-v1``."""
    entry = gym.registry[env_id].entry_point
    if any(entry == each.entry_point for each in ENVS):
        return name  # not imported, because it is known
    try:
        creator = load_env_creator(entry) if isinstance(entry, str) else entry
    except Exception as error:
        raise UsageError(
            f"Expected environment {name!r} to import, got {type(error).__name__}: {error}; install what it needs."
        ) from error
    if isinstance(creator, type) and not issubclass(creator, HindsightEnv):
        raise UsageError(
            f"Expected an environment of the kind HindsightEnv, got {name!r}, which has no tasks and no hindsight; "
            f"try one of {', '.join(each.id for each in ENVS)}, or docs/your-own-env.md."
        )
    return name


def held_out_split(splits: Sequence[str]) -> str | None:
    """The split on which policies are evaluated: ``valid_unseen`` or ``test``; None if the environment has neither."""
    return next((split for split in ("valid_unseen", "test") if split in splits), None)


class _OfProtocol(str):
    """The name of a parser that the protocol determines: ``replace(stage, protocol=…)`` changes it too."""

    __slots__ = ()


@dataclass(frozen=True)
class Stage:
    """An env id, its arguments, and the prompt, parser and reward of a turn.

    * ``env``, ``settings``: the id of the env, or its short name such as ``alfworld``, and the arguments of the env
      (``data``, ``difficulty``, ``max_steps`` …).
    * ``protocol``, ``history``: the prompt of a turn and its number of past turns; ``None``: the protocol's default.
      ``"conversation"``: past turns are chat messages.
    * ``parser``: the parser of replies (see ``wrappers.parsing``); ``""`` becomes the protocol's.
    * ``reward``: ``"10-won"`` as in the papers, or ``"native"``.
    * ``workers``: worker processes for the envs; 0: the envs run in this process.

    ``protocol`` and ``parser`` may be your own: ``package.module:NAME``.

    >>> import agentgym_hindsight
    >>> stage = Stage(settings={"data": "embedded", "max_steps": 9})
    >>> panel = stage.panel("valid_unseen", 3, seed=0)
    >>> len(panel), panel.name
    (3, 'valid_unseen[3]@0')
    """

    env: str = ENVS[0].id
    settings: Mapping[str, Any] = field(default_factory=dict)
    protocol: str = "verl-agent-2025"
    history: History = None
    reward: str = "10-won"
    workers: int = 0
    parser: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.env, str):
            raise UsageError(f"Expected the id of an environment, got {self.env!r}; try {ENVS[0].id!r}.")
        self._set("env", known_env(self.env))
        self._set("protocol", protocol_name(self.protocol))
        self._set("reward", known_name("reward protocol", self.reward, REWARD_PROTOCOLS))
        check_history(self.history)
        if self.workers < 0:
            raise UsageError(f"Expected workers ≥ 0, got {self.workers}; try 0 to run the envs in this process.")
        if not isinstance(self.settings, Mapping):
            raise UsageError(f"Expected settings by name, got {self.settings!r}; try {{'max_steps': 50}}.")
        if "split" in self.settings:
            raise UsageError(
                "Expected settings without 'split', got one; a stage has no split: "
                "try the split argument of make, vector or panel, or --set evaluation.split=NAME."
            )
        own = parser_name(make_protocol(self.protocol, history=self.history).parser)
        given = "" if isinstance(self.parser, _OfProtocol) else self.parser
        parser = parser_name(given) if given else own
        self._set("parser", _OfProtocol(own) if parser == own else parser)

    def _set(self, name: str, value: str) -> None:
        object.__setattr__(self, name, value)

    def as_dict(self) -> dict[str, Any]:
        """The stage as plain data; ``Stage(**…)`` accepts it. A parser that the protocol determines is omitted."""
        plain = asdict(self)
        if isinstance(self.parser, _OfProtocol):
            del plain["parser"]
        return plain

    def __repr__(self) -> str:
        # Settings may contain the URLs of servers.
        listed = ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in fields(self))
        return hide_passwords(f"{type(self).__name__}({listed})")

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
            partial(ActionParser, parser=str(self.parser)),
            partial(RewardProtocol, protocol=self.reward),
        )

    def make(self, split: str | None = None, **more: Any) -> Any:
        """One wrapped env."""
        env = gym.make(self.env, **{**self._arguments(split), **more})
        for wrap in self.wrappers:
            env = wrap(env)
        return env

    def vector(self, num_envs: int, split: str | None = None, **more: Any) -> HindsightVectorEnv:
        """A vector env of ``num_envs`` wrapped envs."""
        return HindsightVectorEnv(
            self.env, num_envs, workers=self.workers, wrappers=self.wrappers, **{**self._arguments(split), **more}
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

    @property
    def tools(self) -> tuple[Mapping[str, Any], ...]:
        """The schemas of the functions that an action can call; () in worlds without functions."""
        with self._unwrapped_env() as env:
            return tuple(getattr(env, "tools", ()))

    @property
    def tools_vary(self) -> bool:
        """Whether an action can call functions that depend on the task and the turn."""
        with self._unwrapped_env() as env:
            return getattr(env, "prompt_world", "") == "tools" and not getattr(env, "tools", ())

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
        try:
            env = gym.make(self.env, **self._arguments(split))
        except TypeError as error:  # an env of another kind does not take our arguments
            unknown = str(error).partition(" was raised from")[0]
            raise UsageError(
                f"Expected settings that {self.env} takes, got TypeError: {unknown}; try an environment of `agh list`."
            ) from error
        try:
            if not hasattr(env.unwrapped, "backend"):
                raise UsageError(
                    f"Expected an environment of this library's kind, got {self.env}; "
                    "try one of `agh list`, or a subclass of agentgym_hindsight.envs.base.HindsightEnv."
                )
            yield env.unwrapped
        finally:
            env.close()

    def _arguments(self, split: str | None) -> dict[str, Any]:
        return {**self.settings, **({} if split is None else {"split": split})}
