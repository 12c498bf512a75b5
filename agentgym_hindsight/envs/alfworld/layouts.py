"""Generate rooms from a seed: the receptacles and their locations, without objects.

A :class:`Layout` corresponds to a floor plan of the official data: many games can use the same room. Official floor
plans are fixed by the simulator; ours are drawn from the measured counts in ``rooms``.

In the official rooms two receptacles often share one location (78 of 100 games have such a pair): both can be used
from there, and ``go to`` between them does nothing. Our layouts have this property too, because it makes tasks harder
for agents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

from agentgym_hindsight.envs.alfworld.object_types import OPENABLE_SHARE
from agentgym_hindsight.envs.alfworld.rooms import ROOM_KINDS, ROOMS
from agentgym_hindsight.envs.alfworld.scene import Receptacle
from agentgym_hindsight.envs.draws import SeededDraws

__all__ = [
    "DIFFICULTIES",
    "LAMP_PLACES",
    "POOLS",
    "Difficulty",
    "Draws",
    "Layout",
    "coordinates",
    "make_layout",
]

T = TypeVar("T")

#: Layouts per room kind in each pool. The train pool has 108 rooms, as the official benchmark has 108 floor plans.
POOLS = {"train": 27, "unseen": 6}

#: Receptacles that no difficulty removes. A room has one of them, or a fixed set.
_FIXED_FURNITURE = frozenset({"Fridge", "Microwave", "SinkBasin", "GarbageCan", "StoveBurner", "Bed", "Sofa", "Toilet"})
#: The receptacles that clean, heat and cool.
_STATIONS = frozenset({"Fridge", "Microwave", "SinkBasin"})
#: Receptacles for lamps, plants and television sets.
LAMP_PLACES = ("Desk", "Dresser", "SideTable", "Shelf", "CoffeeTable", "CounterTop", "DiningTable")
_UNIT = 0.25  # metres per unit of the location grid


@dataclass(frozen=True)
class Difficulty:
    """How many receptacles and objects a house has.

    All fields except ``name`` and ``furniture`` are factors on the averages of official rooms.
    ``furniture`` is the number of receptacles, all of different types, in addition to those that clean, heat and cool;
    0 means no limit.
    """

    name: str
    receptacles: float = 1.0
    objects: float = 1.0
    distractors: float = 1.0  # additional objects of the target's type
    traps: float = 1.0  # objects that can be taken and never put down
    # Not in the repr, because the repr is part of the seed and older houses must not change.
    furniture: int = field(default=0, repr=False)


DIFFICULTIES = {
    "bare": Difficulty("bare", receptacles=0.1, objects=0.05, distractors=0.0, traps=0.0, furniture=4),
    "easy": Difficulty("easy", receptacles=0.5, objects=0.4, distractors=0.5, traps=0.0),
    "standard": Difficulty("standard"),
    "hard": Difficulty("hard", receptacles=1.4, objects=1.4, distractors=1.5, traps=2.0),
}


@dataclass(frozen=True)
class Layout:
    """One room: its receptacles, their locations, and the start of the agent."""

    kind: str
    number: int
    receptacles: tuple[Receptacle, ...]
    locations: tuple[str, ...]
    start: str


class Draws(SeededDraws):
    """The random draws of the generated houses."""

    __slots__ = ()
    edition = "agentgym-hindsight/alfworld/1"


def coordinates(*metres: float) -> str:
    """Metres in the spelling of the ids in game files: ``_bar__plus_01_dot_50_bar__minus_00_dot_25``."""
    parts = []
    for value in metres:
        hundredths = round(value * 100)
        sign = "minus" if hundredths < 0 else "plus"
        parts.append(f"_bar__{sign}_{abs(hundredths) // 100:02d}_dot_{abs(hundredths) % 100:02d}")
    return "".join(parts)


def _location(x: int, z: int, turn: int, tilt: int) -> str:
    return "loc" + "".join(f"_bar_{n}" if n >= 0 else f"_bar__minus_{-n}" for n in (x, z, turn, tilt))


def _furniture(kind: str, rng: Draws, difficulty: Difficulty) -> tuple[tuple[str, int], ...]:
    counts = []
    for name, choices in ROOMS[kind].furniture.items():
        count = rng.weighted(choices)
        if count and name not in _FIXED_FURNITURE:
            count = max(1 if count == 1 else 0, rng.round(count * difficulty.receptacles))
        if count:
            counts.append((name, count))
    if difficulty.furniture:
        others = sorted(name for name, _ in counts if name not in _STATIONS)
        selected = {*rng.sample(others, difficulty.furniture)} | _STATIONS
        counts = [(name, 1) for name, _ in counts if name in selected]
    if not any(name in LAMP_PLACES for name, _ in counts):
        counts.append(("SideTable", 1))  # every room needs a place for a lamp
    return tuple(counts)


@lru_cache(maxsize=8)
def _pools(difficulty: Difficulty) -> dict[tuple[str, str], tuple[tuple[tuple[str, int], ...], ...]]:
    """(pool, kind) → the furniture of its rooms. The pools are two parts of one stream without duplicates."""
    pools = {}
    for kind in ROOM_KINDS:
        rng = Draws("furniture", kind, difficulty.receptacles)
        distinct: dict[frozenset[tuple[str, int]], tuple[tuple[str, int], ...]] = {}  # independent of the order
        while len(distinct) < sum(POOLS.values()):
            furniture = _furniture(kind, rng, difficulty)
            distinct.setdefault(frozenset(furniture), furniture)
        rooms, first = tuple(distinct.values()), 0
        for pool, size in POOLS.items():
            pools[pool, kind] = rooms[first : first + size]
            first += size
    return pools


@lru_cache(maxsize=1024)
def make_layout(pool: str, kind: str, number: int, difficulty: Difficulty) -> Layout:
    """Room ``number`` of a pool."""
    rng = Draws("layout", pool, kind, number, difficulty.receptacles)
    spots: dict[tuple[int, int], str] = {}

    def free_spot() -> tuple[int, int]:
        while True:
            spot = rng.below(29) - 14, rng.below(29) - 14
            if spot not in spots:
                return spot

    receptacles: list[Receptacle] = []
    ids: set[str] = set()
    for name, count in _pools(difficulty)[pool, kind][number]:
        last: tuple[int, int] | None = None  # usually at most two receptacles of a type share a spot
        for _ in range(count):
            if last is not None and rng.chance(ROOMS[kind].share):
                spot, last = last, None
            elif name in ("CoffeeMachine", "Toaster") and "CounterTop" in {r.type for r in receptacles}:
                spot = _spot_of(rng, receptacles, spots, "CounterTop") if rng.chance(0.25) else free_spot()
            else:
                spot = last = free_spot()
            if spot not in spots:
                spots[spot] = _location(*spot, rng.below(4), rng.pick((60, 60, 45, 30)))
            identity = ""
            while not identity or identity in ids:
                position = (
                    spot[0] * _UNIT + rng.random() - 0.5,
                    rng.random() * 1.9,
                    spot[1] * _UNIT + rng.random() - 0.5,
                )
                identity = _identity(name, coordinates(*position))
            ids.add(identity)
            openable = 100 * rng.random() < OPENABLE_SHARE.get(name, 0)
            receptacles.append(Receptacle(identity, name, spots[spot], openable))
    receptacles.sort()
    start = _location(*free_spot(), rng.below(4), 30)
    return Layout(kind, number, tuple(receptacles), (*dict.fromkeys(sorted(spots.values())), start), start)


def _spot_of(
    rng: Draws, receptacles: Sequence[Receptacle], spots: dict[tuple[int, int], str], name: str
) -> tuple[int, int]:
    location = rng.pick([r.location for r in receptacles if r.type == name])
    return next(spot for spot, known in spots.items() if known == location)


def _identity(name: str, position: str) -> str:
    """The id of a receptacle. A basin has the name of its sink or bathtub: ``Sink_bar_…_bar_SinkBasin``."""
    return f"{name[:-5]}{position}_bar_{name}" if name.endswith("Basin") else name + position
