"""The env under test and its episodes, which are played once and examined by all checks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import gymnasium as gym

from agentgym_hindsight.envs.base import INFO_KEYS
from agentgym_hindsight.envs.extra import example_actions
from agentgym_hindsight.errors import ConformanceError
from agentgym_hindsight.tasks import seeded_int

__all__ = ["NONSENSE", "TURN_CAP", "EnvUnderTest", "Episode", "NotOffered", "NotPlayable", "PlayedTurn", "show"]

#: An episode with more turns counts as endless.
TURN_CAP = 1_000
#: An action that no world understands.
NONSENSE = "xyzzy qwertz 12345"


class NotPlayable(ConformanceError):
    """No episode can be played. The report shows this once; the checks that need an episode are skipped."""


class NotOffered(Exception):  # no error: an optional part of the standard is absent
    """The env does not offer what a check examines, and need not. The message says what is absent."""


@dataclass(frozen=True, slots=True)
class PlayedTurn:
    """One step and its results."""

    action: str
    observation: Any
    reward: Any
    terminated: Any
    truncated: Any
    info: Any


@dataclass(slots=True)
class Episode:
    """One episode: the result of reset, then the steps."""

    observation: Any
    info: Any
    turns: list[PlayedTurn] = field(default_factory=list)

    @property
    def over(self) -> bool:
        """Whether the episode has ended."""
        return bool(self.turns) and bool(self.turns[-1].terminated or self.turns[-1].truncated)

    def infos(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every info, with the name of the call that returned it."""
        yield "reset()", self.info
        for number, turn in enumerate(self.turns, 1):
            yield f"step() number {number}", turn.info

    def states(self) -> Iterator[tuple[dict[str, Any], PlayedTurn]]:
        """Each step, with the info of the state before it."""
        before = self.info
        for turn in self.turns:
            yield before, turn
            before = turn.info


Policy = Callable[[int, dict[str, Any]], str]


class EnvUnderTest:
    """The env that one run of the checks examines, given as an env or as a function that makes it."""

    def __init__(
        self,
        env: gym.Env[Any, Any] | Callable[[], gym.Env[Any, Any]],
        *,
        episodes: int,
        seed: int,
        respond: Callable[[str], str] | None,
        actions: Sequence[str] = (),
    ) -> None:
        self.num_episodes, self.seed, self.actions = episodes, seed, tuple(actions)
        if isinstance(env, gym.Env):
            self.env, self._source = env, env
            # Copied before the env is played. With a spec no copy is needed.
            try:
                self._pristine_copy: Any = copy.deepcopy(env) if env.spec is None else None
            except Exception as error:
                self._pristine_copy = error
            self._make: Callable[[], gym.Env[Any, Any]] = self._copy
        else:
            self._make = env
            self.env = env()
        if respond is None and self.env.has_wrapper_attr("format_response"):
            respond = self.env.get_wrapper_attr("format_response")
        self.respond: Callable[[str], str] = respond or (lambda action: action)

    def twin(self) -> gym.Env[Any, Any]:
        """A new env, made like the first."""
        return self._make()

    def _copy(self) -> gym.Env[Any, Any]:
        if self._source.spec is not None:
            return gym.make(self._source.spec)
        if isinstance(self._pristine_copy, Exception):
            raise ConformanceError(
                f"Expected an env with a spec, or one that copy.deepcopy can copy, got {self._pristine_copy!r}; "
                "try check_hindsight_env(lambda: YourEnv(…))."
            )
        return copy.deepcopy(self._pristine_copy)

    def _check_info(self) -> None:
        """Raise if this is not an env of this library's kind: later errors would not name the cause."""
        observation, info = self.env.reset(seed=self.seed)
        if not isinstance(observation, str) or not isinstance(info, dict) or not INFO_KEYS.keys() & info.keys():
            raise NotPlayable(
                f"Expected text observations and the standard info ({', '.join(INFO_KEYS)}), got "
                f"{type(observation).__name__} and {sorted(info) if isinstance(info, dict) else type(info).__name__}; "
                "try a subclass of agentgym_hindsight.envs.base.HindsightEnv, which provides them."
            )

    @cached_property
    def _played(self) -> tuple[Episode, ...] | Exception:
        try:
            self._check_info()
            return self.play_episodes(self.env)
        except Exception as error:
            return error

    @property
    def episodes(self) -> tuple[Episode, ...]:
        """The episodes of the env under test: the first is seeded, the others are reset without a seed."""
        if isinstance(self._played, NotPlayable):
            raise self._played
        if isinstance(self._played, Exception):
            raise NotPlayable(
                f"Expected {self.num_episodes} episodes to be played, got {self._played!r}; "
                "try calling env.reset(seed=0) and env.step(action) yourself."
            ) from self._played
        for number, episode in enumerate(self._played, 1):
            if not episode.over:
                raise NotPlayable(
                    f"Expected episode {number} to end, got {len(episode.turns)} steps without terminated or "
                    "truncated; try truncating at a limit (max_steps)."
                )
        return self._played

    def play_episodes(self, env: gym.Env[Any, Any]) -> tuple[Episode, ...]:
        """Play the episodes on an env: the same seed and the same choice of actions for every env."""
        return tuple(
            self.play(env, self.choose_action, seed=self.seed if episode == 0 else None)
            for episode in range(self.num_episodes)
        )

    def choose_action(self, turn: int, info: dict[str, Any]) -> str:
        """An admissible action, else the expert's, else one of ``actions`` or the examples, else nonsense.

        It depends on seed and turn.
        """
        legal = info.get("admissible_actions")
        if not isinstance(legal, (tuple, list)) or not legal:
            if info.get("expert_action"):
                return str(info["expert_action"])
            legal = self.actions or example_actions(info.get("extra")) or (NONSENSE,)
        return str(legal[seeded_int("conformance", self.seed, turn, bits=32) % len(legal)])

    def play(
        self,
        env: gym.Env[Any, Any],
        policy: Policy,
        *,
        seed: int | None = None,
        options: dict[str, Any] | None = None,
        cap: int = TURN_CAP,
    ) -> Episode:
        """Play one episode until it ends, or for ``cap`` turns."""
        observation, info = env.reset(seed=seed, options=options)
        played = Episode(observation, info)
        while not played.over and len(played.turns) < cap:
            action = policy(len(played.turns), info)
            observation, reward, terminated, truncated, info = env.step(self.respond(action))
            played.turns.append(PlayedTurn(action, observation, reward, terminated, truncated, info))
        return played

    def replay(self, env: gym.Env[Any, Any], played: Episode, *, options: dict[str, Any]) -> Episode:
        """Play the actions of an episode again."""
        actions = [turn.action for turn in played.turns]
        return self.play(env, lambda turn, info: actions[turn], options=options, cap=len(actions))


def show(value: object, length: int = 120) -> str:
    """The repr of a value, truncated, for an error message."""
    text = repr(value)
    return text if len(text) <= length else f"{text[:length]}…"
