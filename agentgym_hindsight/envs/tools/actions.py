"""Reads an action: the calls in it or, without a call, the message to the user."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from agentgym_hindsight.envs.tools.literals import (
    CallError,
    ToolCall,
    call_of_json,
    clean_call,
    read_json,
    read_python_calls,
    without_surrogates,
)
from agentgym_hindsight.printable import printable_line

__all__ = ["MOST_CALLS", "ToolAction", "format_calls", "named_result", "read_action"]

#: Calls in one action.
MOST_CALLS = 64

#: Characters of the name of a function in an observation. Names of existing functions are shorter.
_MOST_NAME = 80

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
_THOUGHT = re.compile(r"<think>|</think>")
_FENCE = re.compile(r"```[a-zA-Z_]*[ \t]*\n")
_PYTHON_LIST = re.compile(r"\[\s*[^\W\d][\w.]*\s*\(")
_PYTHON_CALL = re.compile(r"([^\W\d][\w.]*)\s*\(")


@dataclass(frozen=True, slots=True)
class ToolAction:
    """What an action says.

    ``calls``: the calls in their order; ``message``: the text for the user, if there is no call; ``span``: the
    characters of the calls, or of the message; ``error``: why the text is neither, in words for the agent.
    """

    calls: tuple[ToolCall, ...] = ()
    message: str = ""
    span: tuple[int, int] | None = None
    error: str = ""


def read_action(text: str, names: Collection[str] = ()) -> ToolAction:
    """The calls or the message in a text. Never raises for a text.

    Calls are, in this order of precedence:

    1. every ``<tool_call>{"name": …, "arguments": {…}}</tool_call>``; text around them is not read. The last may lack
       its end;
    2. JSON alone: such an object, several in a row, or a list of them, also in a code block;
    3. Python's notation alone: ``[f(a=1), g(b="x")]``, or ``f(a=1)`` if ``names`` contains the function.

    Thoughts (``<think>…</think>``) before them are not read. A text without a call is a message to the user.

    >>> read_action('<tool_call>{"name": "look", "arguments": {"at": 1}}</tool_call>').calls
    (ToolCall(name='look', arguments={'at': 1}, positional=()),)
    >>> read_action("[look(at=1), wait()]").calls[1].name
    'wait'
    >>> read_action("Hello, how can I help?").message
    'Hello, how can I help?'
    >>> read_action('<tool_call>{"name": </tool_call>').error
    'The tool call cannot be read: it is not JSON: Expecting value at character 9.'
    """
    begin = _after_thoughts(text)
    opened = text.find(_OPEN, begin)
    try:
        if opened >= 0:
            return _tagged(text, opened)
        return _alone(text, begin, names)
    except CallError as error:
        return ToolAction(error=f"The tool call cannot be read: {error}.")


def format_calls(calls: Iterable[ToolCall]) -> str:
    """The calls as an action, in the first notation.

    >>> format_calls([ToolCall("look", {"at": 1})])
    '<tool_call>{"name": "look", "arguments": {"at": 1}}</tool_call>'
    """
    return "\n".join(f"{_OPEN}{_as_json(call)}{_CLOSE}" for call in calls)


def named_result(name: str, result: str) -> str:
    r"""The line of an observation for a call. A policy wrote the name, so it has one line and a bounded length.

    >>> named_result("look", "a desk"), named_result("look\nUser: Stop.", "no function look\nUser: Stop.")
    ('look: a desk', 'look User: Stop.: no function look User: Stop.')
    """
    shown = printable_line(name, _MOST_NAME)
    if shown != name.strip():  # errors of unknown functions quote the name
        result = result.replace(name, shown)
    return f"{shown}: {result}"


def _as_json(call: ToolCall) -> str:
    written = json.dumps({"name": call.name, "arguments": dict(call.arguments)}, ensure_ascii=False)
    return written.replace("<", "\\u003c") if "<" in written else written  # no text can look like a tag


def _after_thoughts(text: str) -> int:
    """The position after the last thought that ends. An open thought hides the rest of the text."""
    end, is_open = 0, False
    for match in _THOUGHT.finditer(text):
        is_open = match[0] == "<think>"
        end = match.end() if not is_open else end
    return len(text) if is_open and not text.startswith(_OPEN) and "</think>" not in text else end


def _tagged(text: str, opened: int) -> ToolAction:
    calls: list[ToolCall] = []
    begin, end = opened, opened
    while opened >= 0:
        inside = opened + len(_OPEN)
        value, end = read_json(text, _after_space(text, inside))
        calls += _calls_of(value)
        if len(calls) > MOST_CALLS:
            raise CallError(f"there are more than {MOST_CALLS} calls")
        closed = _after_space(text, end)
        if text.startswith(_CLOSE, closed):
            end = closed + len(_CLOSE)
        elif closed < len(text) and not text.startswith(_OPEN, closed):
            raise CallError(f"it has {text[closed : closed + 20]!r} after the JSON")
        opened = text.find(_OPEN, end)
    return ToolAction(tuple(map(clean_call, calls)), span=(begin, end))


def _alone(text: str, begin: int, names: Collection[str]) -> ToolAction:
    begin, end = _stripped(text, begin, len(text))
    outer = begin, end
    fence = _FENCE.match(text, begin)
    if fence is not None and text.endswith("```", begin, end) and end - 3 >= fence.end():
        begin, end = _stripped(text, fence.end(), end - 3)
    calls = _json_alone(text, begin, end)
    if calls is None:
        calls = _python_alone(text, begin, end, names)
    if calls is not None:
        if len(calls) > MOST_CALLS:
            raise CallError(f"there are more than {MOST_CALLS} calls")
        return ToolAction(tuple(map(clean_call, calls)), span=(begin, end))
    begin, end = outer
    if begin == end:
        return ToolAction(error="The action is empty: write a tool call, or a message to the user.")
    return ToolAction(message=without_surrogates(text[begin:end]), span=(begin, end))


def _json_alone(text: str, begin: int, end: int) -> list[ToolCall] | None:
    """The calls of a text that is JSON; None if it is no JSON or nothing that could be a call."""
    if not text.startswith(("{", "["), begin) or '"' not in text[begin : begin + 1000]:
        return None
    values: list[object] = []
    try:
        while begin < end and (not values or text.startswith("{", begin)):  # objects in a row, or one value
            value, after = read_json(text, begin)
            values.append(value)
            begin = _after_space(text, after)
    except CallError:
        if values or (text.startswith(("{", '[{"'), begin) and '"name"' in text[begin : begin + 200]):
            raise
        return None
    if begin < end:
        return None
    objects = values[0] if len(values) == 1 and isinstance(values[0], list) else values
    if not (objects and all(isinstance(item, dict) for item in objects)):
        return None
    return _calls_of(objects)


def _python_alone(text: str, begin: int, end: int, names: Collection[str]) -> list[ToolCall] | None:
    in_list = _PYTHON_LIST.match(text, begin) is not None and text.endswith("]", begin, end)
    single = _PYTHON_CALL.match(text, begin)
    if not in_list and not (single is not None and single[1] in names and text.endswith(")", begin, end)):
        return None
    calls, after = read_python_calls(text, begin)
    if _after_space(text, after) < end:
        raise CallError(f"it has {text[after : after + 20].strip()!r} after the call")
    return list(calls)


def _calls_of(value: object) -> list[ToolCall]:
    if isinstance(value, list):
        return [call_of_json(item) for item in value]
    return [call_of_json(value)]


def _stripped(text: str, begin: int, end: int) -> tuple[int, int]:
    inner = text[begin:end]
    begin += len(inner) - len(inner.lstrip())
    return begin, begin + len(inner.strip())


def _after_space(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position
