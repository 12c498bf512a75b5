"""What the checks look at: a few episodes, played once, on an env and on its twin."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import gymnasium as gym

from agentgym_hindsight.envs.base import INFO_KEYS
from agentgym_hindsight.errors import ConformanceError
from agentgym_hindsight.tasks import seeded_int

__all__ = ["NONSENSE", "TURN_CAP", "EnvUnderTest", "Episode", "NotPlayable", "PlayedTurn", "show"]

#: Turns after which an episode that has not ended never will.
TURN_CAP = 1_000
#: An action no world understands.
NONSENSE = "xyzzy qwertz 12345"


class NotPlayable(ConformanceError):
    """Episodes cannot be played at all: reported once, by the check that is about it."""


@dataclass(frozen=True, slots=True)
class PlayedTurn:
    """One step and everything it returned."""

    action: str
    observation: Any
    reward: Any
    terminated: Any
    truncated: Any
    info: Any


@dataclass(slots=True)
class Episode:
    """One episode: what reset returned, then the steps."""

    observation: Any
    info: Any
    turns: list[PlayedTurn] = field(default_factory=list)

    @property
    def over(self) -> bool:
        """Whether it ended by itself."""
        return bool(self.turns) and bool(self.turns[-1].terminated or self.turns[-1].truncated)

    def infos(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every info with the name of the call it came from."""
        yield "reset()", self.info
        for number, turn in enumerate(self.turns, 1):
            yield f"step() number {number}", turn.info

    def states(self) -> Iterator[tuple[dict[str, Any], PlayedTurn]]:
        """Each step with the info of the state it was taken from."""
        before = self.info
        for turn in self.turns:
            yield before, turn
            before = turn.info


Policy = Callable[[int, dict[str, Any]], str]


class EnvUnderTest:
    """One run of the checks over one env (or over a function that makes it)."""

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
            # Copied before anything is played; an env that cannot be copied may still have a spec.
            try:
                self._spare: Any = copy.deepcopy(env) if env.spec is None else None
            except Exception as error:
                self._spare = error
            self._make: Callable[[], gym.Env[Any, Any]] = self._another
        else:
            self._make = env
            self.env = env()
        if respond is None and self.env.has_wrapper_attr("format_response"):
            respond = self.env.get_wrapper_attr("format_response")
        self.respond: Callable[[str], str] = respond or (lambda action: action)

    def twin(self) -> gym.Env[Any, Any]:
        """Another env, built as the first one was."""
        return self._make()

    def _another(self) -> gym.Env[Any, Any]:
        if self._source.spec is not None:
            return gym.make(self._source.spec)
        if isinstance(self._spare, Exception):
            raise ConformanceError(
                f"Expected an env with a spec, or one that copy.deepcopy can copy, got {self._spare!r}; "
                "try check_hindsight_env(lambda: YourEnv(…))."
            )
        return copy.deepcopy(self._spare)

    def _speaks_the_standard(self) -> None:
        """Refuse an env of another kind before it is played: what goes wrong later would not say why."""
        observation, info = self.env.reset(seed=self.seed)
        if not isinstance(observation, str) or not isinstance(info, dict) or not INFO_KEYS.keys() & info.keys():
            raise NotPlayable(
                f"Expected text observations and the standard info ({', '.join(INFO_KEYS)}), got "
                f"{type(observation).__name__} and {sorted(info) if isinstance(info, dict) else type(info).__name__}; "
                "try a subclass of agentgym_hindsight.envs.base.HindsightEnv, which fills them in."
            )

    @cached_property
    def _played(self) -> tuple[Episode, ...] | Exception:
        try:
            self._speaks_the_standard()
            return self.play_episodes(self.env)
        except Exception as error:
            return error

    @property
    def played(self) -> tuple[Episode, ...]:
        """The session's episodes on the env under test: seeded once, then reset without a seed."""
        if isinstance(self._played, NotPlayable):
            raise self._played
        if isinstance(self._played, Exception):
            raise NotPlayable(
                f"Expected {self.num_episodes} episodes to be played, got {self._played!r}; "
                "try env.reset(seed=0) and env.step(action) by hand."
            ) from self._played
        for number, played in enumerate(self._played, 1):
            if not played.over:
                raise NotPlayable(
                    f"Expected episode {number} to end, got {len(played.turns)} steps without terminated or truncated; "
                    "try truncating at a limit (max_steps)."
                )
        return self._played

    def play_episodes(self, env: gym.Env[Any, Any]) -> tuple[Episode, ...]:
        """The session's episodes on any env."""
        return tuple(
            self.play(env, self.choose_action, seed=self.seed if episode == 0 else None)
            for episode in range(self.num_episodes)
        )

    def choose_action(self, turn: int, info: dict[str, Any]) -> str:
        """Some admissible action, else the expert's, else a given one, else nonsense: the same in the same place."""
        legal = info.get("admissible_actions")
        if not isinstance(legal, (tuple, list)) or not legal:
            if info.get("expert_action"):
                return str(info["expert_action"])
            legal = self.actions or (NONSENSE,)
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
        """One episode until it ends, or until ``cap`` turns."""
        observation, info = env.reset(seed=seed, options=options)
        played = Episode(observation, info)
        while not played.over and len(played.turns) < cap:
            action = policy(len(played.turns), info)
            observation, reward, terminated, truncated, info = env.step(self.respond(action))
            played.turns.append(PlayedTurn(action, observation, reward, terminated, truncated, info))
        return played

    def replay(self, env: gym.Env[Any, Any], played: Episode, *, options: dict[str, Any]) -> Episode:
        """The same actions again."""
        actions = [turn.action for turn in played.turns]
        return self.play(env, lambda turn, info: actions[turn], options=options, cap=len(actions))


def show(value: object, length: int = 120) -> str:
    """A value for a message, cut."""
    text = repr(value)
    return text if len(text) <= length else f"{text[:length]}…"
