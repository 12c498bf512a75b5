"""Readers of the two notations of a call: JSON, and Python's ``name(argument=value)``. Neither evaluates code.

Both take time that is linear in the length of the text, and refuse values that later steps could not handle: deep
nesting, very long numbers, and numbers that JSON does not have.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "MOST_DEPTH",
    "MOST_DIGITS",
    "CallError",
    "ToolCall",
    "call_of_json",
    "clean_call",
    "read_json",
    "read_python_calls",
    "without_surrogates",
]

#: Nesting of lists and objects in the arguments of a call.
MOST_DEPTH = 32
#: Digits of a whole number. Python's own limit, above which printing a number raises an error, is 4,300.
MOST_DIGITS = 1_000

_SURROGATES = re.compile("[\ud800-\udfff]")
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<name>[^\W\d]\w*(?:\.[^\W\d]\w*)*)
    | (?P<string>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")
    | (?P<number>(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<mark>[\[\](){},=:+-])
    )""",
    re.VERBOSE | re.DOTALL,
)
_WORDS: Mapping[str, Any] = {"True": True, "true": True, "False": False, "false": False, "None": None, "null": None}


class CallError(ValueError):
    """A text that was meant as a call and cannot be read. The message says why."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call: the function's name, its arguments by name, and arguments by position (Python's notation only).

    >>> ToolCall("look", {"at": "desk"})
    ToolCall(name='look', arguments={'at': 'desk'}, positional=())
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    positional: tuple[Any, ...] = ()


def read_json(text: str, begin: int = 0) -> tuple[Any, int]:
    """The JSON value at a position of the text, and the position after it. Raises :class:`CallError`.

    >>> read_json('{"a": [1, 2]} rest')
    ({'a': [1, 2]}, 13)
    """
    try:
        value, end = _DECODER.raw_decode(text, begin)
    except RecursionError:
        raise CallError(f"it is nested deeper than {MOST_DEPTH} levels") from None
    except json.JSONDecodeError as error:
        raise CallError(f"it is not JSON: {error.msg} at character {error.pos - begin}") from None
    _check_depth(value)
    return value, end


def call_of_json(value: Any) -> ToolCall:
    """The call in a JSON object with ``name`` and ``arguments``. Raises :class:`CallError`.

    Some models write the arguments as the text of a JSON object, under ``parameters``, or the whole under ``function``.
    """
    if isinstance(value, dict) and isinstance(value.get("function"), dict):
        value = value["function"]
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise CallError('it has no "name" of a function')
    arguments = value.get("arguments", value.get("parameters", {}))
    if isinstance(arguments, str):
        arguments, _ = read_json(arguments, len(arguments) - len(arguments.lstrip()))
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        raise CallError('its "arguments" are not an object')
    return ToolCall(value["name"], arguments)


def read_python_calls(text: str, begin: int = 0) -> tuple[tuple[ToolCall, ...], int]:
    """The calls of ``[f(a=1), g("b")]`` or ``f(a=1)`` at a position, and the position after them.

    >>> read_python_calls("[move('a', to='b')] rest")
    ((ToolCall(name='move', arguments={'to': 'b'}, positional=('a',)),), 19)
    """
    scanner = _Scanner(text, begin)
    if scanner.text_of_next() != "[":
        return (scanner.call(),), scanner.position
    scanner.take("[")
    calls: list[ToolCall] = []
    while scanner.text_of_next() != "]":
        calls.append(scanner.call())
        if not scanner.skip(","):
            break
    scanner.take("]")
    return tuple(calls), scanner.position


class _Scanner:
    """Reads tokens from left to right, each once."""

    def __init__(self, text: str, begin: int) -> None:
        self.text, self.position = text, begin
        self._next: re.Match[str] | None = None
        self._depth = 0

    def token(self) -> re.Match[str]:
        if self._next is None:
            self._next = _TOKEN.match(self.text, self.position)
            if self._next is None:
                rest = self.text[self.position : self.position + 20].strip()
                raise CallError(f"it is not a call at {rest!r}" if rest else "it ends before the call is complete")
        return self._next

    def text_of_next(self) -> str:
        token = self.token()
        return token[token.lastgroup or 0]

    def advance(self) -> tuple[str, str]:
        token = self.token()
        self.position, self._next = token.end(), None
        kind = token.lastgroup or ""
        return kind, token[kind]

    def take(self, mark: str) -> None:
        _, text = self.advance()
        if text != mark:
            raise CallError(f"it has {text[:20]!r} where {mark!r} was expected")

    def skip(self, mark: str) -> bool:
        if self.text_of_next() != mark:
            return False
        self.advance()
        return True

    def call(self) -> ToolCall:
        kind, name = self.advance()
        if kind != "name":
            raise CallError(f"it has {name[:20]!r} where the name of a function was expected")
        self.take("(")
        arguments: dict[str, Any] = {}
        positional: list[Any] = []
        while self.text_of_next() != ")":
            token = self.token()
            if token.lastgroup == "name" and self.text.startswith("=", _end_of_space(self.text, token.end())):
                _, key = self.advance()
                self.take("=")
                if key in arguments:
                    raise CallError(f"it gives {key[:40]!r} twice")
                arguments[key] = self.value()
            elif arguments:
                raise CallError("it has an argument without a name after one with a name")
            else:
                positional.append(self.value())
            if not self.skip(","):
                break
        self.take(")")
        return ToolCall(name, arguments, tuple(positional))

    def value(self) -> Any:
        kind, text = self.advance()
        if kind == "string":
            return self._strings(text)
        if kind == "number":
            return _number(text)
        if kind == "name":
            if text not in _WORDS:
                raise CallError(f"it has the name {text[:40]!r} where a value was expected")
            return _WORDS[text]
        if text in "+-":
            kind, digits = self.advance()
            if kind != "number":
                raise CallError(f"it has {digits[:20]!r} where a number was expected")
            return -_number(digits) if text == "-" else _number(digits)
        if text not in "[({":
            raise CallError(f"it has {text!r} where a value was expected")
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise CallError(f"it is nested deeper than {MOST_DEPTH} levels")
        made = self._mapping() if text == "{" else self._sequence(")" if text == "(" else "]")
        self._depth -= 1
        return made

    def _strings(self, text: str) -> str:
        parts = [_string(text)]
        while self.position < len(self.text) and self.token().lastgroup == "string":  # adjacent strings are joined
            parts.append(_string(self.advance()[1]))
        return "".join(parts)

    def _sequence(self, closing: str) -> list[Any]:
        items: list[Any] = []
        while self.text_of_next() != closing:
            items.append(self.value())
            if not self.skip(","):
                break
        self.take(closing)
        return items

    def _mapping(self) -> dict[str, Any]:
        made: dict[str, Any] = {}
        while self.text_of_next() != "}":
            key = self.value()
            if not isinstance(key, str):
                raise CallError("it has a key that is not a text")
            self.take(":")
            made[key] = self.value()
            if not self.skip(","):
                break
        self.take("}")
        return made


def _end_of_space(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _string(token: str) -> str:
    try:
        value = ast.literal_eval(token)  # one string token: the expression above admits nothing else
    except (ValueError, SyntaxError):
        raise CallError(f"it has a text that cannot be read: {token[:40]}") from None
    return str(value)


def _number(token: str) -> int | float:
    text = token.replace("_", "")
    if any(mark in text for mark in ".eE"):
        return _real(text)
    return _whole(text)


def _whole(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise CallError(f"it has a number of more than {MOST_DIGITS} digits")
    return int(text)


def _real(text: str) -> float:
    if len(text) > MOST_DIGITS:
        raise CallError(f"it has a number of more than {MOST_DIGITS} digits")
    number = float(text)
    if math.isinf(number):
        raise CallError(f"it has a number that is too large: {text[:20]}")
    return number


def _no_constant(text: str) -> Any:
    raise CallError(f"it has {text}, which JSON does not have")


def _check_depth(value: Any) -> None:
    level: list[Any] = [value]
    for _ in range(MOST_DEPTH + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise CallError(f"it is nested deeper than {MOST_DEPTH} levels")


def without_surrogates(text: str) -> str:
    """The text with half characters replaced: no tokenizer and no file could store them.

    >>> without_surrogates("a\\ud800b")
    'a\\ufffdb'
    """
    return _SURROGATES.sub("\ufffd", text) if _SURROGATES.search(text) else text


def _clean(value: Any) -> Any:
    """A value without half characters in its texts. The nesting was checked before."""
    if isinstance(value, str):
        return without_surrogates(value)
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {without_surrogates(key): _clean(item) for key, item in value.items()}
    return value


def clean_call(call: ToolCall) -> ToolCall:
    """The call without half characters in its texts."""
    return ToolCall(without_surrogates(call.name), _clean(dict(call.arguments)), tuple(map(_clean, call.positional)))


_DECODER = json.JSONDecoder(parse_int=_whole, parse_float=_real, parse_constant=_no_constant, strict=False)
