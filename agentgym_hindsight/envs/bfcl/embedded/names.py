"""Names of people, things and weeks. Each belongs to one split: no two splits have a task about the same thing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from agentgym_hindsight.envs.bfcl.embedded.clock import day_after
from agentgym_hindsight.envs.draws import SeededDraws
from agentgym_hindsight.envs.invented import CITIES, FIRST_NAMES, GOODS, LAST_NAMES
from agentgym_hindsight.tasks import seeded_int

__all__ = ["SPLITS", "TOWNS", "WorldDraws", "names_of", "split_of"]

SPLITS = ("train", "valid", "test")

# fmt: off
TOWNS = (
    *(city for city, _ in CITIES),
    "Brackwater", "Eskholm", "Farrow", "Gullvik", "Hestad", "Larkmoor", "Osterby", "Tamsund",
)
_LOOKS = (
    "amber", "birch", "cobalt", "copper", "coral", "ebony", "fern", "granite", "harbour", "hazel",
    "indigo", "ivory", "jade", "lilac", "linen", "maple", "meadow", "mint", "northern", "ochre",
    "opal", "pearl", "plum", "river", "russet", "saffron", "silver", "slate", "sunset", "willow",
)
_PAPERS = (
    "budget", "costs", "draft", "guests", "journal", "ledger", "minutes", "outline", "plan", "recipe",
    "report", "route", "script", "songs", "survey", "tally",
)
_FOLDERS = ("archive", "box", "desk", "drawer", "files", "project", "shelf", "stack", "studio", "trip")
_EVENTS = (
    "Breakfast", "Briefing", "Checkup", "Concert", "Demo", "Dinner", "Interview", "Lesson", "Lunch", "Planning",
    "Rehearsal", "Review", "Training", "Visit", "Walk", "Workshop",
)
_DEVICES = ("blind", "fan", "heater", "lamp", "lantern", "printer", "radio", "screen", "socket", "speaker")
_ROOMS = ("attic", "bedroom", "cellar", "dining room", "guest room", "hall", "kitchen", "library", "office", "study")
_DOORS = ("door", "gate", "hatch", "shed", "shutter", "window")
_WORK = (
    "Clean", "Count", "Design", "Draw", "Measure", "Mend", "Order", "Paint", "Pack", "Photograph", "Plan", "Price",
    "Renew", "Sort", "Test", "Translate",
)
_OBJECTS = (
    "aquarium", "bicycle shed", "brochure", "catalogue", "ceiling", "costumes", "entrance", "exhibition", "ferry signs",
    "fountain", "greenhouse", "guest list", "map room", "menu", "model railway", "pavilion", "piano", "posters",
    "stage", "ticket machine",
)
_THINGS = (
    "box of tools", "camera", "cheque", "contract", "cup", "folding bed", "guitar", "invoice", "key", "ladder",
    "medicine", "parcel", "passport", "rope", "scarf", "spare tyre", "suitcase", "tent", "ticket", "umbrella",
)
_STATES = (
    "behind the sofa", "at the front desk", "in the blue bag", "on the way", "ready to be fetched", "still missing",
    "with the neighbours", "under the stairs", "in the second drawer", "at the repair shop", "not paid yet",
    "too heavy for me", "in the boat house", "already packed", "on the kitchen table", "in the other car",
)
_ANIMALS = ("Badger", "Crane", "Falcon", "Fox", "Heron", "Lynx", "Otter", "Raven", "Salmon", "Stag")
# fmt: on


class WorldDraws(SeededDraws):
    """Draws of this world."""

    __slots__ = ()
    edition = "agentgym-hindsight/apis-1"


def split_of(name: str) -> str:
    """The split that a name belongs to: of ten names, about six are in train.

    >>> split_of("amber_budget"), {split_of(town) for town in TOWNS} <= set(SPLITS)
    ('train', True)
    """
    place = seeded_int("apis split", name) % 10
    return "train" if place < 6 else "valid" if place < 8 else "test"


def _goods() -> list[str]:
    names = []
    for name, _, options in GOODS:
        values = list(options.values())
        names += [f"{name} {first} {second}" for first in values[0] for second in values[1]]
    return names


_ALL: Mapping[str, Callable[[], list[str]]] = {
    "person": lambda: [f"{first} {last}" for first in FIRST_NAMES for last in LAST_NAMES],
    "paper": lambda: [f"{look}_{paper}" for look in _LOOKS for paper in _PAPERS],
    "folder": lambda: [f"{look}_{folder}" for look in _LOOKS for folder in _FOLDERS],
    "event": lambda: [f"{look.capitalize()} {event}" for look in _LOOKS for event in _EVENTS],
    "device": lambda: [f"{look} {device}" for look in _LOOKS for device in _DEVICES],
    "room": lambda: [f"{look} {room}" for look in _LOOKS for room in _ROOMS],
    "door": lambda: [f"{look} {door}" for look in _LOOKS for door in _DOORS],
    "card": lambda: [f"{work} the {thing}" for work in _WORK for thing in _OBJECTS],
    "sentence": lambda: [f"The {thing} is {state}." for thing in _THINGS for state in _STATES],
    "route": lambda: [f"{origin}|{town}" for origin in TOWNS for town in TOWNS if origin != town],
    "inn": lambda: [f"The {look.capitalize()} {animal}" for look in _LOOKS for animal in _ANIMALS],
    "goods": _goods,
    "week": lambda: [day_after(7 * number) for number in range(150)],
}


@lru_cache(maxsize=64)
def names_of(kind: str, split: str) -> Sequence[str]:
    """The names of a kind that belong to a split.

    >>> len(names_of("person", "test")) > 100
    True
    """
    return tuple(name for name in _ALL[kind]() if split_of(name) == split)
