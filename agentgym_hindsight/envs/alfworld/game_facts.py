"""The facts under ``info["extra"]`` in ALFWorld. Most are computed from the true state when they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from agentgym_hindsight.envs.alfworld import goals
from agentgym_hindsight.envs.alfworld.native import Play
from agentgym_hindsight.envs.alfworld.reasons import Reason
from agentgym_hindsight.envs.extra import Extra

__all__ = ["AlfworldExtra"]


class _Moment(NamedTuple):
    past: goals.Past  # grows with the episode; only its first ``length`` states are read
    length: int
    reason: Callable[[], Reason | None] | None

    def play(self) -> Play:
        return Play.at(self.past.house, self.past.states[self.length - 1])


_TABLE: Mapping[str, Callable[[_Moment], Any]] = {
    "reason": lambda moment: None if moment.reason is None else moment.reason(),
    "goal_conditions": lambda moment: goals.goal_conditions(moment.play()),
    "dead_end": lambda moment: goals.dead_end(moment.play()),
    "fulfilled_tasks": lambda moment: moment.past.achieved(moment.length),
    "state": lambda moment: moment.play().state_key(),
    "facts": lambda moment: moment.play().facts(),
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

    def __init__(self, past: goals.Past, shared: dict[str, Any], reason: Callable[[], Reason | None] | None) -> None:
        super().__init__(shared, _TABLE, _Moment(past, len(past.states), reason))

    def after_thought(self) -> AlfworldExtra:
        return self.at(self._moment._replace(reason=None))
