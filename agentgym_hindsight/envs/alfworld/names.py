"""The names that players see: ``Mug_bar__plus_01_dot_84`` is ``mug 1``.

The numbering is exactly that of the genuine engine:

* Every id in a fact of the game counts, even if it is in no place and has no type.
* Within a prefix the numbers *decrease* in the order of the ids. A list sorted by id reads "drawer 3, drawer 2,
  drawer 1".
* If an id contains "basin", its prefix gets "basin" appended.
* An id without ``_bar_`` has no number, but its name ends with the space that would precede the number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from agentgym_hindsight.envs.alfworld.scene import Scene, Thing

__all__ = ["phrase", "shown_names"]

_BAR = "_bar_"


def phrase(names: Iterable[str]) -> str:
    """A list in the genuine engine's words: ``nothing``, ``a cup 1``, ``a cup 2, and a cup 1``. The article is "a"."""
    items = ["a " + name for name in names]
    if not items:
        return "nothing"
    if len(items) == 1:
        return items[0]
    return ", ".join(items[:-1]) + ", and " + items[-1]


def shown_names(scene: Scene) -> dict[str, str]:
    """The shown name of every id that occurs in a fact of the scene."""
    ids = sorted((original.lower(), original) for original in _mentioned(scene))
    next_number = Counter(_prefix(low) for low, _ in ids if _BAR in low)
    names = {}
    for low, original in ids:
        prefix = _prefix(low)
        if _BAR in low:
            names[original] = f"{prefix} {next_number[prefix]}"
            next_number[prefix] -= 1
        else:
            names[original] = prefix + " "
    return names


def _prefix(low: str) -> str:
    if _BAR not in low:
        for escaped, character in (("_minus_", "-"), ("_plus_", "+"), ("_dot_", "."), ("_comma_", ",")):
            low = low.replace(escaped, character)
        return low
    prefix = low.split(_BAR, 1)[0]
    return prefix + "basin" if "basin" in low else prefix


def _mentioned(scene: Scene) -> set[str]:
    ids = {scene.start}
    for place in scene.receptacles:
        ids.update((place.id, place.location))
    for thing in scene.things:
        if thing != Thing(thing.id, ""):
            ids.update((thing.id, *thing.inside, *thing.within, *thing.also_at))
            if thing.location is not None:
                ids.add(thing.location)
    return ids
