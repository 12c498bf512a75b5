"""The expert: from any state, a short plan to win, or the reason why there is none.

It reads the true state, so it needs no search. A plan is a short list of *acts* (take this, heat it there, put it
there); the ``go to`` and ``open`` commands between the acts follow from them. The expert lists all useful plans and
chooses the cheapest one. After the first step of a plan, the rest of it is again one of the listed plans and at least
one step shorter. Following the expert step by step therefore always wins, at the latest after the planned number of
steps. (It can win earlier: a door that was opened to empty the hands can make another receptacle the nearest one.)

**Why a state without a plan is lost.** Every receptacle is reachable: each has a location, ``go to`` always works,
doors open, and the agent can put down any object that some receptacle accepts. Nothing is ever used up. Only these
facts cannot be changed:

* If the agent holds an object that no receptacle of the house accepts, it can never take or put anything else. Then it
  can only reach a goal that requires just this object in the hands.
* A target that is in no receptacle, or that cannot be taken, cannot be moved.
* An object can only be put where its type is accepted. Its state changes only at an existing station (basin,
  microwave, fridge), and only if its type can be changed.
* A lamp that is in no receptacle gives no light, unless the agent holds it and can put it down.

The listed plans need exactly these conditions; ``tests/envs/alfworld/test_expert.py`` compares them with a full search
of small houses. Two rules of the game are used: stations and lamps work through closed doors, and an object that the
official data puts in two receptacles stays in the second one when it is taken out of the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from agentgym_hindsight.envs.alfworld import house as rules
from agentgym_hindsight.envs.alfworld.house import bits
from agentgym_hindsight.envs.alfworld.position import Position

__all__ = ["DeadEnd", "dead_end", "next_action", "plan", "steps_left"]

#: (action, thing, receptacle): an action at a receptacle, after going there and, if necessary, opening it.
Act = tuple[int, int, int]

_STATES = {
    "pick_clean_then_place_in_recep": rules.CLEAN,
    "pick_heat_then_place_in_recep": rules.HEAT,
    "pick_cool_then_place_in_recep": rules.COOL,
}
_NEEDS_OPEN = (rules.TAKE, rules.PUT)  # all other actions also work on closed receptacles
_VERBS = {rules.CLEAN: "clean", rules.HEAT: "heat", rules.COOL: "cool"}


class DeadEnd(NamedTuple):
    """The reason why the task can no longer be won."""

    reason: str


def next_action(play: Position) -> str | None:
    """The next command; None if the task is won or can no longer be won."""
    if play.won:
        return None
    planner = _Planner(play)
    best = planner.best()
    return None if best is None else next(planner.commands(best))


def plan(play: Position) -> tuple[str, ...]:
    """All commands from here to the win; empty if the task is won or can no longer be won."""
    if play.won:
        return ()
    planner = _Planner(play)
    best = planner.best()
    return () if best is None else tuple(planner.commands(best))


def steps_left(play: Position) -> int | None:
    """The number of commands that the expert needs from here; None in a dead end."""
    if play.won:
        return 0
    planner = _Planner(play)
    best = planner.best()
    return None if best is None else planner.cost(best)


def dead_end(play: Position) -> DeadEnd | None:
    """Why the task can no longer be won, or None while it can."""
    if play.won:
        return None
    planner = _Planner(play)
    return DeadEnd(planner.reason()) if planner.best() is None else None


class _Planner:
    """Lists the plans that lead from one state to a win. Its attributes are the facts that the plans depend on."""

    def __init__(self, play: Position) -> None:
        house, state = play.house, play.state()
        self.house, self.state, self.at, self.held, self.opened = house, state, state.at, state.held, state.opened
        self.shut = house.openable & ~state.opened
        self.task = house.scene.goal.task_type
        self.targets = house.goal_things
        self.code = _STATES.get(self.task, rules.TAKE)
        self.ready = 0  # targets that are already clean, hot or cool, as the task requires
        self.stations: list[int] = []
        if self.task in _STATES:
            changeable, self.ready, stations = {
                rules.CLEAN: (house.cleanable, state.clean, house.washers),
                rules.HEAT: (house.heatable, state.hot, house.heaters),
                rules.COOL: (house.coolable, state.cool, house.coolers),
            }[self.code]
            self.targets &= changeable
            self.stations = list(bits(stations))
        takeable = self.targets & house.pickupable
        # (thing, receptacle) for every target that can be taken and every receptacle that contains it.
        self.sources = [
            (thing, place)
            for place, inside in enumerate(state.contents)
            if inside & takeable
            for thing in bits(inside & takeable)
        ]
        self.goals = [place for place in house.goal_places if house.accepts[place] & self.targets]
        self.holds_target = self.held >= 0 and bool(self.targets >> self.held & 1)
        self._in_hands = 1 << self.held if self.held >= 0 else 0
        self._droppable: list[int] | None = None

    def best(self) -> Sequence[Act] | None:
        """The cheapest plan, the first one if several are equally cheap; None if there is none."""
        best, lowest_cost = None, 1_000
        for acts in self._plans():
            cost = self.cost(acts)
            if cost < lowest_cost:
                best, lowest_cost = acts, cost
        return best

    def cost(self, acts: Iterable[Act]) -> int:
        """The number of commands of a plan."""
        at, opened, cost = self.at, self.opened, 0
        location, openable = self.house.place_location, self.house.openable
        for code, _, place in acts:
            if location[place] != at:
                at = location[place]
                cost += 1
            if code in _NEEDS_OPEN and (openable & ~opened) >> place & 1:
                opened |= 1 << place
                cost += 1
            cost += code != rules.GO
        return cost

    def commands(self, acts: Iterable[Act]) -> Iterator[str]:
        """The commands of a plan, with the ``go to`` and ``open`` commands between its acts."""
        house, at, opened = self.house, self.at, self.opened
        for code, thing, place in acts:
            name = house.place_names[place]
            if house.place_location[place] != at:
                at = house.place_location[place]
                yield house.go_commands[place]
            if code in _NEEDS_OPEN and (house.openable & ~opened) >> place & 1:
                opened |= 1 << place
                yield f"open {name}"
            what = house.thing_names[thing]
            if code == rules.TAKE:
                yield f"take {what} from {name}"
            elif code == rules.PUT:
                yield f"{house.put_words[0]} {what} {house.put_words[1]} {name}"
            elif code == rules.USE:
                yield f"use {what}"
            elif code != rules.GO:
                yield f"{_VERBS[code]} {what} with {name}"

    def _plans(self) -> Iterator[Sequence[Act]]:
        if self.task == "pick_two_obj_and_place":
            yield from self._plans_for_two()
            return
        usable = False
        if self.holds_target:
            for acts in self._rest_of_plans(self.held, -1, self.at):
                usable = True
                yield acts
        if usable:
            return
        for thing, place in self.sources:
            for acts in self._rest_of_plans(thing, place, self.house.place_location[place]):
                for drop in self._drops(place):
                    yield (*drop, (rules.TAKE, thing, place), *acts)
        if self.held >= 0 and self.house.lamps >> self.held & 1:
            yield from self._plans_with_held_lamp()

    def _plans_with_held_lamp(self) -> Iterator[Sequence[Act]]:
        """Put down the held lamp and use it there. The rules allow this, but no official lamp can be taken."""
        code = rules.GO if self.state.toggled >> self.held & 1 else rules.USE
        for thing, place in self.sources:
            for drop in self._drops(place):
                yield (*drop, (rules.TAKE, thing, place), (code, self.held, drop[0][2]))

    def _rest_of_plans(self, thing: int, source: int, at: int) -> Iterator[Sequence[Act]]:
        """The acts that remain when the agent has taken ``thing`` from ``source`` and stands at location ``at``."""
        house, contents = self.house, self.state.contents
        shut = self.shut & ~(1 << source) if source >= 0 else self.shut  # the source was opened to take the thing
        if self.task == "look_at_obj_in_light":
            for place, inside in enumerate(contents):
                for lamp in bits(inside & house.lamps):
                    lit = self.state.toggled >> lamp & 1
                    yield ((rules.GO if lit else rules.USE, lamp, place),)
            return
        if self.task not in _STATES or self.ready >> thing & 1:
            if self.goals:
                yield ((rules.PUT, thing, self._nearest(self.goals, at, shut)),)
            return
        # A thing in two receptacles that stays in a goal receptacle wins as soon as its state changes.
        stays_in_goal = any(contents[goal] >> thing & 1 for goal in house.goal_places if goal != source)
        for station in self.stations:
            act = (self.code, thing, station)
            if stays_in_goal:
                yield (act,)
            elif self.goals:
                yield (act, (rules.PUT, thing, self._nearest(self.goals, house.place_location[station], shut)))

    def _plans_for_two(self) -> Iterator[Sequence[Act]]:
        """Plans for two targets in one receptacle: for each receptacle, bring the targets that are missing."""
        contents, held = self.state.contents, self.held
        for goal in self._goals_by_cost():
            placed = contents[goal] & self.targets
            others = [(thing, place) for thing, place in self.sources if not placed >> thing & 1]
            missing = 2 - bin(placed).count("1")
            if self.holds_target and not placed >> held & 1:
                put = (rules.PUT, held, goal)
                if missing == 1:
                    yield (put,)
                else:
                    for thing, place in others:
                        if thing != held:
                            yield (put, (rules.TAKE, thing, place), (rules.PUT, thing, goal))
                continue
            for thing, place in others:
                acts: tuple[Act, ...] = ((rules.TAKE, thing, place), (rules.PUT, thing, goal))
                if missing == 2:
                    rest = [(other, spot) for other, spot in others if other != thing]
                    if not rest:
                        continue
                    shut = self.shut & ~(1 << place | 1 << goal)
                    spot = self._nearest([spot for _, spot in rest], self.house.place_location[goal], shut)
                    other = next(other for other, source in rest if source == spot)
                    acts = (*acts, (rules.TAKE, other, spot), (rules.PUT, other, goal))
                for drop in self._drops(place):
                    yield (*drop, *acts)

    def _goals_by_cost(self) -> list[int]:
        """One goal receptacle per kind of cost: many closed, empty, distant cabinets count as one choice."""
        house = self.house
        near = {self.at, *(house.place_location[place] for _, place in self.sources)}
        kinds: dict[tuple[int, int, int], int] = {}
        for goal in self.goals:
            location = house.place_location[goal]
            shut = self.shut >> goal & 1
            kinds.setdefault(
                (location if location in near else -1, shut, self.state.contents[goal] & self.targets), goal
            )
        return list(kinds.values())

    def _drops(self, upcoming: int) -> Iterator[Sequence[Act]]:
        """Acts that empty the hands before the receptacle ``upcoming``; one empty list if they are already empty."""
        if self.held < 0:
            yield ()
            return
        location = self.house.place_location
        if self._droppable is None:
            self._droppable = [place for place, mask in enumerate(self.house.accepts) if mask >> self.held & 1]
        if not self._droppable:
            return
        yield ((rules.PUT, self.held, self._nearest(self._droppable, self.at, self.shut)),)
        nearby = [place for place in self.house.at_location[location[upcoming]] if place in self._droppable]
        if nearby:
            # Prefer the receptacle that must be opened in any case.
            place = upcoming if upcoming in nearby else self._nearest(nearby, location[upcoming], self.shut)
            yield ((rules.PUT, self.held, place),)
            if place == upcoming and len(nearby) > 1:
                yield ((rules.PUT, self.held, self._nearest(nearby, location[upcoming], self.shut)),)

    def _nearest(self, places: Iterable[int], at: int, shut: int) -> int:
        """The cheapest of ``places`` to put something into, from location ``at``; those in ``shut`` are closed."""
        location = self.house.place_location
        best, lowest_cost = -1, 3
        for place in places:
            cost = (location[place] != at) + (shut >> place & 1)
            if cost < lowest_cost:
                if not cost:
                    return place
                best, lowest_cost = place, cost
        return best

    def reason(self) -> str:
        """Why there is no plan, as a sentence. Only called in dead ends."""
        house, goal = self.house, self.house.scene.goal
        thing, place = goal.object.lower(), goal.receptacle.lower()
        if goal.lamp and not any(mask & house.lamps for mask in (*self.state.contents, self._in_hands)):
            return f"No receptacle of this house holds a {goal.lamp.lower()} that can be switched on."
        if goal.receptacle and not house.goal_places:
            return f"This house has no {place}."
        if goal.receptacle and not self.goals and not self._target_is_in_goal():
            return f"No {place} of this house accepts a {thing}."
        if self.held >= 0 and not any(mask >> self.held & 1 for mask in house.accepts):
            return f"The hands hold {house.thing_names[self.held]}, which no receptacle of this house accepts."
        if self.task in _STATES and not self.stations:
            return f"Nothing in this house can {_VERBS[self.code]} a {thing}."
        if self.task == "pick_two_obj_and_place":
            return f"Fewer than two things of type {thing} can be brought to one {place}."
        return f"No {thing} that would do can be taken from a receptacle of this house."

    def _target_is_in_goal(self) -> bool:
        return self.task in _STATES and any(self.state.contents[g] & self.targets for g in self.house.goal_places)
