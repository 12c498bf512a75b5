"""The facts under ``info["extra"]`` in ALFWorld. Most are computed from the true state when they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from agentgym_hindsight.envs.alfworld import goals
from agentgym_hindsight.envs.alfworld.native import Play
from agentgym_hindsight.envs.alfworld.reasons import Reason
from agentgym_hindsight.envs.extra import Extra

__all__ = ["AlfworldExtra"]


class _TurnRecord(NamedTuple):
    episode: goals.EpisodeStates  # grows with the episode; only its first ``length`` states are read
    length: int
    reason: Callable[[], Reason | None] | None

    def play(self) -> Play:
        return Play.at(self.episode.house, self.episode.states[self.length - 1])


_TABLE: Mapping[str, Callable[[_TurnRecord], Any]] = {
    "reason": lambda record: None if record.reason is None else record.reason(),
    "goal_conditions": lambda record: goals.goal_conditions(record.play()),
    "dead_end": lambda record: goals.dead_end(record.play()),
    "fulfilled_tasks": lambda record: record.episode.achieved(record.length),
    "state": lambda record: record.play().state_key(),
    "facts": lambda record: record.play().facts(),
}


class AlfworldExtra(Extra):
    """Facts about one turn of one game.

    =================  ===========================================================================================
    ``backend``        the engine and its data: "native/embedded", "textworld/official" …
    ``game``           a path below the data folder, or the generator's difficulty, split and index
    ``task_type``      one of the six
    ``dialect``        "0.4" (move X to Y) or "0.3" (put X in/on Y)
    ``reason``         why the last command did nothing (``Reason``), or None
    ``goal_conditions``  (met, total), counted as in ALFRED
    ``dead_end``       why the game can no longer be won; else ""
    ``fulfilled_tasks``  tasks that the episode has solved at some turn, for relabelling
    ``state``          the key of the true state
    ``facts``          everything that is true, as predicate tuples
    =================  ===========================================================================================
    """

    __slots__ = ()

    def __init__(
        self, episode: goals.EpisodeStates, shared: dict[str, Any], reason: Callable[[], Reason | None] | None
    ) -> None:
        super().__init__(shared, _TABLE, _TurnRecord(episode, len(episode.states), reason))

    def after_thought(self) -> AlfworldExtra:
        return self.at(self._argument._replace(reason=None))
