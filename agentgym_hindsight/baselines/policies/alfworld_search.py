"""An expert of ALFWorld that searches as a player has to: what nobody has seen yet it does not know.

The env's own expert sees through cupboards. Whoever imitates it learns where things lie, house by house, and is lost in
a house it never saw. Here its advice is kept wherever it speaks of what was seen or what the task names; where it walks
straight to a thing behind a closed door, the places of that kind are visited one after the other instead. The kind is
still the right one: over many houses that teaches which kinds are likely, and nothing about any one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agentgym_hindsight.baselines.policies.base import TurnView
from agentgym_hindsight.errors import UsageError

__all__ = ["Seeker", "SeekingExpert"]

_GO = "go to "
_HELD = ("move ", "put ")
#: A lamp is looked for with full hands; everything else that is carried goes to a place the task names.
_LAMP_TASKS = ("examine ", "look at ")


class Seeker:
    """One rollout's view: which places it has been to, and what the expert would advise who knows no more.

    >>> seeker = Seeker("put a mug in desk.")
    >>> seeker.advise("go to drawer 2", ("go to desk 1", "go to drawer 1", "go to drawer 2"))
    'go to drawer 1'
    >>> seeker.went("go to drawer 1")
    >>> seeker.advise("go to drawer 2", ("go to desk 1", "go to drawer 2", "open drawer 1"))
    'open drawer 1'
    """

    def __init__(self, goal: str) -> None:
        self._lamp = goal.startswith(_LAMP_TASKS) or any(f" {start}" in goal for start in _LAMP_TASKS)
        self._visited: set[str] = set()

    def advise(self, expert: str, legal: Sequence[str]) -> str:
        """What to do, given what an expert would do who sees everything."""
        place = expert.removeprefix(_GO)
        if not expert.startswith(_GO) or place in self._visited:
            return expert
        carrying = any(action.startswith(_HELD) for action in legal)
        if carrying and not self._lamp:
            return expert
        shut = next((action for action in legal if action.startswith("open ")), "")
        if shut and not carrying:
            return shut
        kind = place.rpartition(" ")[0]
        fresh = [
            action for action in legal if action.startswith(f"{_GO}{kind} ") and action[len(_GO) :] not in self._visited
        ]
        return min(fresh, key=_number, default=expert)

    def went(self, action: str) -> None:
        """Note a walk that was made."""
        if action.startswith(_GO):
            self._visited.add(action.removeprefix(_GO))


def _number(action: str) -> int:
    number = action.rpartition(" ")[2]
    return int(number) if number.isdecimal() else 0


class SeekingExpert:
    """Plays by a :class:`Seeker`'s advice. Needs an env made with ``expert=True``."""

    name = "seeking-expert"
    world = "alfworld"
    needs_expert = True

    def __init__(self) -> None:
        self._seekers: dict[tuple[str, int], Seeker] = {}

    def act(self, turns: Sequence[TurnView]) -> list[str]:
        return [self._one(turn) for turn in turns]

    def _one(self, turn: TurnView) -> str:
        action = self.advice(turn) or "look"
        self.went(turn, action)
        return action

    def advice(self, turn: TurnView) -> str:
        """What this rollout should do now; "" where the expert knows no way."""
        info: Mapping[str, Any] = turn.info
        if "expert_action" not in info:
            raise UsageError("Expected an env with an expert, got none; try expert=True.")
        if turn.step == 0 or (turn.task_id, turn.sibling) not in self._seekers:
            self._seekers[turn.task_id, turn.sibling] = Seeker(info["goal"])
        seeker = self._seekers[turn.task_id, turn.sibling]
        return seeker.advise(info["expert_action"], info["admissible_actions"])

    def went(self, turn: TurnView, action: str) -> None:
        """Note what this rollout does next, where it is legal."""
        if action in turn.info["admissible_actions"]:
            self._seekers[turn.task_id, turn.sibling].went(action)
