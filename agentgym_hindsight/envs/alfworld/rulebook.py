"""Check whether a game file has the rules that the native engine implements.

A ``game.tw-pddl`` contains its rules: a PDDL domain and a grammar of texts. The native engine implements fixed rules
and does not read those of the file. It therefore plays a file only if every rule that has an effect is known here.
The known rules are those of the released games, of the alfworld packages 0.3 and 0.4, and of this library's writer.
Comments, white space and parts without effect (actions of the grammar that are not in the domain, texts that no other
text uses) are ignored.

Only the digest of each normalised part is stored, so an error can name the part that differs but cannot quote the
original. A part with two known versions has two digests. A digest that belongs to one release only is marked with the
release.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

__all__ = ["Rules", "domain_parts", "grammar_parts", "rules_of", "split_task"]


class Rules(NamedTuple):
    """The differences between the rules that can be played."""

    dialect: str  # "0.3" or "0.4": the release of the texts
    sink_washes: bool  # whether a Sink cleans things, as a SinkBasin does


_TASK = '"Your task is to: '
_QUOTED = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*')  # the text up to the closing quote
_PDDL = re.compile(r"[()]|[^\s()]+")
_TOKEN = re.compile(r'\s+|#[^\n]*|("""[\s\S]*?"""|"[^"]*"|[\w/-]+|::|[{};])')
_CALL = re.compile(r"#([^#]+)#")

#: Sections of a domain that do not affect a game.
_DECLARING = ("domain", ":requirements", ":predicates", ":functions")
#: Texts of the grammar that the engine always uses.
_ALWAYS_USED = ("intro", "list_empty", "list_separator", "list_last_separator")
#: Characters that the genuine grammar reads as code, even inside the sentence of a task.
_CODE = frozenset('#{}[]|<>;"')


def split_task(grammar: str) -> tuple[str, str] | None:
    """The sentence of the task, and the grammar without it, which is the same for all games of a release."""
    position = 0
    while (opened := grammar.find(_TASK, position)) >= 0:
        start = opened + len(_TASK)
        # A quote inside the text is escaped, so texts that begin inside this one end, or fail to end, where it does.
        match = _QUOTED.match(grammar, start)
        position = match.end() if match else start
        if grammar.startswith('"', position):
            try:
                sentence: str = json.loads(f'"{grammar[start:position]}"', strict=False)
            except ValueError:  # an escape that JSON does not have
                return None
            return sentence, f"{grammar[:start]}{grammar[position:]}"
    return None


def rules_of(domain: str, grammar: str, task_text: str) -> Rules | str:
    """The rules of a game, or a description of the first difference. ``grammar`` is given without the task."""
    code = _CODE.intersection(task_text)
    if code:
        return f"key 'grammar': the task's sentence has a {min(code)!r}, which the grammar reads as code"
    return _recognise(domain, grammar)


@lru_cache(maxsize=16)  # all games of a release have the same rules
def _recognise(domain: str, grammar: str) -> Rules | str:
    marks: set[str] = set()
    key = "key 'pddl_domain'"
    try:
        parts = domain_parts(domain)
        difference = _compare(parts.items(), marks)
        actions = [part.removeprefix("action ") for part in parts if part.startswith("action ")]
        missing = sorted(_ACTIONS - {"help"} - set(actions))  # 0.3 has no help
        if missing:
            difference = difference or f"it lacks the action {missing[0]}"
        if not difference:
            key = "key 'grammar'"
            difference = _compare(grammar_parts(grammar, actions), marks)
    except _UnreadableError as error:
        difference = str(error)
    dialect = "0.4" if "help" in marks else "0.3"
    others = marks & {"0.3", "0.4"} - {dialect}
    if not difference and others:
        difference = f"some of its texts are from ALFWorld {min(others)}, other rules from {dialect}"
    return f"{key}: {difference}" if difference else Rules(dialect, "sink" in marks)


def _compare(parts: Iterable[tuple[str, str]], marks: set[str]) -> str:
    """A description of the first unknown part, or "". The marks of known digests are added to ``marks``."""
    for part, text in parts:
        known = dict(mark.partition(":")[::2] for mark in _KNOWN.get(part, "").split())
        if not known:
            return f"it has the {part}, which no known release has"
        mark = known.get(_digest(text))
        if mark is None:
            return f"the {part} is not that of a known release"
        marks.add(mark)
    return ""


class _UnreadableError(Exception):
    """The domain or the grammar is not well-formed."""


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def domain_parts(domain: str) -> dict[str, str]:
    """The parts of a PDDL domain that affect a game: name → normalised text."""
    tokens = _PDDL.findall(re.sub(r";[^\n]*", "", domain).lower())
    if tokens[:3] != ["(", "define", "("] or tokens.count("(") != tokens.count(")"):
        raise _UnreadableError("it is not a complete PDDL domain")
    parts: dict[str, str] = {}
    depth, start = 0, 0
    for number, token in enumerate(tokens):
        if token == "(":
            depth += 1
            if depth == 2:
                start = number
        elif token == ")":
            depth -= 1
            if depth == 1:
                section = tokens[start + 1 : number]
                head = section[0] if section else ""
                name = f"action {section[1]}" if head == ":action" and len(section) > 1 else f"section {head!r}"
                if name in parts:
                    raise _UnreadableError(f"it has the {name} twice")
                if head not in _DECLARING:
                    parts[name] = " ".join(section)
    return parts


def grammar_parts(grammar: str, actions: list[str]) -> Iterator[tuple[str, str]]:
    """The texts that a game with these actions can show, as (name, normalised text)."""
    templates, rules = _read_grammar(grammar)
    calls = deque(_ALWAYS_USED)
    for action in actions:
        if action not in templates:
            raise _UnreadableError(f"it has no entry for the action {action}")
        for key in ("template", "feedback"):
            yield f"{key} of {action}", templates[action].get(key, "")
            calls += _CALL.findall(templates[action].get(key, ""))
    visited = set()
    while calls:
        name = calls.popleft()
        if name in visited:
            continue
        visited.add(name)
        if name not in rules:
            raise _UnreadableError(f"it lacks the text {name}")
        variants = _variants(name, rules[name])
        yield f"text {name}", json.dumps(variants)
        for _, text in variants:
            calls += _CALL.findall(text)


def _variants(name: str, definition: object) -> list[tuple[str, str]]:
    variants = []
    for variant in definition if isinstance(definition, list) else [None]:
        condition, text = (variant.get("condition", ""), variant.get("rhs")) if isinstance(variant, dict) else ("", 0)
        if not isinstance(condition, str) or not isinstance(text, str):
            raise _UnreadableError(f"the text {name} is not a list of conditions and texts")
        variants.append(("".join(condition.split()), text))
    return variants


def _read_grammar(grammar: str) -> tuple[dict[str, dict[str, str]], dict[str, Any]]:
    """The entries of the actions, and the texts. As in the genuine engine, the last of two definitions counts."""
    tokens = _tokens(grammar)
    actions: dict[str, dict[str, str]] = {}
    rules: dict[str, Any] = {}
    try:
        for token in tokens:
            if token == "grammar":
                rules.update(_block(_value(tokens)))
            elif token == "action":
                entry = actions[next(tokens).lower()] = {}
                _expect(tokens, "{")
                while (key := next(tokens)) != "}":
                    entry[key] = _value(tokens)
                    if key == "grammar":
                        lines = entry[key].split("\n")
                        rules.update(_block("\n".join(line for line in lines if not line.lstrip().startswith("#"))))
            else:
                raise _UnreadableError(f"expected an action or a grammar, got {token[:40]!r}")
    except StopIteration:
        raise _UnreadableError("it is cut off") from None
    return actions, rules


def _tokens(grammar: str) -> Iterator[str]:
    position = 0
    while position < len(grammar):
        match = _TOKEN.match(grammar, position)
        if match is None:
            raise _UnreadableError(f"it cannot be read from {grammar[position : position + 40]!r} on")
        position = match.end()
        if match[1]:
            yield match[1]


def _expect(tokens: Iterator[str], expected: str) -> None:
    token = next(tokens)
    if token != expected:
        raise _UnreadableError(f"expected {expected!r}, got {token[:40]!r}")


def _value(tokens: Iterator[str]) -> str:
    _expect(tokens, "::")
    token = next(tokens)
    if token[0] != '"':
        raise _UnreadableError(f"expected a text in quotes, got {token[:40]!r}")
    _expect(tokens, ";")
    quotes = 3 if token.startswith('"""') else 1
    return token[quotes:-quotes]


def _block(text: str) -> dict[str, Any]:
    try:
        block = json.loads(text)
    except (ValueError, RecursionError):
        raise _UnreadableError("a grammar in it is not JSON") from None
    if not isinstance(block, dict):
        raise _UnreadableError("a grammar in it is not a JSON object")
    return block


#: part -> its known digests. Marks: "0.3" or "0.4" for one release only, "help" for the action that only 0.4 has,
#: "sink" for rules in which a Sink cleans.
_KNOWN: dict[str, str] = {
    "action look": "4e77df488ac9",
    "action inventory": "a368a95ac50a",
    "action examinereceptacle": "f40bc784d8ad",
    "action examineobject": "9cf54c6a67be ced7a03a3c16",
    "action gotolocation": "8318195cc31e",
    "action openobject": "1263f1a6b446 aa7043f07556",
    "action closeobject": "74b0ba2406ac 288385b0bef1",
    "action pickupobject": "507dd35c9a7a 7ce9aa93aef4",
    "action putobject": "575dff09b1ad a41c573b907e",
    "action cleanobject": "704fa6372a35:sink 98f125e5bb90 7c08ae4d413b",
    "action heatobject": "55387ce8bb1e 55268fd01333",
    "action coolobject": "78b92e463d14 fa9fb0e44671",
    "action toggleobject": "44825e9b35da 21c46ee50b59",
    "action sliceobject": "d85fc181a4b1 8ff3f3be6464",
    "action help": "19eff62dba0b:help",
    "section ':types'": "f6fe50640de0",
    "template of look": "1deba6e79731",
    "template of inventory": "447c12c3f3d0",
    "template of examinereceptacle": "22ed3c9a6b4c",
    "template of examineobject": "c8834262e212",
    "template of gotolocation": "6541f4ae9519 db7b3a3c4bbf",
    "template of openobject": "c03a06ccc582",
    "template of closeobject": "122204287a3c",
    "template of pickupobject": "fc3f6016ce43",
    "template of putobject": "a46fcb0806e9:0.4 f63f3217dca1:0.3",
    "template of cleanobject": "870700917b95",
    "template of heatobject": "0c1c964df5bd",
    "template of coolobject": "23c992af49aa",
    "template of toggleobject": "f77171822d19",
    "template of sliceobject": "011cec27bb6b",
    "template of help": "d758f91dc8d1",
    "text intro": "1b5bf6162e7c",
    "text list_empty": "a7d6a1d084db",
    "text list_separator": "8bdcfe076d40",
    "text list_last_separator": "e8747a506ad1",
    "text look.feedback": "36ccfdeb3e46 5af938feaca0",
    "text inventory.feedback": "2ae284a04c60 704b291f3f11",
    "text examineReceptacle.feedback": "84de3ae9ffde 4f9d7e7ba3ec",
    "text examineObject.feedback": "5099b8c3a864 140d90a2d346",
    "text GotoLocation.feedback": "75e38db56786:0.4 efe330a2c20b:0.3",
    "text OpenObject.feedback": "f4960cf651e5",
    "text CloseObject.feedback": "5c2d41e14361",
    "text PickupObject.feedback": "0941b081a72e",
    "text PutObject.feedback": "74a2df823e7b:0.4 429cbc03e7be:0.3",
    "text cleanObject.feedback": "e7f719391651",
    "text heatObject.feedback": "1e829adb406a",
    "text coolObject.feedback": "6b65ec000812",
    "text toggleObject.feedback": "bd5b8c6942b3",
    "text sliceObject.feedback": "a738d13e46df",
    "text task": "2821b640fb74",
    "text look-variations": "e61b3cbc22b3",
    "text list_objects_on_the_floor": "0297a7f5aaa4",
    "text list_appliances": "dd6b57286738",
    "text overview(o)": "caa399cca14c",
    "text overview(r)": "b80835530421",
    "text help.feedback": "13b10a9a5f93",
    "text CleanObject.feedback": "e7f719391651",
    "text HeatObject.feedback": "1e829adb406a",
    "text CoolObject.feedback": "6b65ec000812",
    "text ToggleObject.feedback": "ea75f26017b7",
    "text SliceObject.feedback": "a738d13e46df",
    "feedback of look": "d0724b00925e",
    "feedback of inventory": "98040b78d6f0",
    "feedback of examinereceptacle": "ed0f1efe5483",
    "feedback of examineobject": "4e293ccda56d",
    "feedback of gotolocation": "96579bed3d44",
    "feedback of openobject": "faa10856be21",
    "feedback of closeobject": "b7f65d697c23",
    "feedback of pickupobject": "cfe315286394",
    "feedback of putobject": "302ea7c0cb7e",
    "feedback of cleanobject": "5c816146a973 f480fd012209",
    "feedback of heatobject": "f14ffc987516 0c6dac5530e0",
    "feedback of coolobject": "aceea4634bb8 ada5654c807f",
    "feedback of toggleobject": "f2f3a2989b5d 557c80d48294",
    "feedback of sliceobject": "b97c857f07d3 c720a5731ee1",
    "feedback of help": "608bde8d9e5d d3543ee12276 be31b096fa51",
}

_ACTIONS = frozenset(part.removeprefix("action ") for part in _KNOWN if part.startswith("action "))
