"""The contents of the four kinds of room, measured in official games: how many objects, how often, and where.

The numbers are totals over 740 official games (105 floor plans), not the contents of a single room. ``houses`` draws
new rooms from them. The tables use two notations:

* furniture: ``Drawer: 0 1*2 3*6``: one floor plan has no drawer, two have one, six have three;
* contents: ``Mug 39/37/22: CounterTop 23 Cabinet 20``: 39 of 100 games have one mug, 37 have two, 22 have three, the
  rest none; 23 of 100 mugs are on a countertop, 20 in a cabinet. Two kinds of receptacles are left out: those with less
  than 3 of 100 objects, and those that do not accept the object by the rules (official rooms have mugs on TV stands).
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["KIND_WEIGHTS", "ROOMS", "ROOM_KINDS", "Contents", "Room"]

#: The order is that of the official floor plan numbers: 1-30, 201-230, 301-330, 401-430.
ROOM_KINDS = ("kitchen", "living room", "bedroom", "bathroom")

#: Task type -> the number of its tasks in each room kind (in the order of ROOM_KINDS), in 740 official games.
KIND_WEIGHTS: dict[str, tuple[int, int, int, int]] = {
    "pick_and_place_simple": (17, 36, 33, 49),
    "look_at_obj_in_light": (0, 17, 96, 0),
    "pick_clean_then_place_in_recep": (95, 0, 0, 32),
    "pick_heat_then_place_in_recep": (116, 0, 0, 0),
    "pick_cool_then_place_in_recep": (125, 0, 0, 0),
    "pick_two_obj_and_place": (18, 38, 34, 34),
}


class Contents(NamedTuple):
    """How many things of one type a room has, and where they are; both as weights out of 100."""

    amounts: tuple[int, ...]  # weight of 0, 1, 2, ... things
    places: tuple[tuple[str, int], ...]  # (receptacle type, weight)


class Room(NamedTuple):
    """One kind of room. ``share``: how often a receptacle shares the spot of the previous one of its type."""

    furniture: dict[str, tuple[tuple[int, int], ...]]  # receptacle type -> ((count, weight), ...)
    contents: dict[str, Contents]
    share: float


def _room(furniture: str, contents: str, share: float) -> Room:
    counts: dict[str, tuple[tuple[int, int], ...]] = {}
    for line in furniture.strip().splitlines():
        kind, _, rest = line.partition(":")
        pairs = (item.partition("*") for item in rest.split())
        counts[kind] = tuple((int(count), int(weight or 1)) for count, _, weight in pairs)
    things: dict[str, Contents] = {}
    for line in contents.strip().splitlines():
        head, _, rest = line.partition(":")
        name, amounts = head.split()
        weights = [int(part) for part in amounts.split("/")]
        words = rest.split()
        places = tuple(zip(words[::2], map(int, words[1::2]), strict=True))
        things[name] = Contents((max(0, 100 - sum(weights)), *weights), places)
    return Room(counts, things, share)


ROOMS: dict[str, Room] = {
    "kitchen": _room(
        """
Cabinet: 2 4*2 8 9*2 10*3 11*2 12 13*4 15 16 18 19 20*3 21 23 26 27
CoffeeMachine: 1*27
CounterTop: 1*5 2*11 3*8 4*3
DiningTable: 0*12 1*11 2*3 3
Drawer: 0 1*2 2 3*6 4*4 5*3 6*3 7 8 9 12*2 13 27
Fridge: 1*27
GarbageCan: 1*27
Microwave: 1*27
Safe: 0*26 1
Shelf: 0*23 3*4
SideTable: 0*24 1*3
SinkBasin: 1*27
StoveBurner: 4*26 6
Toaster: 1*27
        """,
        """
Apple 37/33/29: CounterTop 23 Fridge 23 DiningTable 14 Microwave 13 SinkBasin 12 GarbageCan 12
Book 7/3/1: CounterTop 60 Cabinet 15 Drawer 12 DiningTable 12
Bowl 35/32/33/1: Cabinet 36 CounterTop 22 Fridge 21 DiningTable 14 SinkBasin 3 Microwave 3
Bread 53/33/13: CounterTop 55 DiningTable 31 Fridge 13
ButterKnife 35/35/24/1: CounterTop 60 DiningTable 24 Drawer 9 SinkBasin 6
CellPhone 4/4/4: Drawer 46 CounterTop 40 DiningTable 14
CreditCard 4/2/4: CounterTop 49 Drawer 37 Shelf 14
Cup 39/30/28/3: Cabinet 24 CounterTop 22 Fridge 18 DiningTable 13 SinkBasin 11 Microwave 8
DishSponge 37/32/30: CounterTop 27 Cabinet 24 Drawer 19 DiningTable 14 SinkBasin 8 GarbageCan 6
Egg 34/35/30/1: CounterTop 26 Fridge 23 DiningTable 14 SinkBasin 12 GarbageCan 12 Microwave 12
Fork 37/33/28: CounterTop 49 DiningTable 21 Drawer 19 SinkBasin 9
Glassbottle 7/8/8/1: Cabinet 27 CounterTop 27 DiningTable 13 SinkBasin 12 Fridge 7 Shelf 3
HousePlant 34/5: CounterTop 80 DiningTable 20
Kettle 21/19/11: StoveBurner 41 CounterTop 26 Cabinet 25 DiningTable 6
Knife 33/37/27: CounterTop 50 DiningTable 24 Drawer 21 SinkBasin 4
Ladle 13/15/8: CounterTop 42 Cabinet 23 Drawer 20 DiningTable 13
Lettuce 43/32/23: CounterTop 40 DiningTable 27 Fridge 24 SinkBasin 7
Mug 39/37/22/1: CounterTop 31 Cabinet 21 Fridge 15 DiningTable 12 Microwave 9 SinkBasin 7
Pan 70/27/3: StoveBurner 53 CounterTop 30 Cabinet 9 DiningTable 6
PaperTowelRoll 37: CounterTop 57 DiningTable 20 GarbageCan 12 Shelf 8
Pen 3/1/2: CounterTop 42 DiningTable 30 Drawer 20 GarbageCan 8
Pencil 2/4/1: Drawer 50 CounterTop 30 DiningTable 16 GarbageCan 5
PepperShaker 30/34/36: CounterTop 32 Cabinet 31 DiningTable 16 Drawer 15 Shelf 4
Plate 41/35/20/2: Cabinet 40 CounterTop 29 DiningTable 15 Fridge 11 SinkBasin 3
Pot 55/34/11: StoveBurner 68 CounterTop 16 Fridge 6 DiningTable 5 Cabinet 4
Potato 37/32/28/1: CounterTop 31 Fridge 25 DiningTable 15 SinkBasin 11 Microwave 11 GarbageCan 7
SaltShaker 36/34/29/1: CounterTop 33 Cabinet 31 Drawer 16 DiningTable 16
SoapBottle 37/36/26: CounterTop 36 Cabinet 28 DiningTable 19 GarbageCan 11 Shelf 3
Spatula 37/37/26: CounterTop 45 DiningTable 23 Drawer 20 SinkBasin 11
Spoon 32/36/32: CounterTop 37 Drawer 30 DiningTable 20 SinkBasin 11
SprayBottle 3/2/2: CounterTop 28 Cabinet 28 DiningTable 24 GarbageCan 20
Statue 6/8/2: CounterTop 55 Shelf 40 DiningTable 6
Tomato 35/33/29/2: CounterTop 34 Fridge 32 DiningTable 17 GarbageCan 8 SinkBasin 8
Vase 0/8/8: CounterTop 36 Cabinet 32 Shelf 30
Window 0/5: CounterTop 100
WineBottle 13/13/13/1: CounterTop 39 DiningTable 23 Cabinet 20 GarbageCan 12 Shelf 3
        """,
        0.19,
    ),
    "living room": _room(
        """
ArmChair: 0*2 1*14 2*8
Cabinet: 0*21 1 4 8
CoffeeTable: 0*4 1*16 2*4
Desk: 0*23 1
DiningTable: 0*12 1*10 2*2
Drawer: 0*4 1*5 2 4*6 6*2 7*3 8 12 21
Dresser: 0*15 1*8 2
GarbageCan: 1*24
Ottoman: 0*20 1*4
Safe: 0*23 1
Shelf: 0*14 1 2 3 4 5 6 8*2 13 14
SideTable: 0*5 1*7 2*6 3*5 5
Sofa: 1*18 2*6
TVStand: 0*14 1*8 2*2
        """,
        """
Book 14/5/2: Dresser 31 CoffeeTable 21 SideTable 14 DiningTable 14 Sofa 10 Drawer 7 ArmChair 3
Bowl 2/1/3/1: DiningTable 65 CoffeeTable 12 SideTable 6 Shelf 6
Box 60/23/4: DiningTable 31 Sofa 21 CoffeeTable 18 SideTable 8 Dresser 8 Cabinet 6
Candle 3/1/3: CoffeeTable 36 SideTable 36 DiningTable 14 Dresser 7
CellPhone 10/5/7: Dresser 22 Drawer 19 SideTable 14 CoffeeTable 14 ArmChair 11 Sofa 8 Ottoman 8 DiningTable 3
CreditCard 29/33/34/4: ArmChair 17 Sofa 16 SideTable 14 Drawer 12 DiningTable 10 Dresser 8 CoffeeTable 8 Shelf 7
DeskLamp 37: SideTable 97 CoffeeTable 3
HousePlant 64: SideTable 64 CoffeeTable 16 Dresser 14 DiningTable 5
KeyChain 38/31/20/1: SideTable 22 Drawer 18 CoffeeTable 14 Sofa 14 DiningTable 9 Dresser 5 ArmChair 5 Shelf 3
Laptop 60/21/19: Sofa 33 DiningTable 23 CoffeeTable 19 ArmChair 8 SideTable 7 Dresser 7
Newspaper 21/22/15/2: SideTable 24 Sofa 17 DiningTable 14 CoffeeTable 12 Shelf 9 Dresser 8 ArmChair 7 Drawer 3
Pen 3/2/5: CoffeeTable 36 SideTable 32 Dresser 9 Shelf 5 Drawer 5 DiningTable 5
Pencil 4/3/5: CoffeeTable 48 SideTable 36 GarbageCan 4 Shelf 4 Drawer 4
Pillow 89/10/1: Sofa 76 ArmChair 24
Plate 12/5/7: DiningTable 51 CoffeeTable 15 Shelf 15 SideTable 13
RemoteControl 26/34/26/8: Sofa 22 SideTable 16 CoffeeTable 14 DiningTable 12 Dresser 11 Drawer 6 ArmChair 5 Shelf 4
Statue 26/32/34/4: SideTable 30 DiningTable 22 Shelf 18 CoffeeTable 16 Dresser 7
Television 71: Dresser 49 TVStand 45 CoffeeTable 5
TissueBox 10/14/13/1: CoffeeTable 35 SideTable 21 Shelf 17 Drawer 8 DiningTable 8 Dresser 5 TVStand 4
Vase 8/9/22/7: Shelf 42 SideTable 18 DiningTable 15 CoffeeTable 13 Dresser 3
Watch 15/16/11: Drawer 30 CoffeeTable 22 SideTable 19 DiningTable 15 Shelf 7
WateringCan 7: Shelf 50 CoffeeTable 50
        """,
        0.12,
    ),
    "bedroom": _room(
        """
ArmChair: 0*21 1*4 2 3
Bed: 1*23 2*4
Cabinet: 0*23 1 2 4*2
CounterTop: 0*26 1
Desk: 0*9 1*16 2*2
DiningTable: 0*23 1*4
Drawer: 0 2*7 3*3 4*2 5*4 6*2 8 10*2 11*2 13 16 17
Dresser: 0*14 1*11 2*2
GarbageCan: 1*27
LaundryHamper: 0*20 1*7
Safe: 0*23 1*4
Shelf: 0*9 1*6 2*3 5*3 6 7 8 9 12 14
SideTable: 0*9 1*12 2*6
        """,
        """
AlarmClock 51/28/18/2: Desk 37 Shelf 23 SideTable 19 Dresser 16 DiningTable 4
Book 44/33/19/5: Bed 51 Desk 19 Drawer 12 Dresser 5 SideTable 5
Bowl 33/12/2: Desk 55 Shelf 23 Dresser 11 DiningTable 5 SideTable 4 CounterTop 3
Box 4: Desk 86 Shelf 14
CD 32/28/31/1: Drawer 32 Desk 17 Dresser 16 SideTable 11 Shelf 9 GarbageCan 8 DiningTable 4
CellPhone 28/37/33/2: Bed 28 Desk 21 Drawer 16 Dresser 10 SideTable 9 Shelf 8 DiningTable 3
CreditCard 29/34/36/1: Drawer 31 Shelf 20 Desk 18 SideTable 13 Dresser 13 ArmChair 3
DeskLamp 72/6: Desk 33 Dresser 29 SideTable 25 Shelf 12
HousePlant 20: Shelf 45 Desk 24 Cabinet 18 Dresser 12
KeyChain 28/35/34/2: Drawer 28 Desk 18 Shelf 18 Dresser 16 SideTable 13
Laptop 52/39/10: Bed 74 Desk 18 Dresser 3
Mirror 6: CounterTop 56 Dresser 44
Mug 21/20/10: Desk 38 Dresser 18 Shelf 18 SideTable 12 DiningTable 9 Cabinet 3 CounterTop 3
Pen 30/33/36/2: Desk 29 Drawer 19 Shelf 15 Dresser 13 SideTable 13 DiningTable 7
Pencil 32/34/32/2: Desk 23 Drawer 19 Dresser 16 Shelf 15 SideTable 15 GarbageCan 6 DiningTable 5
Pillow 42/51/7: Bed 100
RemoteControl 6/3/3: Drawer 41 SideTable 18 Desk 18 DiningTable 9 Dresser 6 CounterTop 6 ArmChair 3
Statue 12/3/2: Shelf 42 Desk 29 Dresser 21 SideTable 8
TeddyBear 24: Bed 100
Television 3: Dresser 100
TissueBox 5/3/2/1: Desk 35 Drawer 26 DiningTable 18 Shelf 9 Dresser 6 SideTable 6
Vase 1/2/2/1: Shelf 52 Dresser 22 Desk 19 SideTable 7
Watch 2/1/1: Shelf 36 Desk 29 Dresser 21 Drawer 14
Window 4/6: Shelf 72 Dresser 28
        """,
        0.13,
    ),
    "bathroom": _room(
        """
BathtubBasin: 0*8 1*19
Cabinet: 0*14 2 3 4*8 5*2 9
Cart: 0*25 1*2
CounterTop: 0*4 1*19 2*4
Drawer: 0*12 1*2 2*3 4*4 6*2 8*4
Dresser: 0*25 1*2
GarbageCan: 1*27
HandTowelHolder: 1*16 2*10 4
Shelf: 0*20 1*3 2*2 3 4
SideTable: 0*25 1*2
SinkBasin: 1*14 2*13
Toilet: 1*27
ToiletPaperHanger: 1*27
TowelHolder: 1*19 2*8
        """,
        """
Candle 33/39/25/1: Toilet 32 CounterTop 28 Cabinet 16 Drawer 12 Shelf 7
Cloth 33/33/32/2: BathtubBasin 31 Cabinet 20 CounterTop 13 Drawer 13 Shelf 8 SinkBasin 7 Toilet 3 Cart 3
DishSponge 6/7/6/2: BathtubBasin 27 CounterTop 15 Cart 12 Cabinet 10 Shelf 10 Toilet 8 SinkBasin 8 Drawer 6 GarbageCan 6
HandTowel 77/23: HandTowelHolder 98
HousePlant 4: SideTable 100
Mirror 10: CounterTop 100
PaperTowelRoll 12: CounterTop 36 Toilet 29 GarbageCan 14 Shelf 14 Cart 7
SoapBar 37/21/30/8: SinkBasin 19 CounterTop 17 BathtubBasin 16 Toilet 13 Cabinet 10 Drawer 8 GarbageCan 7 Shelf 6 Cart 3
SoapBottle 37/35/21/1: CounterTop 26 Cabinet 25 Toilet 19 Shelf 12 GarbageCan 10 Drawer 3 Cart 3
SprayBottle 31/34/30/4: CounterTop 25 Toilet 24 Cabinet 17 Shelf 11 GarbageCan 10 Cart 6 SideTable 3 Dresser 3
TissueBox 12/4/8/1: Shelf 45 CounterTop 24 Drawer 15 SideTable 5 Cabinet 5 Cart 4
ToiletPaper 23/52/24/1: Toilet 26 CounterTop 18 ToiletPaperHanger 14 GarbageCan 12 Cabinet 12 Drawer 8 Shelf 8
Towel 85/15: TowelHolder 99
        """,
        0.24,
    ),
}
