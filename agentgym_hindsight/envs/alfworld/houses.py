"""The generator of houses and tasks from a seed: ALFWorld without a download.

The rules are those of the benchmark (``object_types``), the rooms have the statistics of its rooms (``rooms``,
``layouts``), and the houses are our own. :func:`embedded_scene` gives one endless sequence per split; every prefix of
it is balanced over the six task types. No game is in two splits, and no room of ``valid_unseen`` is in ``train``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from agentgym_hindsight.envs.alfworld.expert import plan
from agentgym_hindsight.envs.alfworld.layouts import (
    DIFFICULTIES,
    LAMP_PLACES,
    POOLS,
    Difficulty,
    Draws,
    Layout,
    coordinates,
    make_layout,
)
from agentgym_hindsight.envs.alfworld.native import House, Play
from agentgym_hindsight.envs.alfworld.object_types import (
    CLEANABLE,
    COOLABLE,
    CUTLERY,
    FIXTURES,
    HEATABLE,
    HOLDS,
    PICKUPABLE,
    RECEPTACLE_OBJECTS,
    SLICEABLE,
    STATIONS,
    TOGGLEABLE,
    TRAPS,
    can_contain,
    task_sentence,
)
from agentgym_hindsight.envs.alfworld.rooms import KIND_WEIGHTS, ROOM_KINDS, ROOMS
from agentgym_hindsight.envs.alfworld.scene import TASK_TYPES, Goal, Receptacle, Scene, Thing
from agentgym_hindsight.errors import UnknownNameError, UsageError

__all__ = [
    "DIFFICULTIES",
    "SPLITS",
    "Difficulty",
    "EmbeddedTask",
    "embedded_scene",
    "embedded_task",
    "generate",
    "make_thing",
]

#: split → the pool of its rooms.
SPLITS = {"train": "train", "valid_seen": "train", "valid_unseen": "unseen"}

_ATTEMPTS = 20
_MAX_OF_A_TYPE = 6
_HOLD_ONE_THING = frozenset({"CoffeeMachine", "HandTowelHolder", "StoveBurner", "ToiletPaperHanger", "TowelHolder"})
_CHANGEABLE = {  # task type → the object types whose state it can change
    "pick_clean_then_place_in_recep": CLEANABLE,
    "pick_heat_then_place_in_recep": HEATABLE,
    "pick_cool_then_place_in_recep": COOLABLE,
}
#: Receptacles that are never the goal of an official task in these rooms, although they accept objects.
_NEVER_GOALS = frozenset({"BathtubBasin", "HandTowelHolder", "LaundryHamper", "SinkBasin", "TVStand", "TowelHolder"})
#: Objects of the official rooms that are in two receptacles at once: (object, first one) → (second one, percent).
_ALSO_IN = {
    ("Mug", "CounterTop"): ("CoffeeMachine", 50),
    ("Pan", "StoveBurner"): ("CounterTop", 30),
    ("Pot", "StoveBurner"): ("StoveBurner", 20),
}


@dataclass(frozen=True)
class EmbeddedTask:
    """One element of the endless sequence of a split: the task type and the room, without the house."""

    split: str
    index: int
    task_type: str
    kind: str
    room: int


def embedded_task(split: str, index: int, difficulty: str | Difficulty = "standard") -> EmbeddedTask:
    """The task type and the room of game ``index`` of ``split``. Fast, because no house is generated."""
    if split not in SPLITS:
        raise UnknownNameError("split", split, SPLITS)
    if index < 0:
        raise UsageError(f"Expected an index of 0 or more, got {index}; try an index from 0 on.")
    level = _difficulty(difficulty)
    task_type = TASK_TYPES[index % len(TASK_TYPES)]
    rng = Draws("task", split, index, level.name)
    kind = rng.weighted(list(zip(ROOM_KINDS, KIND_WEIGHTS[task_type], strict=True)))
    return EmbeddedTask(split, index, task_type, kind, rng.below(POOLS[SPLITS[split]]))


def embedded_scene(split: str, index: int, difficulty: str | Difficulty = "standard") -> Scene:
    """Game ``index`` of the endless sequence of ``split``, byte for byte the same on every machine."""
    task, level = embedded_task(split, index, difficulty), _difficulty(difficulty)
    layout = make_layout(SPLITS[split], task.kind, task.room, level)
    scene = generate(task.task_type, layout, f"{split}/{index}", level)
    return scene._replace(name=f"embedded_{level.name}_{split}_{index:06d}")


def generate(task_type: str, layout: Layout, seed: object, difficulty: str | Difficulty = "standard") -> Scene:
    """A house in ``layout`` with a task of ``task_type`` that can be won and is not yet won."""
    if task_type not in TASK_TYPES:
        raise UnknownNameError("task type", task_type, TASK_TYPES)
    level = _difficulty(difficulty)
    for attempt in range(_ATTEMPTS):
        rng = Draws("contents", task_type, layout.kind, layout.number, seed, level, attempt)
        goal = _choose_goal(task_type, layout, rng)
        if goal is None:
            break
        scene = _furnish(goal, layout, rng, level)
        # Discard a house that cannot be won. This can happen if the caller's own layout is too full.
        walkthrough = plan(Play(House(scene)))
        if walkthrough:
            return scene._replace(walkthrough=walkthrough)
    raise UsageError(
        f"Expected a room in which {task_type} is possible, got {layout.kind} {layout.number} with "
        f"{', '.join(sorted({r.type for r in layout.receptacles}))}; try another layout."
    )


def _furnish(goal: Goal, layout: Layout, rng: Draws, level: Difficulty) -> Scene:
    things = _Placer(layout, goal, rng, level).place_all()
    return Scene(
        name=f"{goal.task_type}_{goal.object}_{goal.receptacle or goal.lamp}_{layout.number}",
        receptacles=layout.receptacles,
        things=things,
        locations=layout.locations,
        start=layout.start,
        can_contain=can_contain((r.type for r in layout.receptacles), (t.type for t in things)),
        goal=goal,
        task_text=task_sentence(goal, rng.below(2)),
    )


def _difficulty(value: str | Difficulty) -> Difficulty:
    if isinstance(value, Difficulty):
        return value
    if value not in DIFFICULTIES:
        raise UnknownNameError("difficulty", value, DIFFICULTIES)
    return DIFFICULTIES[value]


def _places(kind: str, thing: str, present: Counter[str]) -> list[tuple[str, int]]:
    """The receptacle types where a thing can start, with measured weights; if the room has none, all that accept it."""
    measured = [(name, weight) for name, weight in ROOMS[kind].contents[thing].places if present[name]]
    if measured:
        return measured
    if thing in FIXTURES:
        return [(name, 1) for name in LAMP_PLACES if present[name]]
    return [(name, 1) for name in sorted(present) if thing in HOLDS[name]]


def _choose_goal(task_type: str, layout: Layout, rng: Draws) -> Goal | None:
    present = Counter(r.type for r in layout.receptacles)
    station = STATIONS.get(task_type, ("", ""))[0]
    changeable = _CHANGEABLE.get(task_type, PICKUPABLE) - TRAPS
    options: list[Goal] = []
    for thing in ROOMS[layout.kind].contents:
        places = _places(layout.kind, thing, present) if thing in changeable else []
        if not places:
            continue
        if task_type == "look_at_obj_in_light":
            options.append(Goal(task_type, thing, lamp="DeskLamp"))
            continue
        for name in sorted(present):
            # If no state must change, the thing must start in another type, or the task would be solved at once.
            elsewhere = bool(station) or any(place != name for place, _ in places)
            if thing in HOLDS[name] and name not in _NEVER_GOALS and name != station and elsewhere:
                options.append(Goal(task_type, thing, name))
    if not options:
        return None
    object_type = rng.pick(list(dict.fromkeys(goal.object for goal in options)))
    return rng.pick([goal for goal in options if goal.object == object_type])


class _Placer:
    """Places the things of one house."""

    def __init__(self, layout: Layout, goal: Goal, rng: Draws, level: Difficulty) -> None:
        self.layout, self.goal, self.rng, self.level = layout, goal, rng, level
        self.present = Counter(r.type for r in layout.receptacles)
        self.occupied: set[str] = set()
        self.ids: set[str] = set()
        # Only these two task types are won by the position of a thing alone.
        self.won_by_position = goal.task_type in ("pick_and_place_simple", "pick_two_obj_and_place")

    def place_all(self) -> tuple[Thing, ...]:
        things: list[Thing] = []
        goal_types = {self.goal.object, self.goal.lamp}  # placed first, while there are free receptacles
        for name in sorted(ROOMS[self.layout.kind].contents, key=lambda name: name not in goal_types):
            for _ in range(self._amount(name)):
                thing = self._thing(name)
                if thing is not None:
                    things.append(thing)
        things.sort(key=lambda thing: thing.id)
        return tuple(self._nest(things))

    def _amount(self, name: str) -> int:
        rng, level = self.rng, self.level
        amounts = ROOMS[self.layout.kind].contents[name].amounts
        drawn = rng.weighted(list(enumerate(amounts)))
        if name == self.goal.object:
            needed = 2 if self.goal.task_type == "pick_two_obj_and_place" else 1
            drawn = needed + rng.round(max(0, drawn - needed) * level.distractors)
        elif name == self.goal.lamp:
            drawn = max(1, drawn)
        elif name in TRAPS:
            drawn = sum(rng.weighted(list(enumerate(amounts))) for _ in range(rng.round(level.traps)))
        elif name not in FIXTURES:
            drawn = rng.round(drawn * level.objects)
        return min(drawn, _MAX_OF_A_TYPE)

    def _thing(self, name: str) -> Thing | None:
        forbidden_type = self.goal.receptacle if self.won_by_position and name == self.goal.object else ""
        spot = self._free_spot(name, forbidden_type)
        if spot is None:
            return None
        inside = [spot.id]
        if spot.type in _HOLD_ONE_THING:
            self.occupied.add(spot.id)
        second, percent = _ALSO_IN.get((name, spot.type), ("", 0))
        if self.rng.chance(percent / 100) and second != forbidden_type:
            others = [r.id for r in self.layout.receptacles if r.type == second and r.id not in self.occupied]
            inside += [self.rng.pick(others)] if others else []
            self.occupied.update(r for r in inside[1:] if second in _HOLD_ONE_THING)
        must_be_cooled = self.goal.task_type == "pick_cool_then_place_in_recep" and name == self.goal.object
        cool = spot.type == "Fridge" and name in COOLABLE and self.rng.chance(0.05) and not must_be_cooled
        return make_thing(name, self._identity(name), spot.location, tuple(inside), cool)

    def _free_spot(self, name: str, forbidden_type: str) -> Receptacle | None:
        """A free receptacle for a thing: of the usual types if possible, else of any type that accepts it."""
        usual = _places(self.layout.kind, name, self.present)
        legal = [(kind, 1) for kind in sorted(self.present) if name in HOLDS[kind]]
        for places in (usual, legal):
            places = [place for place in places if place[0] != forbidden_type]
            while places:
                kind = self.rng.weighted(places)
                spots = [r for r in self.layout.receptacles if r.type == kind and r.id not in self.occupied]
                if spots:
                    return self.rng.pick(spots)
                places = [place for place in places if place[0] != kind]
        return None

    def _identity(self, name: str) -> str:
        while True:
            metres = (8 * self.rng.random() - 4, 1.8 * self.rng.random(), 8 * self.rng.random() - 4)
            identity = name + coordinates(*metres)
            if identity not in self.ids:
                self.ids.add(identity)
                return identity

    def _nest(self, things: list[Thing]) -> list[Thing]:
        """Put 4 % of the cutlery into containers, e.g. a spoon into a mug. Examining the held mug shows the spoon."""
        nested = []
        for thing in things:
            containers = [t for t in things if t.is_receptacle and t.inside[0] == thing.inside[0]]
            if thing.type in CUTLERY and containers and self.rng.chance(0.04):
                thing = thing._replace(within=(self.rng.pick(containers).id,))
            nested.append(thing)
        return nested


def make_thing(name: str, identity: str, location: str, inside: tuple[str, ...], cool: bool = False) -> Thing:
    """A thing with the properties of its type."""
    return Thing(
        id=identity,
        type=name,
        location=location,
        inside=inside,
        pickupable=name in PICKUPABLE,
        cleanable=name in CLEANABLE,
        heatable=name in HEATABLE,
        coolable=name in COOLABLE,
        toggleable=name in TOGGLEABLE,
        sliceable=name in SLICEABLE,
        is_receptacle=name in RECEPTACLE_OBJECTS,
        cool=cool,
    )
