"""Write a :class:`Scene` as ``game.tw-pddl``, a file that the genuine ALFWorld engine plays unchanged.

``gamerules`` supplies the rules and texts; this module writes the problem, the only part that differs between games.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

from agentgym_hindsight.envs.alfworld.gamerules import domain, grammar
from agentgym_hindsight.envs.alfworld.object_types import SLICERS, STATIONS
from agentgym_hindsight.envs.alfworld.scene import Goal, Scene, Thing
from agentgym_hindsight.errors import UsageError

__all__ = ["scene_to_game", "scene_to_trajectory", "write_game"]


def scene_to_game(scene: Scene) -> dict[str, Any]:
    """The content of a ``game.tw-pddl``; ``gamefile.parse_game`` reads it back into an equal scene."""
    if scene.dialect != "0.4":
        raise UsageError(
            f"Expected a scene in the dialect of ALFWorld 0.4, got {scene.dialect!r}; "
            "try scene._replace(dialect='0.4', walkthrough=())."
        )
    return {
        "pddl_domain": domain(),
        "grammar": grammar(scene.task_text),
        "pddl_problem": _problem(scene),
        "solvable": True,
        "walkthrough": list(scene.walkthrough),
    }


def scene_to_trajectory(scene: Scene) -> dict[str, Any]:
    """The ``traj_data.json`` of a game. ``AlfredTWEnv`` needs it to list the game, and its experts read the task."""
    goal = scene.goal
    return {
        "task_id": scene.name,
        "task_type": goal.task_type,
        "pddl_params": {
            "object_target": goal.object,
            "parent_target": goal.receptacle,
            "toggle_target": goal.lamp,
            "mrecep_target": "",
            "object_sliced": False,
        },
        "scene": {"floor_plan": "", "scene_num": 0},
        "turk_annotations": {"anns": [{"task_desc": scene.task_text, "high_descs": []}]},
        "plan": {"high_pddl": []},
    }


def write_game(scene: Scene, folder: str | PathLike[str]) -> Path:
    """Write ``game.tw-pddl`` and ``traj_data.json`` into ``folder`` and return the path of the game.

    The folder is created if necessary. It contains one game, as in the official data:
    ``<split>/<task>/<trial>/game.tw-pddl``. ``AlfredTWEnv`` skips folders with ``movable`` or ``Sliced`` in the name.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    game = target / "game.tw-pddl"
    # Always "\n", so that a game has the same bytes on every machine.
    for path, content in ((game, scene_to_game(scene)), (target / "traj_data.json", scene_to_trajectory(scene))):
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            json.dump(content, file)
    return game


def _problem(scene: Scene) -> str:
    goal = scene.goal
    things = {t.type for t in scene.things} | {o for _, o in scene.can_contain} | {goal.object, goal.lamp} | SLICERS
    places = {r.type for r in scene.receptacles} | {r for r, _ in scene.can_contain} | {goal.receptacle}
    places |= {station for station, _ in STATIONS.values()}  # the domain uses these types even if the house has none
    lines = [f"(define (problem plan_{scene.name})", "(:domain alfred)", "(:objects", "agent1 - agent"]
    lines += [f"{name}Type - otype" for name in sorted(things - {""})]
    lines += [f"{name}Type - rtype" for name in sorted(places - {""})]
    lines += [f"{thing.id} - object" for thing in scene.things]
    lines += [f"{receptacle.id} - receptacle" for receptacle in scene.receptacles]
    lines += [f"{location} - location" for location in scene.locations]
    lines += [")", "(:init", f"(atLocation agent1 {scene.start})"]
    lines += [f"(canContain {place}Type {thing}Type)" for place, thing in sorted(scene.can_contain)]
    for r in scene.receptacles:
        lines += [f"(receptacleType {r.id} {r.type}Type)", f"(receptacleAtLocation {r.id} {r.location})"]
        lines += [f"(openable {r.id})"] * r.openable + [f"(opened {r.id})"] * r.opened
    for thing in scene.things:
        lines += _thing_facts(thing)
    return "\n".join((*lines, ")", _goal(goal), ")")) + "\n"


#: Field of ``Thing`` → its predicate.
_FLAGS = {
    "pickupable": "pickupable",
    "cleanable": "cleanable",
    "heatable": "heatable",
    "coolable": "coolable",
    "toggleable": "toggleable",
    "sliceable": "sliceable",
    "is_receptacle": "isReceptacleObject",
    "clean": "isClean",
    "hot": "isHot",
    "cool": "isCool",
    "toggled": "isToggled",
    "sliced": "isSliced",
}


def _thing_facts(thing: Thing) -> Iterator[str]:
    if thing.type:
        yield f"(objectType {thing.id} {thing.type}Type)"
    for flag, predicate in _FLAGS.items():
        if getattr(thing, flag):
            yield f"({predicate} {thing.id})"
    for receptacle in thing.inside:
        yield f"(inReceptacle {thing.id} {receptacle})"
    for outer in thing.within:
        yield f"(inReceptacleObject {thing.id} {outer})"
    for location in (thing.location, *thing.also_at):
        if location is not None:
            yield f"(objectAtLocation {thing.id} {location})"


def _goal(goal: Goal) -> str:
    """The goal in the official form, because tools recognise it by its form."""
    kind, place = f"{goal.object}Type", f"{goal.receptacle}Type"
    typed = f"(objectType ?o {kind}) (receptacleType ?r {place})"
    if goal.task_type == "look_at_obj_in_light":
        return (
            "(:goal (and (exists (?ot - object ?r - receptacle ?a - agent ?l - location) (and "
            f"(objectType ?ot {goal.lamp}Type) (toggleable ?ot) (isToggled ?ot) (receptacleAtLocation ?r ?l) "
            f"(atLocation ?a ?l) (inReceptacle ?ot ?r) ) ) (exists (?o - object ?a - agent) (and "
            f"(objectType ?o {kind}) (holds ?a ?o) ) ) ) )"
        )
    if goal.task_type == "pick_two_obj_and_place":
        return (
            "(:goal (and (exists (?r - receptacle) (exists (?o1 - object) (and "
            f"(objectType ?o1 {kind}) (receptacleType ?r {place}) (inReceptacle ?o1 ?r) "
            f"(exists (?o2 - object) (and (not (= ?o1 ?o2)) (objectType ?o2 {kind}) "
            f"(receptacleType ?r {place}) (inReceptacle ?o2 ?r) ) ) ) ) ) ) )"
        )
    ability, state = {
        "pick_clean_then_place_in_recep": ("cleanable", "isClean"),
        "pick_heat_then_place_in_recep": ("heatable", "isHot"),
        "pick_cool_then_place_in_recep": ("coolable", "isCool"),
    }.get(goal.task_type, ("", ""))
    inside = "(inReceptacle ?o ?r)"
    needs = f"({ability} ?o) {typed} ({state} ?o) {inside}" if ability else f"{inside} {typed}"
    return f"(:goal (and (exists (?r - receptacle) (exists (?o - object) (and {needs} ) ) ) ) )"
