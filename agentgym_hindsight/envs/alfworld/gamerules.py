"""The rules and texts of ALFWorld in the form that the genuine engine reads: a PDDL domain and a text grammar.

Both are written for this library. The names of predicates and actions and all displayed texts are those of ALFWorld
0.4, because tools read them. Everything else is rewritten and reduced to what has an effect:

* Only the fifteen actions that can be executed; the official file has more, commented out or unreachable.
* ``examine`` of an object requires that it is held: the official condition for other objects is never true.
* ``go to``, heating, cooling, cleaning and ``use`` do not require an open door.
* ``use`` switches a lamp on permanently, so there is no predicate for off.
* A trap (an object that no receptacle accepts) needs no rule, because no ``canContain`` fact names it.

No rule reads ``checked``. It exists because an action must have an effect.
"""

from __future__ import annotations

import json

from agentgym_hindsight.envs.alfworld.house import HELP_TEXT

__all__ = ["domain", "grammar"]

_DOMAIN_HEAD = """\
(define (domain alfred)
  (:requirements :adl :action-costs :typing)
  (:types agent location receptacle object rtype otype)
  (:predicates
    (atLocation ?a - agent ?l - location) (holds ?a - agent ?o - object) (holdsAny ?a - agent) (checked ?x)
    (receptacleAtLocation ?r - receptacle ?l - location) (receptacleType ?r - receptacle ?t - rtype)
    (openable ?r - receptacle) (opened ?r - receptacle) (canContain ?rt - rtype ?ot - otype)
    (objectType ?o - object ?t - otype) (objectAtLocation ?o - object ?l - location)
    (inReceptacle ?o - object ?r - receptacle) (inReceptacleObject ?inner - object ?outer - object)
    (isReceptacleObject ?o - object) (pickupable ?o - object) (cleanable ?o - object) (heatable ?o - object)
    (coolable ?o - object) (toggleable ?o - object) (sliceable ?o - object) (isClean ?o - object)
    (isHot ?o - object) (isCool ?o - object) (isToggled ?o - object) (isSliced ?o - object))
  (:functions (total-cost) - number)
"""

_AT_RECEPTACLE = "(atLocation ?a ?l) (receptacleAtLocation ?r ?l)"
_REACHABLE = f"{_AT_RECEPTACLE} (or (not (openable ?r)) (opened ?r))"
_LOCATION_PARAMETERS = "?a - agent ?l - location"
_RECEPTACLE_PARAMETERS = f"{_LOCATION_PARAMETERS} ?r - receptacle"


def _state_change(state: str, ability: str, station: str, effect: str) -> tuple[str, str, str, int]:
    precondition = f"({ability} ?o) (receptacleType ?r {station}Type) {_AT_RECEPTACLE} (holds ?a ?o)"
    return f"{_RECEPTACLE_PARAMETERS} ?o - object", precondition, f"({state} ?o){effect}", 5


#: action → (parameters, precondition, effect, cost for a planner)
_ACTIONS: dict[str, tuple[str, str, str, int]] = {
    "look": (_LOCATION_PARAMETERS, "(atLocation ?a ?l)", "(checked ?l)", 0),
    "inventory": ("?a - agent", "", "(checked ?a)", 0),
    "help": ("?a - agent", "", "(checked ?a)", 0),
    "examineReceptacle": (
        "?a - agent ?r - receptacle",
        f"(exists (?l - location) (and {_AT_RECEPTACLE}))",
        "(checked ?r)",
        0,
    ),
    "examineObject": ("?a - agent ?o - object", "(holds ?a ?o)", "(checked ?o)", 0),
    "GotoLocation": (
        "?a - agent ?lStart - location ?lEnd - location ?r - receptacle",
        "(atLocation ?a ?lStart) (receptacleAtLocation ?r ?lEnd)",
        "(not (atLocation ?a ?lStart)) (atLocation ?a ?lEnd)",
        1,
    ),
    "OpenObject": (
        _RECEPTACLE_PARAMETERS,
        f"(openable ?r) (not (opened ?r)) {_AT_RECEPTACLE}",
        "(opened ?r) (checked ?r)",
        1,
    ),
    "CloseObject": (_RECEPTACLE_PARAMETERS, f"(openable ?r) (opened ?r) {_AT_RECEPTACLE}", "(not (opened ?r))", 1),
    "PickupObject": (
        f"{_LOCATION_PARAMETERS} ?o - object ?r - receptacle",
        f"(pickupable ?o) (inReceptacle ?o ?r) (not (holdsAny ?a)) {_REACHABLE}",
        "(not (inReceptacle ?o ?r)) (not (objectAtLocation ?o ?l)) (holds ?a ?o) (holdsAny ?a)",
        1,
    ),
    "PutObject": (
        f"{_LOCATION_PARAMETERS} ?o - object ?r - receptacle ?ot - otype ?rt - rtype",
        f"(holds ?a ?o) (objectType ?o ?ot) (receptacleType ?r ?rt) (canContain ?rt ?ot) {_REACHABLE}",
        "(inReceptacle ?o ?r) (objectAtLocation ?o ?l) (not (holds ?a ?o)) (not (holdsAny ?a))",
        1,
    ),
    "CleanObject": _state_change("isClean", "cleanable", "SinkBasin", ""),
    "HeatObject": _state_change("isHot", "heatable", "Microwave", " (not (isCool ?o))"),
    "CoolObject": _state_change("isCool", "coolable", "Fridge", " (not (isHot ?o))"),
    "ToggleObject": (
        f"{_LOCATION_PARAMETERS} ?o - object ?r - receptacle",
        f"(toggleable ?o) (inReceptacle ?o ?r) {_AT_RECEPTACLE}",
        "(isToggled ?o)",
        5,
    ),
    "SliceObject": (
        f"{_LOCATION_PARAMETERS} ?co - object ?ko - object",
        "(sliceable ?co) (or (objectType ?ko KnifeType) (objectType ?ko ButterKnifeType)) "
        "(atLocation ?a ?l) (objectAtLocation ?co ?l) (holds ?a ?ko)",
        "(isSliced ?co)",
        5,
    ),
}

#: action → the command of the player. Braces contain the action's parameters.
_COMMANDS = {
    "look": "look",
    "inventory": "inventory",
    "help": "help",
    "examineReceptacle": "examine {r}",
    "examineObject": "examine {o}",
    "GotoLocation": "go to {r}",
    "OpenObject": "open {r}",
    "CloseObject": "close {r}",
    "PickupObject": "take {o} from {r}",
    "PutObject": "move {o} to {r}",
    "CleanObject": "clean {o} with {r}",
    "HeatObject": "heat {o} with {r}",
    "CoolObject": "cool {o} with {r}",
    "ToggleObject": "use {o}",
    "SliceObject": "slice {co} with {ko}",
}

# Queries of the grammar: the parameters of the current action are bound, all other variables are searched in the facts.
_AT_RECEPTACLE_QUERY = "atlocation(a:agent, l:location) & receptacleatlocation(r:receptacle, l:location)"
_ON_FLOOR_QUERY = (
    f"{_AT_RECEPTACLE_QUERY} & objectatlocation(o:object, l:location) & not_inreceptacle(o:object, r:receptacle)"
)
_CONTENT = "[{'a ' + o.name | inreceptacle(o:object, r:receptacle)}]"
_NESTED = "[{'a ' + o2.name | inreceptacleobject(o2:object, o:object)}]"

#: rule → its variants as (condition, text); the first variant whose condition holds is shown.
_RULES: dict[str, list[tuple[str, str]]] = {
    "intro": [("", "-= Welcome to TextWorld, ALFRED! =-\n\n#look.feedback#\n\n#task#")],
    "look.feedback": [
        (
            _AT_RECEPTACLE_QUERY,
            f"You are facing the [{{r.name | {_AT_RECEPTACLE_QUERY}}}]. "
            f"Next to it, you see [{{'a ' + o.name | {_ON_FLOOR_QUERY}}}].",
        ),
        # ?l is unbound in the intro, which therefore lists the whole room; ``look`` binds it and finds nothing there.
        (
            "",
            "You are in the middle of a room. Looking quickly around you, you see "
            "[{'a ' + r.name | receptacleatlocation(r:receptacle, l:location)}].",
        ),
    ],
    "inventory.feedback": [
        ("holdsany(a:agent)", "You are carrying: [{'a ' + o.name | holds(a:agent, o:object)}]."),
        ("", "You are not carrying anything."),
    ],
    "examineReceptacle.feedback": [
        (
            "openable(r:receptacle) & opened(r:receptacle)",
            f"The {{r.name}} is open. In it, you see {_CONTENT}.",
        ),
        ("openable(r:receptacle)", "The {r.name} is closed."),
        ("", f"On the {{r.name}}, you see {_CONTENT}."),
    ],
    "GotoLocation.feedback": [("", "You arrive at {r.name}. #examineReceptacle.feedback#")],
    "OpenObject.feedback": [("", "You open the {r.name}. #examineReceptacle.feedback#")],
    "CloseObject.feedback": [("", "You close the {r.name}.")],
    "PickupObject.feedback": [("", "You pick up the {o.name} from the {r.name}.")],
    "PutObject.feedback": [("", "You move the {o.name} to the {r.name}.")],
    "CleanObject.feedback": [("", "You clean the {o.name} using the {r.name}.")],
    "HeatObject.feedback": [("", "You heat the {o.name} using the {r.name}.")],
    "CoolObject.feedback": [("", "You cool the {o.name} using the {r.name}.")],
    "ToggleObject.feedback": [("", "You turn on the {o.name}.")],
    "SliceObject.feedback": [("", "You sliced the {co.name} with the {ko.name}.")],
    "list_empty": [("", "nothing")],
    "list_separator": [("", ", ")],
    "list_last_separator": [("", ", and ")],
}


def _examine_rules() -> list[tuple[str, str]]:
    """The texts of ``examine`` for an object. For a container the text gives its contents, not its state."""
    rules = [("isreceptacleobject(o:object)", f"This is a normal {{o.name}}. In it, you see {_NESTED}.")]
    states = (("clean", "hot"), ("clean", "cool"), ("clean",), ("hot",), ("cool",))
    for sliced in (True, False):
        for state in states:
            query = " & ".join(f"is{name}(o:object)" for name in (*state, *(["sliced"] if sliced else [])))
            words = " and ".join(reversed(state))
            if state == ("cool",) and not sliced:
                words = "cold"  # the text for an object that is only cool says "cold"
            rules.append((query, f"This is a {words}{' sliced' if sliced else ''} {{o.name}}."))
    rules.append(("issliced(o:object)", "This is a sliced {o.name}."))
    rules.append(("", "There's nothing special about {o.name}."))
    return rules


_RULES["examineObject.feedback"] = _examine_rules()


def domain() -> str:
    """The PDDL domain, which is the same for every game."""
    parts = [_DOMAIN_HEAD]
    for name, (parameters, precondition, effect, cost) in _ACTIONS.items():
        cost_effect = f" (increase (total-cost) {cost})" if cost else ""
        condition = f"(and {precondition})" if precondition else "()"
        parts.append(
            f"  (:action {name}\n    :parameters ({parameters})\n"
            f"    :precondition {condition}\n    :effect (and {effect}{cost_effect}))\n"
        )
    return "".join((*parts, ")\n"))


def grammar(task_text: str) -> str:
    """The grammar of a game: the texts, including its task."""
    rules = dict(_RULES, task=[("", f"Your task is to: {task_text}")])
    body = ",\n".join(
        f"{json.dumps(name)}: " + json.dumps([{"condition": c, "rhs": t} if c else {"rhs": t} for c, t in variants])
        for name, variants in rules.items()
    )
    feedback = {name: f"#{name}.feedback#" for name in _COMMANDS} | {"help": HELP_TEXT}
    actions = (
        f'action {name} {{\n    template :: "{command}";\n    feedback :: "{feedback[name]}";\n}}\n'
        for name, command in _COMMANDS.items()
    )
    return f'grammar :: """\n{{\n{body}\n}}\n""";\n\n' + "\n".join(actions)
