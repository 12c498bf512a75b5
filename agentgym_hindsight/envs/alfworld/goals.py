"""The progress of a game, and the other tasks that it has solved.

:func:`goal_conditions` is ALFRED's measure "goal-condition success": a task has one to three conditions, and some of
them can hold before the task is won. :func:`fulfilled_tasks` lists the tasks that a state solves. A failed episode can
be relabelled with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from agentgym_hindsight.envs.alfworld import expert
from agentgym_hindsight.envs.alfworld.house import House, State, bits
from agentgym_hindsight.envs.alfworld.object_types import task_sentence
from agentgym_hindsight.envs.alfworld.position import Position
from agentgym_hindsight.envs.alfworld.scene import TASK_TYPES, Goal

__all__ = ["Achieved", "EpisodeStates", "Fulfilled", "dead_end", "fulfilled_tasks", "goal_conditions"]

_SIMPLE, _LOOK, _CLEAN, _HEAT, _COOL, _TWO = TASK_TYPES


class Fulfilled(NamedTuple):
    """A task that a state solves: the goal, and its two sentences."""

    goal: Goal
    sentences: tuple[str, str]


class Achieved(NamedTuple):
    """A task that an episode has solved, and the number of turns after which it was first solved."""

    step: int
    task: Fulfilled


def goal_conditions(play: Position) -> tuple[int, int]:
    """(conditions that hold, all conditions): 1 for simple, 2 for look and two, 3 for clean, heat and cool.

    The three conditions are: a target is in the goal receptacle; a target is in the required state; one target is
    both. As in ALFRED, only objects that can be picked up count, and a condition can become false again.
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
    """All tasks that the state of ``play`` solves and the state ``initial`` (default: the start of the game) does not.

    The game's own task is one of them if it is won. Tasks are sorted by type, then by name. As in the official data,
    all objects of a task can be taken.
    """
    house = play.house
    initially_fulfilled = set(_goals(house, house.initial if initial is None else initial))
    newly_fulfilled = {goal for goal in _goals(house, play.state()) if goal not in initially_fulfilled}
    order = {name: number for number, name in enumerate(TASK_TYPES)}
    return tuple(
        Fulfilled(goal, (task_sentence(goal, 0), task_sentence(goal, 1)))
        for goal in sorted(newly_fulfilled, key=lambda goal: (order[goal.task_type], *goal[1:]))
    )


class EpisodeStates:
    """The states of an episode, and the tasks that a later state solves and the first state does not.

    A task that was solved and then undone (a cup put down and taken again) still counts, because an episode can be
    relabelled with it. Each state is examined once, when it is first needed.
    """

    def __init__(self, house: House) -> None:
        self.house = house
        self.states: list[State] = []
        self._achieved: dict[Goal, Achieved] = {}
        self._examined = 1  # the first state is the reference, so it is not examined

    def achieved(self, length: int) -> tuple[Achieved, ...]:
        """The tasks that the first ``length`` states have solved, in the order in which they were solved."""
        for step in range(self._examined, length):
            if self.states[step] != self.states[step - 1]:
                for fulfilled in fulfilled_tasks(Position.at(self.house, self.states[step]), self.states[0]):
                    self._achieved.setdefault(fulfilled.goal, Achieved(step, fulfilled))
        self._examined = max(self._examined, length)
        return tuple(achieved for achieved in self._achieved.values() if achieved.step < length)


def _goals(house: House, state: State) -> Iterator[Goal]:
    things = house.things
    for place, inside in zip(house.receptacles, state.contents, strict=True):
        types_here: set[str] = set()
        for number in bits(inside & house.pickupable):
            kind, bit = things[number].type, 1 << number
            if not kind:
                continue
            yield Goal(_TWO if kind in types_here else _SIMPLE, kind, place.type)
            types_here.add(kind)
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
