"""How far a play has come, and what it has achieved without being asked.

:func:`goal_conditions` counts as ALFRED counts (its "goal-condition success"): a task is cut into one to three
conditions of which some can hold before all do. :func:`fulfilled_tasks` reads a state the other way round: of which
tasks would it be the solution? That is what a failed play can be relabelled with.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from agentgym_hindsight.envs.alfworld import expert
from agentgym_hindsight.envs.alfworld.house import House, State, bits
from agentgym_hindsight.envs.alfworld.object_types import task_sentence
from agentgym_hindsight.envs.alfworld.position import Position
from agentgym_hindsight.envs.alfworld.scene import TASK_TYPES, Goal

__all__ = ["Achieved", "Fulfilled", "Past", "dead_end", "fulfilled_tasks", "goal_conditions"]

_SIMPLE, _LOOK, _CLEAN, _HEAT, _COOL, _TWO = TASK_TYPES


class Fulfilled(NamedTuple):
    """A task that the state solves: the goal, and the two sentences the game has for it."""

    goal: Goal
    sentences: tuple[str, str]


class Achieved(NamedTuple):
    """A task that an episode solved on its way, and after how many turns it first did."""

    step: int
    task: Fulfilled


def goal_conditions(play: Position) -> tuple[int, int]:
    """(conditions that hold, conditions in all): 1 for simple, 2 for look and two, 3 for clean, heat and cool.

    Of the three, the second is a target in the wanted state and the third is one that is both there and so. As in
    ALFRED only things that can be picked up count, and a condition can cease to hold again.
    """
    house, state = play.house, play.state()
    task, targets = house.scene.goal.task_type, house.goal_things & house.pickupable
    total = {_SIMPLE: 1, _LOOK: 2, _TWO: 2}.get(task, 3)
    if play.won:
        return total, total
    placed = [state.contents[place] & targets for place in house.goal_places]
    if task == _SIMPLE:
        return int(any(placed)), total
    if task == _TWO:
        return min(2, max((bin(mask).count("1") for mask in placed), default=0)), total
    if task == _LOOK:
        held = state.held >= 0 and bool(targets >> state.held & 1)
        lit = house.lamps & state.toggled
        return held + any(state.contents[place] & lit for place in house.at_location[state.at]), total
    changed = {_CLEAN: state.clean, _HEAT: state.hot, _COOL: state.cool}[task] & targets
    return bool(any(placed)) + bool(changed) + any(mask & changed for mask in placed), total


def dead_end(play: Position) -> str:
    """Why the task can no longer be won; "" while it can."""
    found = expert.dead_end(play)
    return found.reason if found else ""


def fulfilled_tasks(play: Position, initial: State | None = None) -> tuple[Fulfilled, ...]:
    """Every task that the state of ``play`` solves and ``initial`` (the house before anyone touched it) does not.

    The play's own task is among them when it is won. Tasks are sorted by type, then by name. The things of a task
    can all be taken, as in the official data: nobody is asked to put a plant on a shelf.
    """
    house = play.house
    before = set(_goals(house, house.initial if initial is None else initial))
    found = {goal for goal in _goals(house, play.state()) if goal not in before}
    order = {name: number for number, name in enumerate(TASK_TYPES)}
    return tuple(
        Fulfilled(goal, (task_sentence(goal, 0), task_sentence(goal, 1)))
        for goal in sorted(found, key=lambda goal: (order[goal.task_type], *goal[1:]))
    )


class Past:
    """The states an episode went through, and the tasks some of them solved and the first did not.

    What is achieved may be undone later (a cup put down and taken up again): for relabelling it still happened. Each
    state is looked at once, at the first question that concerns it.
    """

    def __init__(self, house: House) -> None:
        self.house = house
        self.states: list[State] = []
        self._found: dict[Goal, Achieved] = {}
        self._looked = 1  # the first state is the measure, not an achievement

    def achieved(self, moment: int) -> tuple[Achieved, ...]:
        """What the first ``moment`` states achieved, in the order it was."""
        for step in range(self._looked, moment):
            if self.states[step] != self.states[step - 1]:
                for fulfilled in fulfilled_tasks(Position.at(self.house, self.states[step]), self.states[0]):
                    self._found.setdefault(fulfilled.goal, Achieved(step, fulfilled))
        self._looked = max(self._looked, moment)
        return tuple(achieved for achieved in self._found.values() if achieved.step < moment)


def _goals(house: House, state: State) -> Iterator[Goal]:
    things = house.things
    for place, inside in zip(house.receptacles, state.contents, strict=True):
        seen: set[str] = set()
        for number in bits(inside & house.pickupable):
            kind, bit = things[number].type, 1 << number
            if not kind:
                continue
            yield Goal(_TWO if kind in seen else _SIMPLE, kind, place.type)
            seen.add(kind)
            if state.clean & house.cleanable & bit:
                yield Goal(_CLEAN, kind, place.type)
            if state.hot & house.heatable & bit:
                yield Goal(_HEAT, kind, place.type)
            if state.cool & house.coolable & bit:
                yield Goal(_COOL, kind, place.type)
    if state.held >= 0 and things[state.held].type:
        for spot in house.at_location[state.at]:
            for lamp in bits(state.contents[spot] & house.toggleable & state.toggled):
                yield Goal(_LOOK, things[state.held].type, lamp=things[lamp].type)
