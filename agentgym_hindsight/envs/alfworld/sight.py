"""What the player can see, and the completion of a command from that information alone."""

from __future__ import annotations

from agentgym_hindsight.envs.alfworld import house as rules
from agentgym_hindsight.envs.alfworld.house import bits
from agentgym_hindsight.envs.alfworld.native import Play
from agentgym_hindsight.envs.alfworld.wording import closest_name, parse_command

__all__ = ["STATIONS", "Sight", "is_legal"]

#: Verb → the receptacle type that it needs.
STATIONS = {"clean": "sinkbasin", "heat": "microwave", "cool": "fridge"}


def is_legal(play: Play, command: str) -> bool:
    """Whether the command would be executed; the same as ``command in play.admissible``, but faster."""
    view = play._view or play._current_view()
    if command in view.operations:
        return True
    operation = play.house.common_operations.get(command)
    if operation is None:
        return False
    return operation[0] != rules.GO or play.house.place_location[operation[2]] != play._at


class Sight:
    """What the player can see in the present state of a game."""

    def __init__(self, play: Play) -> None:
        self.play = play
        self.house = house = play.house
        self.state = state = play.state()
        self.put, self.into = house.put_words
        self.places_here = house.at_location[state.at]
        self.reachable = [
            number for number in self.places_here if not house.openable >> number & 1 or state.opened >> number & 1
        ]
        self.held = house.thing_names[state.held].rstrip() if state.held >= 0 else ""
        self.visible = 1 << state.held if state.held >= 0 else 0
        for number in self.reachable:
            self.visible |= state.contents[number]
        for number in self.places_here:
            self.visible |= state.taken_out[number] & state.spots[state.at]

    def may_offer(self, command: str) -> bool:
        """Whether a command is legal and reveals nothing that is out of sight.

        In the genuine engine, ``use`` and ``slice`` also work on things behind closed doors. Suggesting such a command
        would reveal what is behind the door.
        """
        operation = (self.play._view or self.play._current_view()).operations.get(command)
        if operation is not None and operation[0] in (rules.USE, rules.SLICE):
            return bool(self.visible >> operation[1] & 1)
        return is_legal(self.play, command)

    def complete(self, command: str) -> tuple[str, bool]:
        """The command in the game's own syntax, and whether the thing in it is in sight.

        Missing names are filled in from what is in sight. A name of something that is not in sight is kept as written.
        """
        verb, _, names = parse_command(command)
        if verb in ("look", "inventory", "help"):
            return verb, not names
        if verb in ("go", "open", "close"):
            return f"{'go to' if verb == 'go' else verb} {self.likely_place(names[0], verb) if names else ''}", True
        if verb == "examine":
            name = closest_name(names[0], [*self.names_here(), *([self.held] if self.held else [])]) if names else ""
            return f"examine {name or ''.join(names[:1])}", True
        things = self.things(self.visible)
        in_hands = verb in ("put", "clean", "heat", "cool")
        only_place = len(names) == 1 and closest_name(names[0], self.names_here())
        if in_hands and self.held and (not names or (only_place and not closest_name(names[0], [self.held]))):
            names = (self.held, *names)
        if not names:
            return "", False
        thing = closest_name(names[0], [self.held]) if self.held and in_hands else ""
        thing = thing or closest_name(names[0], things)
        in_sight, thing = bool(thing), thing or names[0]
        if verb == "use":
            return f"use {thing}", in_sight
        if verb == "slice":
            knife = closest_name(names[1], things) or names[1] if len(names) > 1 else self.held
            return f"slice {thing} with {knife}", in_sight
        if len(names) > 1:
            place = self.likely_place(names[1], verb)
        elif verb == "take":
            place = next(
                (self.name(n) for n in self.reachable if self.thing_in(self.state.contents[n], thing) >= 0), ""
            )
        elif verb == "put":
            return self.drop() if thing == self.held else f"{self.put} {thing} {self.into} ", in_sight
        else:
            place = self.likely_place(STATIONS[verb], verb) if verb in STATIONS else ""
        if not place:
            return "", False
        preposition = {"take": "from", "put": self.into}.get(verb, "with")
        return f"{self.put if verb == 'put' else verb} {thing} {preposition} {place}", in_sight

    def name(self, number: int) -> str:
        return self.house.place_names[number].rstrip()

    def names_here(self) -> list[str]:
        return [self.name(number) for number in self.places_here]

    def likely_place(self, name: str, verb: str) -> str:
        """The receptacle that ``name`` most likely means, preferably one at this location; else ``name`` itself."""
        name_here = "" if verb == "go" else closest_name(name, self.names_here())
        return (
            name_here
            or closest_name(name, [self.name(number) for number in range(len(self.house.place_names))])
            or name
        )

    def drop(self) -> str:
        """A command that puts down the held thing at this location, or ""."""
        for number in self.reachable:
            if self.state.held >= 0 and self.house.accepts[number] >> self.state.held & 1:
                return f"{self.put} {self.held} {self.into} {self.name(number)}"
        return ""

    def place(self, name: str) -> int:
        """The number of a receptacle, or -1. The player knows all receptacles of the room from the first text."""
        names = self.house.place_names
        return next((number for number, known in enumerate(names) if known.rstrip() == name), -1)

    def things(self, mask: int) -> list[str]:
        return [self.house.thing_names[thing].rstrip() for thing in bits(mask)]

    def thing_in(self, mask: int, name: str) -> int:
        names = self.house.thing_names
        return next((thing for thing in bits(mask) if names[thing].rstrip() == name), -1)
