"""A house and its task as plain data: the content of a game file, and the result of the generator.

All modules in this folder use this data: ``gamefile`` reads a :class:`Scene`, ``gamewriter`` writes one, ``houses``
generates one, and ``native`` plays one. Ids are those of the file (``Mug_bar__plus_01_dot_84``). The engine derives
the names that a player sees (``mug 1``) from them.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["TASK_TYPES", "Goal", "Receptacle", "Scene", "Thing"]

#: The six task types, in the order of all tables of this library.
TASK_TYPES: tuple[str, ...] = (
    "pick_and_place_simple",
    "look_at_obj_in_light",
    "pick_clean_then_place_in_recep",
    "pick_heat_then_place_in_recep",
    "pick_cool_then_place_in_recep",
    "pick_two_obj_and_place",
)


class Receptacle(NamedTuple):
    """A receptacle: a cabinet, a table, a fridge."""

    id: str
    type: str  # "Cabinet", without the PDDL suffix "Type"
    location: str
    openable: bool = False
    opened: bool = False


class Thing(NamedTuple):
    """An object of the house. The boolean fields are predicates of the game file."""

    id: str
    type: str  # "Mug"; "" if the file declares no type (such an id still counts in the numbering of names)
    location: str | None = None
    inside: tuple[str, ...] = ()  # receptacle ids; some things of the official data have more than one
    within: tuple[str, ...] = ()  # ids of the things that contain it (an egg in a pan)
    pickupable: bool = False
    cleanable: bool = False
    heatable: bool = False
    coolable: bool = False
    toggleable: bool = False
    sliceable: bool = False
    is_receptacle: bool = False
    clean: bool = False
    hot: bool = False
    cool: bool = False
    toggled: bool = False
    sliced: bool = False
    also_at: tuple[str, ...] = ()  # additional locations; legal in a game file, but no official file has them


class Goal(NamedTuple):
    """The goal of a task. ``receptacle`` is "" for look_at tasks, ``lamp`` is "" for all others."""

    task_type: str
    object: str
    receptacle: str = ""
    lamp: str = ""


class Scene(NamedTuple):
    """One house with one task: the content of a ``game.tw-pddl``, in the order of the file."""

    name: str
    receptacles: tuple[Receptacle, ...]
    things: tuple[Thing, ...]
    locations: tuple[str, ...]
    start: str  # the location where the agent starts
    can_contain: frozenset[tuple[str, str]]  # (receptacle type, object type)
    goal: Goal
    task_text: str  # "put a hot apple in fridge.", the text after "Your task is to: " in the grammar
    dialect: str = "0.4"  # "0.4": move X to Y, help; "0.3": put X in/on Y
    walkthrough: tuple[str, ...] = ()
