"""Read ``game.tw-pddl``, the file format of official ALFWorld games, into a :class:`Scene`.

All official files have the same PDDL domain and almost the same grammar, so this is not a general PDDL parser:
``rulebook`` recognises the rules, one regular expression reads the facts, and six patterns recognise the goal. Reading
a game therefore takes about a millisecond; the genuine loader needs a second. A file with other rules cannot be played:
it raises an error that names the difference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from itertools import chain
from os import PathLike, fspath
from typing import NoReturn

from agentgym_hindsight.envs.alfworld.rulebook import rules_of, split_task
from agentgym_hindsight.envs.alfworld.scene import Goal, Receptacle, Scene, Thing
from agentgym_hindsight.errors import DamagedDataError
from agentgym_hindsight.files import read_file

__all__ = ["parse_game", "read_game"]

#: Bytes: about fifty times the largest official game.
_LARGEST = 1 << 23
_FIX = "Try to download the data again (alfworld-download -f), or pass another file."

# A name is only tried from its first character. Without the lookbehind, a long name without a type is scanned again
# from each of its characters.
_DECLARED = re.compile(r"(?<![^\s()])([^\s()]+)\s+-\s+([^\s()]+)")
_FACT = re.compile(r"\(\s*([^\s()]+)(?:\s+([^\s()]+))?(?:\s+([^\s()]+))?\s*\)")
_SPACE = re.compile(r"\s+")
_PROBLEM_NAME = re.compile(r"\(\s*problem\s+([^\s()]+)\s*\)", re.IGNORECASE)

#: Predicate -> the field of ``Thing`` that it sets.
_FLAGS = {
    "pickupable": "pickupable",
    "cleanable": "cleanable",
    "heatable": "heatable",
    "coolable": "coolable",
    "toggleable": "toggleable",
    "sliceable": "sliceable",
    "isreceptacleobject": "is_receptacle",
    "isclean": "clean",
    "ishot": "hot",
    "iscool": "cool",
    "istoggled": "toggled",
    "issliced": "sliced",
}

#: Predicate with two arguments -> the declared kind of each argument.
_PAIRS = {
    "atlocation": ("agent", "location"),
    "objectatlocation": ("object", "location"),
    "receptacleatlocation": ("receptacle", "location"),
    "inreceptacle": ("object", "receptacle"),
    "inreceptacleobject": ("object", "object"),
    "objecttype": ("object", "otype"),
    "receptacletype": ("receptacle", "rtype"),
    "cancontain": ("rtype", "otype"),
}

#: Facts about costs for a planner; the game does not use them.
_COSTS = ("total-cost", "distance")

#: Patterns of the six goals, whose white space is normalised first. The groups are the type names.
_EXISTS = r"\(:goal \(and \(exists \(\?r - receptacle\) \(exists \(\?o - object\) \(and "
_TYPES = r"\(objectType \?o (?P<object>\S+)\) \(receptacleType \?r (?P<receptacle>\S+)\) "
_STATE = r"\({0} \?o\) " + _TYPES + r"\({1} \?o\) \(inReceptacle \?o \?r\) "
_END = r"(?:\) ?)+$"
_GOALS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (task_type, re.compile(pattern, re.IGNORECASE))
    for task_type, pattern in (
        ("pick_and_place_simple", _EXISTS + r"\(inReceptacle \?o \?r\) " + _TYPES + _END),
        ("pick_clean_then_place_in_recep", _EXISTS + _STATE.format("cleanable", "isClean") + _END),
        ("pick_heat_then_place_in_recep", _EXISTS + _STATE.format("heatable", "isHot") + _END),
        ("pick_cool_then_place_in_recep", _EXISTS + _STATE.format("coolable", "isCool") + _END),
        (
            "pick_two_obj_and_place",
            r"\(:goal \(and \(exists \(\?r - receptacle\) \(exists \(\?o1 - object\) \(and "
            r"\(objectType \?o1 (?P<object>\S+)\) \(receptacleType \?r (?P<receptacle>\S+)\) \(inReceptacle \?o1 \?r\) "
            r"\(exists \(\?o2 - object\) \(and \(not \(= \?o1 \?o2\)\) \(objectType \?o2 (?P=object)\) "
            r"\(receptacleType \?r (?P=receptacle)\) \(inReceptacle \?o2 \?r\) " + _END,
        ),
        (
            "look_at_obj_in_light",
            r"\(:goal \(and \(exists \(\?ot - object \?r - receptacle \?a - agent \?l - location\) \(and "
            r"\(objectType \?ot (?P<lamp>\S+)\) \(toggleable \?ot\) \(isToggled \?ot\) "
            r"\(receptacleAtLocation \?r \?l\) \(atLocation \?a \?l\) \(inReceptacle \?ot \?r\) \) \) "
            r"\(exists \(\?o - object \?a - agent\) \(and "
            r"\(objectType \?o (?P<object>\S+)\) \(holds \?a \?o\) " + _END,
        ),
    )
)


def read_game(path: str | PathLike[str]) -> Scene:
    """Read one ``game.tw-pddl``.

    Raises :class:`MissingDataError` if there is no such file, and :class:`DamagedDataError` if it cannot be used. The
    message names the file, the position in it and the fix.
    """
    source = fspath(path)
    fix = "try the path of a game.tw-pddl file, or download the data again (alfworld-download -f)."
    raw = read_file(source, "a readable game file", fix, largest=_LARGEST)
    try:
        text = raw.decode("utf-8-sig")  # some editors save a byte order mark
    except UnicodeDecodeError as error:
        _refuse(source, f"byte {error.start}", f"it is not UTF-8 text ({error.reason})")
    return parse_game(text, source)


def parse_game(text: str, source: str = "<text>") -> Scene:
    """Read a game from the text of its file; ``source`` is the name of the file in error messages."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: also a number of thousands of digits
        position = (
            f"line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else "the JSON"
        )
        cause = "it is empty" if not text.strip() else f"it is not complete JSON ({error})"
        _refuse(source, position, cause)
    if not isinstance(data, dict):
        _refuse(source, "the JSON", f"expected an object with pddl_problem and grammar, got {type(data).__name__}")
    for key in ("pddl_domain", "grammar", "pddl_problem"):
        if not isinstance(data.get(key), str):
            got = "no such key" if key not in data else type(data[key]).__name__
            _refuse(source, f"key {key!r}", f"expected a text, got {got}")
    walkthrough = data.get("walkthrough") or []
    if not isinstance(walkthrough, list) or not all(isinstance(command, str) for command in walkthrough):
        _refuse(source, "key 'walkthrough'", "expected a list of commands")
    task = split_task(data["grammar"])
    if task is None:
        _refuse(source, "key 'grammar'", 'it contains no task (no text "Your task is to: ...")')
    rules = rules_of(data["pddl_domain"], task[1], task[0])
    if isinstance(rules, str):
        _other_rules(source, rules)
    scene = _problem(data["pddl_problem"], source)
    # The native engine decides by the dialect whether a Sink cleans (it does in 0.4). It therefore cannot play a game
    # with a Sink whose rules differ in this. No official game has a Sink.
    if rules.sink_washes != (rules.dialect == "0.4") and any(r.type.lower() == "sink" for r in scene.receptacles):
        effect = "cleans at a Sink" if rules.sink_washes else "does not clean at a Sink"
        _other_rules(
            source, f"key 'pddl_domain': with texts of ALFWorld {rules.dialect} the action cleanobject {effect}"
        )
    return scene._replace(dialect=rules.dialect, task_text=task[0], walkthrough=tuple(walkthrough))


def _refuse(source: str, position: str, cause: str) -> NoReturn:
    raise DamagedDataError(f"Expected a complete ALFWorld game in {source}; at {position}: {cause}. {_FIX}") from None


def _other_rules(source: str, difference: str) -> NoReturn:
    raise DamagedDataError(
        f"Expected the rules of ALFWorld 0.3 or 0.4 in {source}, got other rules; at {difference}. "
        "Try the genuine engine alone (GenuinePlay in envs.alfworld.genuine), or pass another file."
    )


def _problem(problem: str, source: str) -> Scene:
    key = "key 'pddl_problem'"
    if ";" in problem:
        problem = re.sub(r";[^\n]*", "", problem)
    starts = [problem.find(head) for head in ("(:objects", "(:init", "(:goal")]
    for head, start in zip(("(:objects", "(:init", "(:goal"), starts, strict=True):
        if start < 0:
            _refuse(source, key, f"the PDDL is cut off: no section {head!r}")
    if starts != sorted(starts) or problem.count("(") != problem.count(")"):
        _refuse(source, key, "the PDDL is cut off: its parentheses do not match")
    declared_text, init, goal_text = (
        problem[starts[0] : starts[1]],
        problem[starts[1] : starts[2]],
        problem[starts[2] :],
    )
    name_match = _PROBLEM_NAME.search(problem)
    reader = _Facts(source, _DECLARED.findall(declared_text))
    reader.read(_FACT.findall(init.lower()))
    return reader.scene(name_match[1].removeprefix("plan_") if name_match else "", _goal(goal_text, reader))


def _goal(text: str, facts: _Facts) -> Goal:
    flat = _SPACE.sub(" ", text).strip()
    for task_type, pattern in _GOALS:
        match = pattern.match(flat)
        if match:
            names = {role: facts.type_name(name, "(:goal") for role, name in match.groupdict().items()}
            return Goal(task_type, names["object"], names.get("receptacle", ""), names.get("lamp", ""))
    _refuse(facts.source, "(:goal", f"it has none of the six known forms: {flat[:160]!r}")


def _fact(*names: str) -> str:
    return f"({' '.join(name for name in names if name)})"


class _Facts:
    """The facts of one problem. PDDL ignores case, so the keys are lower-case ids."""

    def __init__(self, source: str, declared: Iterable[tuple[str, str]]) -> None:
        self.source = source
        self.id_of: dict[str, str] = {}  # lower case -> the spelling of the declaration, in the file's order
        self.kind_of: dict[str, str] = {}
        for name, kind in declared:
            low = name.lower()
            if low in self.id_of:
                self.refuse("(:objects", f"{name!r} is declared twice")
            self.id_of[low] = name
            self.kind_of[low] = kind.lower()
        self.pairs: dict[str, dict[str, list[str]]] = {name: {} for name in _PAIRS}
        self.flags: dict[str, dict[str, bool]] = {}
        self.openable: set[str] = set()
        self.opened: set[str] = set()
        self.mentioned: set[str] = set()  # every id that occurs in a fact

    def refuse(self, position: str, cause: str) -> NoReturn:
        _refuse(self.source, f"pddl_problem, {position}", cause)

    def type_name(self, name: str, position: str) -> str:
        """``mugtype`` -> ``Mug``, in the spelling of the declaration."""
        declared = self.id_of.get(name.lower())
        if declared is None or not declared.lower().endswith("type"):
            self.refuse(position, f"{name!r} is not a declared type")
        return declared[:-4]

    def read(self, facts: Iterable[tuple[str, str, str]]) -> None:
        """Add facts in lower case, as (predicate, first name, second name or "")."""
        kind_of, pairs = self.kind_of, self.pairs
        for name, first, second in facts:
            if name in pairs:
                kinds = _PAIRS[name]
                if kind_of.get(first) != kinds[0]:
                    self.unknown(name, first, second, first, kinds[0])
                if kind_of.get(second) != kinds[1]:
                    self.unknown(name, first, second, second, kinds[1])
                pairs[name].setdefault(first, []).append(second)
            elif name in _FLAGS:
                if second or kind_of.get(first) != "object":
                    self.unknown(name, first, second, first, "object")
                self.flags.setdefault(first, {})[_FLAGS[name]] = True
            elif name in ("openable", "opened"):
                if second or kind_of.get(first) != "receptacle":
                    self.unknown(name, first, second, first, "receptacle")
                (self.openable if name == "openable" else self.opened).add(first)
            elif name not in _COSTS:
                self.refuse(
                    f"the fact {_fact(name, first, second)}",
                    f"the predicate {name!r} is not allowed in the initial state",
                )
        self.mentioned = {*self.flags, *self.openable, *self.opened}
        for name, values in pairs.items():
            if name != "cancontain":
                self.mentioned.update(values, *values.values())

    def unknown(self, name: str, first: str, second: str, undeclared: str, kind: str) -> NoReturn:
        article = "an" if kind[0] in "ao" else "a"
        self.refuse(f"the fact {_fact(name, first, second)}", f"{undeclared!r} is not declared as {article} {kind}")

    def single_value(self, predicate: str, low: str) -> str:
        values = set(self.pairs[predicate].get(low, ()))
        if len(values) != 1:
            self.refuse(f"the {predicate} of {self.id_of[low]!r}", f"expected one fact, found {len(values)}")
        return values.pop()

    def ids(self, lows: Iterable[str]) -> tuple[str, ...]:
        return tuple(self.id_of[low] for low in dict.fromkeys(lows))

    def scene(self, name: str, goal: Goal) -> Scene:
        agents = [low for low, kind in self.kind_of.items() if kind == "agent"]
        if len(agents) != 1:
            self.refuse("(:objects", f"expected one agent, found {len(agents)}")
        receptacles, things, locations = [], [], []
        for low, spelling in self.id_of.items():
            kind = self.kind_of[low]
            if low not in self.mentioned:
                continue  # declared but in no fact: the genuine engine ignores it too
            if kind == "receptacle":
                receptacles.append(self._receptacle(low))
            elif kind == "object":
                things.append(self._thing(low))
            elif kind == "location":
                locations.append(spelling)
        accepted = self.pairs["cancontain"]
        type_names = {
            low: self.type_name(low, "canContain") for low in {*accepted, *chain.from_iterable(accepted.values())}
        }
        can_contain = frozenset(
            (type_names[place], type_names[held_type])
            for place, held_types in accepted.items()
            for held_type in held_types
        )
        start = self.id_of[self.single_value("atlocation", agents[0])]
        return Scene(name, tuple(receptacles), tuple(things), tuple(locations), start, can_contain, goal, "")

    def _receptacle(self, low: str) -> Receptacle:
        kind = self.type_name(self.single_value("receptacletype", low), "receptacleType")
        location = self.id_of[self.single_value("receptacleatlocation", low)]
        return Receptacle(self.id_of[low], kind, location, low in self.openable, low in self.opened)

    def _thing(self, low: str) -> Thing:
        places = self.ids(self.pairs["objectatlocation"].get(low, ()))
        return Thing(
            id=self.id_of[low],
            type=self.type_name(self.single_value("objecttype", low), "objectType")
            if low in self.pairs["objecttype"]
            else "",
            location=places[0] if places else None,
            inside=self.ids(self.pairs["inreceptacle"].get(low, ())),
            within=self.ids(self.pairs["inreceptacleobject"].get(low, ())),
            also_at=places[1:],
            **self.flags.get(low, {}),
        )
