"""The native engine: ALFWorld in plain Python, with the replies of the genuine engine, word for word.

The genuine engine stores a set of facts and derives texts and admissible commands from it with a planner and a
grammar, which takes 45 ms per step. There are only fifteen actions. Here each of them is a few integer operations on a
state of eleven integers and short lists. Comments mark the rules that are easy to get wrong.
"""

from __future__ import annotations

from agentgym_hindsight.envs.alfworld import house as rules
from agentgym_hindsight.envs.alfworld.house import House
from agentgym_hindsight.envs.alfworld.names import phrase
from agentgym_hindsight.envs.alfworld.position import Position, Snapshot

__all__ = ["House", "Play", "Snapshot"]

NOTHING_HAPPENS = "Nothing happens."


class Play(Position):
    """One game in one house.

    ``valid``: the last command was legal and was executed. ``changed``: it changed the true state. Heating a thing
    that is already hot is valid and changes nothing.
    """

    __slots__ = ()

    def __init__(self, house: House) -> None:
        self.house = house
        self.reset()

    def reset(self) -> str:
        """Restart the game and return the opening text."""
        self._load(self.house.initial)
        self.observation = self.house.intro
        self.valid = True
        self.changed = False
        return self.observation

    def step(self, command: str) -> str:
        """Execute a command and return the reply. As in the genuine engine, a game continues after it is won."""
        command = command.strip()
        view = self._view or self._current_view()
        operation = view.operations.get(command) or self.house.common_operations.get(command)
        if operation is None:
            self.valid = self.changed = False
            self.observation = NOTHING_HAPPENS
            return NOTHING_HAPPENS
        house = self.house
        code, thing, place = operation
        if code == rules.GO:
            location = house.place_location[place]
            if location == self._at:  # the genuine planner drops a move between receptacles that share a location
                self.valid = self.changed = False
                self.observation = NOTHING_HAPPENS
                return NOTHING_HAPPENS
            self._at = location
            self.changed = True
            text = house.arrivals[place] + self._describe(place)
        elif code >= rules.EXAMINE_PLACE:
            self.valid, self.changed = True, False
            self.observation = text = self._information(code, thing, place)
            return text
        elif code == rules.TAKE:
            text = self._take(thing, place)
        elif code == rules.PUT:
            text = self._put(thing, place)
        elif code == rules.OPEN:
            self._opened |= 1 << place
            self.changed = True
            text = f"You open the {house.place_names[place]}. {self._describe(place)}"
        elif code == rules.CLOSE:
            self._opened &= ~(1 << place)
            self.changed = True
            text = f"You close the {house.place_names[place]}."
        else:
            text = self._treat(code, thing, place)
        self.valid = True
        self.observation = text
        if self.changed:
            self._view = self._won = self._key_text = None
        return text

    def _take(self, thing: int, place: int) -> str:
        house, bit = self.house, 1 << thing
        self._contents[place] &= ~bit  # a thing in two receptacles stays in the other one
        self._spots[self._at] &= ~bit
        self._held = thing
        if house.shares_location[place]:
            # The genuine engine stores the fact that the thing is *not in* this receptacle. ``look`` reads this fact to
            # list the things next to receptacles. It matters only if another receptacle shares the location. It is
            # stored only in this case, so that two histories with the same result have the same state key.
            self._taken_out[place] |= bit
        self.changed = True
        return f"You pick up the {house.thing_names[thing]} from the {house.place_names[place]}."

    def _put(self, thing: int, place: int) -> str:
        house, bit = self.house, 1 << thing
        self._contents[place] |= bit
        self._spots[self._at] |= bit
        self._taken_out[place] &= ~bit
        self._held = -1
        self.changed = True
        return house.put_text.format(house.thing_names[thing], house.place_names[place])

    def _treat(self, code: int, thing: int, place: int) -> str:
        house, bit = self.house, 1 << thing
        before = self._clean, self._hot, self._cool, self._toggled, self._sliced
        name = house.thing_names[thing]
        if code == rules.USE:
            self._toggled |= bit  # permanent: no command turns anything off
            text = f"You turn on the {name}."
        elif code == rules.SLICE:
            self._sliced |= bit
            text = f"You sliced the {name} with the {house.thing_names[self._held]}."
        elif code == rules.CLEAN:
            self._clean |= bit
            text = f"You clean the {name} using the {house.place_names[place]}."
        elif code == rules.HEAT:
            self._hot |= bit
            self._cool &= ~bit
            text = f"You heat the {name} using the {house.place_names[place]}."
        else:
            self._cool |= bit
            self._hot &= ~bit
            text = f"You cool the {name} using the {house.place_names[place]}."
        self.changed = before != (self._clean, self._hot, self._cool, self._toggled, self._sliced)
        return text

    def _information(self, code: int, thing: int, place: int) -> str:
        house = self.house
        if code == rules.EXAMINE_PLACE:
            return self._describe(place)
        if code == rules.EXAMINE_THING:
            return self._inspect(thing)
        if code == rules.LOOK:
            facing = house.facing[self._at]
            return f"{facing}{self._floor()}." if facing else house.no_receptacle_text
        if code == rules.INVENTORY:
            if self._held < 0:
                return "You are not carrying anything."
            return f"You are carrying: a {house.thing_names[self._held]}."
        return rules.HELP_TEXT

    def _describe(self, place: int) -> str:
        house = self.house
        if house.openable >> place & 1 and not self._opened >> place & 1:
            return house.closed[place]
        return f"{house.contents_prefix[place]}{house.listed(self._contents[place])}."

    def _inspect(self, thing: int) -> str:
        house = self.house
        if house.containers >> thing & 1:
            return house.container_texts[thing]
        name = house.thing_names[thing]
        clean, hot, cool = self._clean >> thing & 1, self._hot >> thing & 1, self._cool >> thing & 1
        sliced = self._sliced >> thing & 1
        heat = "hot" if hot else "cool" if cool else ""
        words = " and ".join(word for word in (heat, "clean" if clean else "") if word)
        if words and sliced:
            return f"This is a {words} sliced {name}."
        if words:
            return f"This is a {'cold' if words == 'cool' else words} {name}."
        if house.toggleable & self._toggled & 1 << thing:
            return f"This {name} is on."
        # "... is off" is never shown: it requires the fact that the thing was turned off, and no command does this.
        if sliced and house.sliceable >> thing & 1:
            return f"This is a sliced {name}."
        return f"There's nothing special about {name}."

    def _floor(self) -> str:
        """The things beside the receptacles: those at this location that were taken out of one of them.

        As in the genuine engine, a thing that was taken out of two of them is listed twice.
        """
        house, at_this_location = self.house, self._spots[self._at]
        masks = [self._taken_out[number] for number in house.at_location[self._at]]
        listed = at_this_location & _union(masks)
        if not listed:
            return "nothing"
        return phrase(house.thing_names[thing] for thing in rules.bits(listed) for mask in masks if mask >> thing & 1)


def _union(masks: list[int]) -> int:
    union = 0
    for mask in masks:
        union |= mask
    return union
