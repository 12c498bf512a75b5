"""An ALFWorld expert without hidden information: it searches for objects that no observation has shown yet.

The env's expert uses the content of closed receptacles. A policy that imitates it memorises the object positions of the
training houses and fails in other houses. This expert follows the env's expert if the advice concerns something already
seen or a place named in the task. If the advice goes to an unvisited place, it visits the places of the same kind in
the order of their numbers instead. The kind is still the correct one. So a policy that imitates this expert in many
houses learns which kinds of place are likely, and nothing that is true in one house only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agentgym_hindsight.baselines.policies.base import TurnView
from agentgym_hindsight.errors import UsageError

__all__ = ["Seeker", "SeekingExpert"]

_GO = "go to "
_PUT_PREFIXES = ("move ", "put ")
#: These tasks search for a lamp while carrying an object. In all others a carried object goes to a place that the task
#: names.
_LAMP_TASKS = ("examine ", "look at ")


class Seeker:
    """The search state of one rollout: the places visited so far, and the advice that uses only what was seen.

    >>> seeker = Seeker("put a mug in desk.")
    >>> seeker.advise("go to drawer 2", ("go to desk 1", "go to drawer 1", "go to drawer 2"))
    'go to drawer 1'
    >>> seeker.record_visit("go to drawer 1")
    >>> seeker.advise("go to drawer 2", ("go to desk 1", "go to drawer 2", "open drawer 1"))
    'open drawer 1'
    """

    def __init__(self, goal: str) -> None:
        self._lamp = goal.startswith(_LAMP_TASKS) or any(f" {start}" in goal for start in _LAMP_TASKS)
        self._visited: set[str] = set()

    def advise(self, expert: str, legal: Sequence[str]) -> str:
        """The action to take, given the advice of an expert with full information."""
        place = expert.removeprefix(_GO)
        if not expert.startswith(_GO) or place in self._visited:
            return expert
        carrying = any(action.startswith(_PUT_PREFIXES) for action in legal)
        if carrying and not self._lamp:
            return expert
        closed = next((action for action in legal if action.startswith("open ")), "")
        if closed and not carrying:
            return closed
        kind = place.rpartition(" ")[0]
        unvisited = [
            action for action in legal if action.startswith(f"{_GO}{kind} ") and action[len(_GO) :] not in self._visited
        ]
        return min(unvisited, key=_number, default=expert)

    def record_visit(self, action: str) -> None:
        """Record a "go to" action as a visit; other actions are ignored."""
        if action.startswith(_GO):
            self._visited.add(action.removeprefix(_GO))


def _number(action: str) -> int:
    number = action.rpartition(" ")[2]
    return int(number) if number.isdecimal() else 0


class SeekingExpert:
    """Plays the advice of one :class:`Seeker` per rollout. Needs an env made with ``expert=True``."""

    name = "seeking-expert"
    world = "alfworld"
    needs_expert = True

    def __init__(self) -> None:
        self._seekers: dict[tuple[str, int], Seeker] = {}

    def act(self, turns: Sequence[TurnView]) -> list[str]:
        return [self._choose(turn) for turn in turns]

    def _choose(self, turn: TurnView) -> str:
        action = self.advice(turn) or "look"
        self.record_visit(turn, action)
        return action

    def advice(self, turn: TurnView) -> str:
        """The action this rollout should take now; "" if the env's expert has no advice."""
        info: Mapping[str, Any] = turn.info
        if "expert_action" not in info:
            raise UsageError("Expected info['expert_action'], got none; try an env made with expert=True.")
        if turn.step == 0 or (turn.task_id, turn.sibling) not in self._seekers:
            self._seekers[turn.task_id, turn.sibling] = Seeker(info["goal"])
        seeker = self._seekers[turn.task_id, turn.sibling]
        return seeker.advise(info["expert_action"], info["admissible_actions"])

    def record_visit(self, turn: TurnView, action: str) -> None:
        """Record the next action of this rollout if it is admissible."""
        if action in turn.info["admissible_actions"]:
            self._seekers[turn.task_id, turn.sibling].record_visit(action)
