"""Types of API parameters: the values that a type hint allows, as text and as a check of untrusted values."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from agentgym_hindsight.envs.appworld.failures import ApiFailure

__all__ = [
    "Clock",
    "Day",
    "Email",
    "Kind",
    "Line",
    "Moment",
    "Money",
    "Quantity",
    "Query",
    "Rule",
    "Stars",
    "Text",
    "kind_of",
    "quoted",
    "suggestion",
    "value_text",
]

_LONGEST_TEXT = 20_000
_LONGEST_LIST = 50
_LARGEST = 10**12
_NAMES: dict[type, str] = {
    int: "integer",
    float: "number",
    str: "string",
    bool: "boolean",
    type(None): "null",
    list: "list",
    dict: "object",
}


class Rule(NamedTuple):
    """A condition on a value, in addition to its type."""

    text: str
    holds: Callable[[Any], bool]


def _parses(read: Callable[[str], object], form: str) -> Callable[[str], bool]:
    def holds(value: str) -> bool:
        try:
            read(value)
        except ValueError:
            return False
        return re.fullmatch(form, value, re.ASCII) is not None

    return holds


def _between(low: float, high: float) -> Rule:
    return Rule(f"{low} to {high}", lambda value: low <= value <= high)


Line = Annotated[str, Rule("1 to 200 characters", lambda value: len(value.strip()) >= 1 and len(value) <= 200)]
Text = Annotated[str, Rule(f"at most {_LONGEST_TEXT} characters", lambda value: len(value) <= _LONGEST_TEXT)]
Query = Annotated[str, Rule("at most 200 characters", lambda value: len(value) <= 200)]
Email = Annotated[str, Rule("an email address", lambda value: bool(re.fullmatch(r"[^@\s]{1,64}@[^@\s]{1,100}", value)))]
Day = Annotated[str, Rule("a date as YYYY-MM-DD", _parses(date.fromisoformat, r"\d{4}-\d\d-\d\d"))]
Moment = Annotated[
    str, Rule("a time as YYYY-MM-DDTHH:MM:SS", _parses(datetime.fromisoformat, r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"))
]
Clock = Annotated[
    str, Rule("a time of day as HH:MM", lambda value: bool(re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value)))
]
Money = Annotated[
    float,
    Rule("0.01 to 100000, in whole cents", lambda value: 0.01 <= value <= 100_000 and round(value, 2) == value),
]
Quantity = Annotated[int, _between(1, 99)]
Stars = Annotated[int, _between(1, 5)]


class Kind(NamedTuple):
    """The values that a parameter accepts."""

    types: tuple[type, ...]
    items: tuple[type, ...] = ()  # of a list
    choices: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()

    @property
    def text(self) -> str:
        """The type as text, such as "integer", "list of strings" or "string or null"."""
        items = f"list of {' or '.join(f'{_NAMES[item]}s' for item in self.items)}"
        return " or ".join(items if kind is list else _NAMES[kind] for kind in self.types)

    @property
    def constraints(self) -> tuple[str, ...]:
        """The conditions besides the type, as text."""
        listed = (f"one of {', '.join(self.choices)}",) if self.choices else ()
        return (*listed, *(rule.text for rule in self.rules))

    def check(self, name: str, value: Any) -> Any:
        """Return the value in its canonical form. A wrong value is a failure that names the expected values."""
        if type(value) is int and int not in self.types and float in self.types and abs(value) <= _LARGEST:
            value = float(value)
        if type(value) not in self.types:
            raise ApiFailure(422, f"Expected {name} as {self.text}, got {value_text(value)}.")
        if value is None:
            return None
        if type(value) is list:
            return self._check_list(name, value)
        _check_scalar(name, value)
        self._check_rules(name, value)
        return value

    def _check_list(self, name: str, values: list[Any]) -> list[Any]:
        if len(values) > _LONGEST_LIST:
            raise ApiFailure(422, f"Expected {name} with at most {_LONGEST_LIST} items, got {len(values)}.")
        for value in values:
            if type(value) not in self.items:
                raise ApiFailure(422, f"Expected {name} as {self.text}, got a list with {value_text(value)}.")
            _check_scalar(name, value)
            self._check_rules(name, value)
        return list(values)

    def _check_rules(self, name: str, value: Any) -> None:
        if self.choices and value not in self.choices:
            hint = suggestion(value, self.choices)
            raise ApiFailure(
                422, f"Expected {name} as one of {', '.join(self.choices)}, got {value_text(value)}.{hint}"
            )
        for rule in self.rules:
            if not rule.holds(value):
                raise ApiFailure(422, f"Expected {name} as {rule.text}, got {value_text(value)}.")


def _check_scalar(name: str, value: Any) -> None:
    if isinstance(value, str):
        if len(value) > _LONGEST_TEXT:
            raise ApiFailure(422, f"Expected {name} with at most {_LONGEST_TEXT} characters, got {len(value)}.")
        if "\x00" in value or not _encodable(value):
            raise ApiFailure(422, f"Expected {name} as plain Unicode text, got a NUL or half a character in it.")
    elif isinstance(value, float) and not (math.isfinite(value) and abs(value) <= _LARGEST):
        raise ApiFailure(422, f"Expected {name} as a finite number up to {_LARGEST}, got {value_text(value)}.")
    elif type(value) is int and abs(value) > _LARGEST:
        raise ApiFailure(422, f"Expected {name} as an integer up to {_LARGEST}, got a larger one.")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def kind_of(annotation: Any) -> Kind:
    """Return the values that a type hint allows.

    >>> kind_of(list[str]).text, kind_of(int | None).text, kind_of(Literal["inbox", "sent"]).constraints
    ('list of strings', 'integer or null', ('one of inbox, sent',))
    """
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *rules = get_args(annotation)
        kind = kind_of(inner)
        return kind._replace(rules=(*kind.rules, *(rule for rule in rules if isinstance(rule, Rule))))
    if origin in (Union, UnionType):
        parts = [kind_of(part) for part in get_args(annotation)]
        return Kind(
            tuple(kind for part in parts for kind in part.types),
            next((part.items for part in parts if part.items), ()),
            tuple(choice for part in parts for choice in part.choices),
            tuple(rule for part in parts for rule in part.rules),
        )
    if origin is Literal:
        return Kind((str,), choices=get_args(annotation))
    if origin is list:
        inner = kind_of(get_args(annotation)[0])
        return Kind((list,), inner.types, inner.choices, inner.rules)
    return Kind((annotation,))


def suggestion(name: object, known: Sequence[str]) -> str:
    """Return " Did you mean …?" with the nearest known name, or "" if no name is near."""
    matches = get_close_matches(name[:100], known, n=1) if isinstance(name, str) else []
    return f" Did you mean '{matches[0]}'?" if matches else ""


def value_text(value: object) -> str:
    """Format any value for a message: its type and the beginning of its text.

    >>> value_text("five"), value_text(None), value_text([1])
    ("string 'five'", 'null', 'a list')
    """
    kind = type(value)
    if value is None:
        return "null"
    if kind is str and isinstance(value, str):
        return f"string {quoted(value)}"
    if kind is bool:
        return f"boolean {str(value).lower()}"
    if kind is float or (kind is int and isinstance(value, int) and abs(value) < 10**30):
        return f"{_NAMES[kind]} {value}"
    if kind is int:
        return "a very large integer"
    return f"a {_NAMES.get(kind, 'value that JSON does not know')}" if kind is not dict else "an object"


def quoted(text: str) -> str:
    """Return the beginning of a text in quotation marks, with surrogates escaped so that it can be encoded."""
    return f"'{text[:60].encode('utf-8', 'backslashreplace').decode()}{'…' if len(text) > 60 else ''}'"
