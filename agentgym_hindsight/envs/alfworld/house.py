"""The immutable part of a game: a :class:`Scene` compiled for fast play.

Values that every step needs are computed once: the shown names, which receptacle accepts which thing, the texts of
commands. A set of things is a bit mask in a Python integer; bit *i* is the thing with the *i*-th smallest id. A state
is then a few integers, and reading the bits from the lowest up gives the genuine engine's order, which sorts by id.

A house also caches lists of names and views of locations. These caches have a limited size and only save time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from hashlib import blake2b
from typing import NamedTuple

from agentgym_hindsight.envs.alfworld.names import phrase, shown_names
from agentgym_hindsight.envs.alfworld.scene import Receptacle, Scene, Thing
from agentgym_hindsight.errors import UsageError

__all__ = ["House", "Operation", "State", "View", "bits"]

#: A cache with this many entries is cleared. A long random game needs far fewer entries.
_CACHE_SIZE = 1024

HELP_TEXT = """Available commands:
  look:                             look around your current location
  inventory:                        check your current inventory
  go to (receptacle):               move to a receptacle
  open (receptacle):                open a receptacle
  close (receptacle):               close a receptacle
  take (object) from (receptacle):  take an object from a receptacle
  move (object) to (receptacle):  place an object in or on a receptacle
  examine (something):              examine a receptacle or an object
  use (object):                     use an object
  heat (object) with (receptacle):  heat an object using a receptacle
  clean (object) with (receptacle): clean an object using a receptacle
  cool (object) with (receptacle):  cool an object using a receptacle
  slice (object) with (object):     slice an object using a sharp object
"""

#: The actions. EXAMINE_PLACE and those after it only return a text; they change nothing.
GO, OPEN, CLOSE, TAKE, PUT, CLEAN, HEAT, COOL = range(8)
USE, SLICE, EXAMINE_PLACE, EXAMINE_THING, LOOK, INVENTORY, HELP = range(8, 15)

#: The meaning of a command: (action, number of the thing, number of the receptacle); -1 if there is none.
Operation = tuple[int, int, int]


class State(NamedTuple):
    """Everything that can change in a house, as integers and bit masks."""

    at: int  # location
    held: int  # thing, or -1 for empty hands
    contents: tuple[int, ...]  # the things in each receptacle
    spots: tuple[int, ...]  # the things at each location
    taken_out: tuple[int, ...]  # the things taken out of each receptacle that shares its location; see Play._take
    opened: int  # receptacles
    clean: int
    hot: int
    cool: int
    toggled: int
    sliced: int


class View(NamedTuple):
    """The legal commands at one location, in one state of this location."""

    admissible: tuple[str, ...]
    operations: dict[str, Operation]


def bits(mask: int) -> Iterator[int]:
    """The numbers of the set bits, from the lowest up."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


class House:
    """One compiled scene. Any number of games can share it, because it never changes."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._names = shown_names(scene)
        self.receptacles = sorted(scene.receptacles, key=_by_id)
        self.things = sorted((thing for thing in scene.things if thing.id in self._names), key=_by_id)
        self.locations = sorted(self._names.keys() & set(scene.locations), key=str.lower)
        self.receptacle_number = _numbers("receptacle", (place.id for place in self.receptacles))
        self.thing_number = _numbers("thing", (thing.id for thing in self.things))
        self.location_number = _numbers("location", self.locations)
        try:
            self._compile()
        except KeyError as error:
            raise UsageError(
                f"Expected a scene whose facts name only its own receptacles, things and locations, "
                f"got {error.args[0]!r}, which it does not list; try to add it to the scene."
            ) from None

    def __reduce__(self) -> tuple[type[House], tuple[Scene]]:
        return House, (self.scene,)

    def __deepcopy__(self, memo: object) -> House:
        return self

    def _compile(self) -> None:
        scene, things, places = self.scene, self.things, self.receptacles
        self.thing_names = [self._names[thing.id] for thing in things]
        self.place_names = [self._names[place.id] for place in places]

        # Properties of things.
        self.pickupable = _mask(thing.pickupable for thing in things)
        self.cleanable = _mask(thing.cleanable for thing in things)
        self.heatable = _mask(thing.heatable for thing in things)
        self.coolable = _mask(thing.coolable for thing in things)
        self.toggleable = _mask(thing.toggleable for thing in things)
        self.sliceable = _mask(thing.sliceable for thing in things)
        self.containers = _mask(thing.is_receptacle for thing in things)
        self.knives = _mask(thing.type.lower() in ("knife", "butterknife") for thing in things)
        nested_names: list[list[str]] = [[] for _ in things]
        for thing in things:
            for outer in dict.fromkeys(thing.within):
                if outer != thing.id:  # the genuine engine never lists a thing as its own content
                    nested_names[self.thing_number[outer]].append(self._names[thing.id])
        self.container_texts = [
            f"This is a normal {name}. In it, you see {phrase(inner)}."
            for name, inner in zip(self.thing_names, nested_names, strict=True)
        ]

        # Properties and locations of receptacles.
        self.openable = _mask(place.openable for place in places)
        self.place_location = [self.location_number[place.location] for place in places]
        self.at_location: list[list[int]] = [[] for _ in self.locations]
        for number, location in enumerate(self.place_location):
            self.at_location[location].append(number)
        self.shares_location = [len(self.at_location[location]) > 1 for location in self.place_location]
        accepts: dict[str, set[str]] = {}
        for holder_type, held_type in scene.can_contain:
            accepts.setdefault(holder_type.lower(), set()).add(held_type.lower())
        of_type: dict[str, int] = {}
        for number, thing in enumerate(things):
            if thing.type:
                kind = thing.type.lower()
                of_type[kind] = of_type.get(kind, 0) | 1 << number
        accepted_things = {
            holder_type: sum(of_type.get(kind, 0) for kind in kinds) for holder_type, kinds in accepts.items()
        }
        kinds = [place.type.lower() for place in places]
        self.accepts = [accepted_things.get(kind, 0) for kind in kinds]
        basins = ("sinkbasin", "sink") if scene.dialect == "0.4" else ("sinkbasin",)
        self.washers = _mask(kind in basins for kind in kinds)
        self.heaters = _mask(kind == "microwave" for kind in kinds)
        self.coolers = _mask(kind == "fridge" for kind in kinds)

        # The goal.
        goal = scene.goal
        self.goal_things = of_type.get(goal.object.lower(), 0)
        self.goal_places = [
            number for number, kind in enumerate(kinds) if goal.receptacle and kind == goal.receptacle.lower()
        ]
        self.lamps = of_type.get(goal.lamp.lower(), 0) & self.toggleable if goal.lamp else 0

        self._make_texts()
        self.initial = self._initial()
        self._phrases: dict[int, str] = {}
        self._views: dict[tuple[int, ...], View] = {}

    def _make_texts(self) -> None:
        scene, names = self.scene, self.place_names
        location_names = [self._names[location] for location in self.locations]
        arrival = names if scene.dialect == "0.4" else [location_names[location] for location in self.place_location]
        self.arrivals = [f"You arrive at {name}. " for name in arrival]
        self.contents_prefix = [
            f"{'The' if self.openable >> number & 1 else 'On the'} {name}"
            + (" is open. In it, you see " if self.openable >> number & 1 else ", you see ")
            for number, name in enumerate(names)
        ]
        self.closed = [f"The {name} is closed." for name in names]
        # Unlike in all other lists, the names have no articles here.
        self.facing = []
        for numbers in self.at_location:
            items = [names[number] for number in numbers]
            listed = ", ".join(items[:-1]) + ", and " + items[-1] if len(items) > 1 else "".join(items)
            self.facing.append(f"You are facing the {listed}. Next to it, you see " if items else "")
        room = "You are in the middle of a room. Looking quickly around you, you see "
        self.no_receptacle_text = f"{room}nothing."
        start = self.facing[self.location_number[scene.start]]
        opening = f"{start}nothing." if start else f"{room}{phrase(names)}."
        self.intro = f"-= Welcome to TextWorld, ALFRED! =-\n\n{opening}\n\nYour task is to: {scene.task_text}"
        self.go_commands = [f"go to {name}" for name in names]
        # Commands that exist at every location. ``go to`` the agent's own location is refused by the game.
        self.common_operations: dict[str, Operation] = {
            command: (GO, -1, number) for number, command in enumerate(self.go_commands)
        }
        self.common_operations["inventory"] = (INVENTORY, -1, -1)
        self.common_operations["look"] = (LOOK, -1, -1)
        if scene.dialect == "0.4":
            self.common_operations["help"] = (HELP, -1, -1)
        self.common_commands = [
            command for command in ("help", "inventory", "look") if command in self.common_operations
        ]
        self.put_words = ("move", "to") if scene.dialect == "0.4" else ("put", "in/on")
        self.put_text = "You move the {} to the {}." if scene.dialect == "0.4" else "You put the {} in/on the {}."

    def _initial(self) -> State:
        contents, spots = [0] * len(self.receptacles), [0] * len(self.locations)
        for number, thing in enumerate(self.things):
            for place in thing.inside:
                contents[self.receptacle_number[place]] |= 1 << number
            for location in (thing.location, *thing.also_at):
                if location is not None:
                    spots[self.location_number[location]] |= 1 << number
        things = self.things
        return State(
            at=self.location_number[self.scene.start],
            held=-1,
            contents=tuple(contents),
            spots=tuple(spots),
            taken_out=(0,) * len(self.receptacles),
            opened=_mask(place.opened for place in self.receptacles),
            clean=_mask(thing.clean for thing in things),
            hot=_mask(thing.hot for thing in things),
            cool=_mask(thing.cool for thing in things),
            toggled=_mask(thing.toggled for thing in things),
            sliced=_mask(thing.sliced for thing in things),
        )

    @cached_property
    def fingerprint(self) -> bytes:
        """A hash of the house without its task: the state keys of a house do not depend on the goal."""
        kinds = [(place.id, place.type) for place in self.receptacles] + [
            (thing.id, thing.type) for thing in self.things
        ]
        parts = [f"{given} {kind}".lower() for given, kind in kinds]
        return blake2b("\n".join(parts).encode(), digest_size=16).digest()

    def listed(self, mask: int) -> str:
        """The things of a mask as text, in the order of their ids."""
        text = self._phrases.get(mask)
        if text is None:
            if len(self._phrases) >= _CACHE_SIZE:
                self._phrases.clear()
            text = self._phrases[mask] = phrase(self.thing_names[number] for number in bits(mask))
        return text

    def view(self, key: tuple[int, ...]) -> View:
        """The legal commands at a location. ``key`` has everything they depend on; see ``Position._current_view``."""
        cached = self._views.get(key)
        if cached is None:
            if len(self._views) >= _CACHE_SIZE:
                self._views.clear()
            cached = self._views[key] = self._make_view(*key)
        return cached

    def _make_view(self, at: int, held: int, opened: int, cuttable: int, *contents: int) -> View:
        names, places, put_words = self.thing_names, self.place_names, self.put_words
        operations: dict[str, Operation] = {}
        for number, inside in zip(self.at_location[at], contents, strict=True):
            place, bit = places[number], 1 << number
            operations[f"examine {place}"] = (EXAMINE_PLACE, -1, number)
            reachable = True
            if self.openable & bit:
                reachable = bool(opened & bit)
                verb, code = ("close", CLOSE) if reachable else ("open", OPEN)
                operations[f"{verb} {place}"] = (code, -1, number)
            for thing in bits(inside & self.toggleable):
                operations[f"use {names[thing]}"] = (USE, thing, number)
            if held < 0:
                if reachable:
                    for thing in bits(inside & self.pickupable):
                        operations[f"take {names[thing]} from {place}"] = (TAKE, thing, number)
                continue
            name, held_bit = names[held], 1 << held
            if reachable and self.accepts[number] & held_bit:
                operations[f"{put_words[0]} {name} {put_words[1]} {place}"] = (PUT, held, number)
            if self.washers & bit and self.cleanable & held_bit:
                operations[f"clean {name} with {place}"] = (CLEAN, held, number)
            if self.heaters & bit and self.heatable & held_bit:
                operations[f"heat {name} with {place}"] = (HEAT, held, number)
            if self.coolers & bit and self.coolable & held_bit:
                operations[f"cool {name} with {place}"] = (COOL, held, number)
        if held >= 0:
            operations[f"examine {names[held]}"] = (EXAMINE_THING, held, -1)
            for thing in bits(cuttable):
                operations[f"slice {names[thing]} with {names[held]}"] = (SLICE, thing, -1)
        location = self.place_location
        moves = [command for number, command in enumerate(self.go_commands) if location[number] != at]
        return View(tuple(sorted([*operations, *moves, *self.common_commands])), operations)


def _by_id(item: Receptacle | Thing) -> str:
    return item.id.lower()


def _numbers(kind: str, ids: Iterable[str]) -> dict[str, int]:
    listed = list(ids)
    if len({given.lower() for given in listed}) != len(listed):
        raise UsageError(
            f"Expected a different id for every {kind} of a scene, got one id twice; try to rename one of them."
        )
    return {given: number for number, given in enumerate(listed)}


def _mask(flags: Iterable[bool]) -> int:
    return sum(1 << number for number, flag in enumerate(flags) if flag)
