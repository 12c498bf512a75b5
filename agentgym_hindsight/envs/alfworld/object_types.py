"""The properties of every type of object and receptacle: ALFWorld's rules, independent of a single house.

In ALFWorld the type of a thing determines what can be done with it (``Mug`` can be heated in every house,
``Lettuce`` in none) and which receptacles accept it. The official game files repeat these facts in every game.
``tests/envs/alfworld/test_houses.py`` compares these tables with the official games.

Some sets are written as unions and differences to show the rule ("a surface accepts everything small").
"""

from __future__ import annotations

from collections.abc import Iterable

from agentgym_hindsight.envs.alfworld.scene import Goal

__all__ = [
    "CLEANABLE",
    "COOLABLE",
    "CUTLERY",
    "FIXTURES",
    "HEATABLE",
    "HOLDS",
    "OPENABLE_SHARE",
    "PICKUPABLE",
    "RECEPTACLE_OBJECTS",
    "SLICEABLE",
    "SLICERS",
    "STATIONS",
    "TASK_SENTENCES",
    "TOGGLEABLE",
    "TRAPS",
    "can_contain",
    "holders",
    "task_sentence",
]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FOOD = _names("Apple Bread Egg Lettuce Potato Tomato")
_FRUIT = _FOOD - _names("Bread Lettuce")  # everything that can be done with food can be done with these
_DISHES = _names("Bowl Cup Mug Pan Plate Pot")
_TABLEWARE = _names("Bowl Cup Mug Plate")
CUTLERY = _names("ButterKnife Fork Knife Ladle Spatula Spoon")
_SHAKERS = _names("PepperShaker SaltShaker")
_BOTTLES = _names("Glassbottle WineBottle")
_WRITING = _names("Pen Pencil")
_POCKET = _names("CellPhone CreditCard KeyChain")
_LOUNGING = _POCKET | _names("BasketBall Book Box Cloth Laptop Newspaper Pillow RemoteControl")
_WASHING = _names("Cloth DishSponge HandTowel SoapBar")
_TOILETRIES = _names("Candle DishSponge HandTowel SoapBar SoapBottle SprayBottle TissueBox ToiletPaper Cloth")
_SPORT = _names("BaseballBat BasketBall TennisRacket")

#: Things that can be taken although no receptacle accepts them. An agent that takes one can never put it down.
TRAPS = _names("Boots Footstool PaperTowelRoll ScrubBrush TeddyBear")

_SHELVED = (  # small objects in living rooms, on shelves and in cupboards
    _POCKET
    | _WRITING
    | _names("AlarmClock Book Bowl Box CD Mug Newspaper Plate RemoteControl Statue TissueBox Vase Watch WateringCan")
)
_SURFACE = (  # a surface accepts everything small
    _FOOD | _DISHES | CUTLERY | _SHAKERS | _BOTTLES | _SHELVED | _TOILETRIES | _SPORT | _names("Kettle Laptop")
)

PICKUPABLE = _SURFACE | TRAPS | _names("Pillow Plunger Towel")
CLEANABLE = (_FOOD - {"Bread"}) | _DISHES | CUTLERY | _names("Cloth DishSponge Kettle SoapBar")
HEATABLE = _FRUIT | (_TABLEWARE - {"Bowl"}) | {"Bread"}
COOLABLE = _FOOD | _DISHES | {"WineBottle"}
SLICEABLE = _FOOD
TOGGLEABLE = _names("DeskLamp FloorLamp")
RECEPTACLE_OBJECTS = _DISHES | {"Box"}  # things that can have things inside them
SLICERS = _names("ButterKnife Knife")

#: Things on receptacles that cannot be taken.
FIXTURES = _names("DeskLamp HousePlant Mirror Television Window")

#: task type → (the receptacle type that changes the state of the object, the verb).
STATIONS = {
    "pick_clean_then_place_in_recep": ("SinkBasin", "clean"),
    "pick_heat_then_place_in_recep": ("Microwave", "heat"),
    "pick_cool_then_place_in_recep": ("Fridge", "cool"),
}

#: Receptacle types with doors → the percentage of them that can be opened in the official rooms.
OPENABLE_SHARE = {"Cabinet": 84, "Drawer": 85, "Fridge": 100, "Microwave": 100, "Safe": 84}

_SEAT = _LOUNGING
_MICROWAVE = _FRUIT | _TABLEWARE | _names("Bread Glassbottle")
_DESK = _SHELVED | _BOTTLES | _names("BasketBall Candle Cloth Cup Laptop TennisRacket SprayBottle ToiletPaper")

#: receptacle type → the object types it accepts.
HOLDS: dict[str, frozenset[str]] = {
    "ArmChair": _SEAT,
    "BathtubBasin": _WASHING,
    "Bed": _SPORT | _names("Book CellPhone Laptop Newspaper Pillow"),
    "Cabinet": _DISHES
    | _SHAKERS
    | _BOTTLES
    | _TOILETRIES
    | _names("Book Box CD Kettle Ladle Newspaper Plunger Vase WateringCan"),
    "Cart": _TOILETRIES | _names("Mug Plunger Statue Vase"),
    "CoffeeMachine": _names("Mug"),
    "CoffeeTable": _SURFACE,
    "CounterTop": _SURFACE,
    "Desk": _DESK | {"SoapBottle"},
    "DiningTable": _SURFACE,
    "Drawer": CUTLERY
    | _SHAKERS
    | _TOILETRIES
    | _POCKET
    | _WRITING
    | _names("Book CD Newspaper RemoteControl Watch WateringCan"),
    "Dresser": _DESK,
    "Fridge": _FOOD | _DISHES | _BOTTLES,
    "GarbageCan": _FOOD | _WRITING | (_TOILETRIES - {"Candle"}) | _names("CD Newspaper WineBottle"),
    "HandTowelHolder": _names("HandTowel"),
    "LaundryHamper": _names("Cloth"),
    "Microwave": _MICROWAVE,
    "Ottoman": _SEAT,
    "Safe": _POCKET | _names("CD Statue Vase Watch"),
    "Shelf": (_SHELVED | _SHAKERS | _BOTTLES | _TOILETRIES | _names("Cup Kettle Pot")),
    "SideTable": _SURFACE,
    "SinkBasin": (_FOOD - {"Bread"}) | _DISHES | CUTLERY | _WASHING | _names("Glassbottle Kettle"),
    "Sofa": _SEAT,
    "StoveBurner": _names("Kettle Pan Pot"),
    "TVStand": _names("TissueBox"),
    "Toaster": frozenset(),
    "Toilet": _TOILETRIES | {"Newspaper"},
    "ToiletPaperHanger": _names("ToiletPaper"),
    "TowelHolder": _names("Towel"),
}


def can_contain(receptacles: Iterable[str], objects: Iterable[str]) -> frozenset[tuple[str, str]]:
    """The pairs (receptacle type, accepted object type) among the given types."""
    present = frozenset(objects)
    return frozenset((r, o) for r in frozenset(receptacles) for o in HOLDS.get(r, frozenset()) & present)


def holders(thing: str) -> frozenset[str]:
    """The receptacle types that accept things of type ``thing``; empty for traps and fixtures."""
    return frozenset(r for r, accepted in HOLDS.items() if thing in accepted)


#: The two sentences of each task type; {object}, {receptacle} and {lamp} are lower-case types.
TASK_SENTENCES: dict[str, tuple[str, str]] = {
    "pick_and_place_simple": ("put a {object} in {receptacle}.", "put some {object} on {receptacle}."),
    "look_at_obj_in_light": ("look at {object} under the {lamp}.", "examine the {object} with the {lamp}."),
    "pick_clean_then_place_in_recep": (
        "put a clean {object} in {receptacle}.",
        "clean some {object} and put it in {receptacle}.",
    ),
    "pick_heat_then_place_in_recep": (
        "put a hot {object} in {receptacle}.",
        "heat some {object} and put it in {receptacle}.",
    ),
    "pick_cool_then_place_in_recep": (
        "put a cool {object} in {receptacle}.",
        "cool some {object} and put it in {receptacle}.",
    ),
    "pick_two_obj_and_place": ("put two {object} in {receptacle}.", "find two {object} and put them in {receptacle}."),
}


def task_sentence(goal: Goal, variant: int = 0) -> str:
    """The sentence of a goal: one of the two sentences of its task type."""
    sentence = TASK_SENTENCES[goal.task_type][variant]
    return sentence.format(object=goal.object.lower(), receptacle=goal.receptacle.lower(), lamp=goal.lamp.lower())
