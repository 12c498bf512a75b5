"""The true facts of a state, with the predicates of the game files.

Two kinds of facts are left out: internal facts that no text and no rule reads (``checked``, ``isOn``), and negated
facts, which the genuine engine stores only for some things, depending on the history of the game.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

from agentgym_hindsight.envs.alfworld.house import House, State, bits

__all__ = ["facts_of"]

Fact = tuple[str, ...]

_ABILITIES = ("pickupable", "cleanable", "heatable", "coolable", "toggleable", "sliceable")
AGENT = "agent1"

#: The facts that no command can change (the majority), cached as long as their house exists.
_CONSTANT: WeakKeyDictionary[House, frozenset[Fact]] = WeakKeyDictionary()


def facts_of(house: House, state: State) -> frozenset[Fact]:
    """All facts of a house in a state."""
    things, places, locations = house.things, house.receptacles, house.locations
    facts: set[Fact] = {("atLocation", AGENT, locations[state.at])}
    if state.held >= 0:
        facts |= {("holds", AGENT, things[state.held].id), ("holdsAny", AGENT)}
    for place, inside in zip(places, state.contents, strict=True):
        facts |= {("inReceptacle", things[thing].id, place.id) for thing in bits(inside)}
    for location, contents in zip(locations, state.spots, strict=True):
        facts |= {("objectAtLocation", things[thing].id, location) for thing in bits(contents)}
    facts |= {("opened", places[place].id) for place in bits(state.opened)}
    for predicate, mask in (
        ("isClean", state.clean),
        ("isHot", state.hot),
        ("isCool", state.cool),
        ("isToggled", state.toggled),
        ("isSliced", state.sliced),
    ):
        facts |= {(predicate, things[thing].id) for thing in bits(mask)}
    return _constant_facts(house) | facts


def _constant_facts(house: House) -> frozenset[Fact]:
    cached = _CONSTANT.get(house)
    if cached is not None:
        return cached
    facts: set[Fact] = {("canContain", f"{place}Type", f"{held}Type") for place, held in house.scene.can_contain}
    for place in house.receptacles:
        facts |= {("receptacleType", place.id, f"{place.type}Type"), ("receptacleAtLocation", place.id, place.location)}
        if place.openable:
            facts.add(("openable", place.id))
    for thing in house.things:
        if thing.type:
            facts.add(("objectType", thing.id, f"{thing.type}Type"))
        if thing.is_receptacle:
            facts.add(("isReceptacleObject", thing.id))
        facts |= {("inReceptacleObject", thing.id, outer) for outer in thing.within}
        facts |= {(name, thing.id) for name in _ABILITIES if getattr(thing, name)}
    _CONSTANT[house] = constant = frozenset(facts)
    return constant
