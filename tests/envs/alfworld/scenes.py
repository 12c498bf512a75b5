"""Hand-made houses for tests: small, with the unusual properties of the official ones."""

from __future__ import annotations

from agentgym_hindsight.envs.alfworld.scene import Goal, Receptacle, Scene, Thing

__all__ = ["kitchen", "locate", "place", "strange_kitchen", "thing"]

#: The types that every receptacle of these houses accepts.
_ACCEPTED = ("Apple", "Bowl", "DeskLamp", "Knife", "Lettuce", "Mug", "Pan", "Egg", "Fork")


def place(kind: str, number: int, location: int, openable: bool = False, opened: bool = False) -> Receptacle:
    """A receptacle with an id like the official ones. Shown numbers decrease as ``number`` increases."""
    return Receptacle(f"{kind}_bar__plus_0{number}", kind, locate(location), openable, opened)


def thing(
    kind: str, number: int, inside: str | tuple[str, ...] = (), location: int | None = None, **more: object
) -> Thing:
    """A thing that can be picked up, unless ``pickupable=False``; ``inside`` has receptacle ids."""
    facts: dict[str, object] = {"pickupable": True, **more}
    holders = (inside,) if isinstance(inside, str) else inside
    where = None if location is None else locate(location)
    return Thing(f"{kind}_bar__plus_0{number}", kind, where, holders, **facts)  # type: ignore[arg-type]


def locate(number: int) -> str:
    """The id of a location."""
    return f"loc_bar_{number}"


def kitchen(
    *extra: Thing, goal: Goal | None = None, dialect: str = "0.4", more: tuple[Receptacle, ...] = (), start: int = 0
) -> Scene:
    """A kitchen with one thing for every kind of behaviour.

    Locations: 0 the middle of the room, 1 the countertop, 2 the fridge, 3 the microwave, 4 the sink, 5 two cabinets
    and a shelf, 6 the desk with the lamp.
    """
    receptacles = (
        place("CounterTop", 1, 1),
        place("Fridge", 1, 2, openable=True),
        place("Microwave", 1, 3, openable=True),
        Receptacle("Sink_bar__plus_01_bar_SinkBasin", "SinkBasin", locate(4)),
        place("Cabinet", 1, 5, openable=True),
        place("Cabinet", 2, 5, openable=True),
        place("Shelf", 1, 5),
        place("Desk", 1, 6),
        *more,
    )
    food = {"heatable": True, "coolable": True, "cleanable": True, "sliceable": True}
    counter, shelf = "CounterTop_bar__plus_01", "Shelf_bar__plus_01"
    things = (
        thing("Apple", 1, counter, 1, **food),
        thing("Lettuce", 1, counter, 1, coolable=True, cleanable=True, sliceable=True),
        thing("Knife", 1, counter, 1, cleanable=True),
        thing("Bowl", 1, counter, 1, cleanable=True, heatable=True, is_receptacle=True),
        Thing("Egg_bar__plus_01", "Egg", locate(1), (counter,), ("Bowl_bar__plus_01",), True, False, True, True),
        thing("Mug", 1, shelf, 5, cleanable=True, heatable=True, coolable=True, is_receptacle=True),
        thing("Fork", 1, "Cabinet_bar__plus_01", 5, cleanable=True),
        thing("DeskLamp", 1, "Desk_bar__plus_01", 6, toggleable=True),
        thing("Painting", 1, "Desk_bar__plus_01", 6, pickupable=False),
        thing("TeddyBear", 1, shelf, 5),
        *extra,
    )
    kinds = {receptacle.type for receptacle in receptacles}
    return Scene(
        name="trial_test",
        receptacles=receptacles,
        things=things,
        locations=tuple(locate(number) for number in range(8)),
        start=locate(start),
        can_contain=frozenset((kind, accepted) for kind in kinds for accepted in _ACCEPTED),
        goal=goal or Goal("pick_and_place_simple", "Apple", "Fridge"),
        task_text="put some apple on fridge.",
        dialect=dialect,
    )


def strange_kitchen(goal: Goal, start: int = 0, dialect: str = "0.4") -> Scene:
    """A kitchen with all unusual properties of the official games, and some more that a game file can have.

    Things in two receptacles, at two locations or at none, in no receptacle, inside themselves; things that are clean,
    hot, cool or sliced at the start; ids without a type, without ``_bar_``, or with no fact except being inside
    another thing; a receptacle that is open and has no door.
    """
    counter, shelf = "CounterTop_bar__plus_01", "Shelf_bar__plus_01"
    cabinet, other = "Cabinet_bar__plus_01", "Cabinet_bar__plus_02"
    food = {"heatable": True, "coolable": True, "cleanable": True, "sliceable": True}
    outer = ("Box_bar__plus_01", "Mug_bar__plus_02", "Bowl_bar__plus_01")
    scene = kitchen(
        thing("Mug", 2, (cabinet, shelf), 5, heatable=True),
        thing("Mug", 3, (counter, shelf), 1, coolable=True),
        thing("Mug", 5),
        thing("Apple", 2, ("Fridge_bar__plus_01", counter), 1, also_at=(locate(5),), **food),
        thing("Apple", 3, other, 5, sliced=True, clean=True, hot=True, **food),
        thing("Apple", 4, shelf, 5, cool=True, **food),
        thing("Apple", 5, (), 5, **food),
        thing("Lettuce", 3, counter, 1, cool=True, coolable=True),
        thing("DeskLamp", 2, cabinet, 5, toggleable=True, pickupable=False),
        thing("DeskLamp", 3, counter, 1, toggleable=True, toggled=True),
        thing("Knife", 2, shelf),
        thing("ButterKnife", 1, shelf, 5, sliceable=True),
        Thing("plainmug", "Mug", locate(1), (counter,), pickupable=True),
        Thing("EggCracked_bar__plus_07", "", locate(1), (counter,)),
        Thing("EggShell_bar__plus_07", "", None, (), ("Mug_bar__plus_02",)),
        Thing("Box_bar__plus_01", "Box", locate(1), (counter,), outer, is_receptacle=True, pickupable=True),
        goal=goal,
        dialect=dialect,
        more=(Receptacle("bench", "Shelf", locate(1), openable=False, opened=True),),
        start=start,
    )
    more = {("Shelf", "Box"), ("CounterTop", "Box"), ("Shelf", "ButterKnife"), ("CounterTop", "ButterKnife")}
    return scene._replace(can_contain=scene.can_contain | more)
