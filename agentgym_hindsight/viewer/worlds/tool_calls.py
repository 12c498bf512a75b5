"""Tool calls as cards: the name of the tool, its arguments, and the values that it returned."""

from __future__ import annotations

import json
from typing import Any

from agentgym_hindsight.envs.tools.actions import read_action
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.markup import Html, tag
from agentgym_hindsight.viewer.worlds.plain import block, cut
from agentgym_hindsight.viewer.worlds.program import program_reply

__all__ = ["call_line", "tool_action", "tool_reply"]

_LONGEST, _MOST_ROWS, _DEEPEST = 200_000, 60, 4


def call_line(text: str) -> str:
    """The calls of an action as ``name(argument: value)``; the text itself if there are none.

    >>> call_line('<tool_call>{"name": "look", "arguments": {"at": 1}}</tool_call>')
    'look(at: 1)'
    """
    calls = read_action(text[:_LONGEST]).calls
    shown = (f"{call.name}({', '.join(f'{key}: {value}' for key, value in call.arguments.items())})" for call in calls)
    return " ".join(shown) or text


def tool_action(trajectory: Trajectory, place: int) -> Html:
    """A card for each call; a message to the user as a quotation."""
    text = trajectory.steps[place].action
    action = read_action(text[:_LONGEST])
    if not action.calls:
        return tag(
            "blockquote", tag("p", "To the user", class_="soft"), block(action.message or text), class_="message"
        )
    cards = [
        tag(
            "div",
            tag("span", "call ", class_="soft"),
            tag("b", cut(call.name, 200)),
            _values(call.arguments) if call.arguments else tag("p", "no arguments", class_="soft"),
            class_="tool",
        )
        for call in action.calls[:20]
    ]
    return tag("div", *cards)


def tool_reply(trajectory: Trajectory, place: int) -> Html:
    """What a tool returned as a table of its values; the user's words as a quotation."""
    text = trajectory.steps[place].feedback
    if text.startswith("User: "):
        said = tag("blockquote", tag("p", "The user", class_="soft"), block(text[6:]), class_="message")
        checks = trajectory.steps[place].extra.get("evaluation")
        return tag("div", said, program_reply(trajectory, place) if checks else "")
    name, found, rest = text[:_LONGEST].partition(": ")
    if found and len(name) < 100 and rest[:1] in ("{", "["):
        try:
            value = json.loads(rest)
        except (ValueError, RecursionError):
            return program_reply(trajectory, place)
        raw = tag("details", tag("summary", "as the model reads it"), block(text), class_="fold")
        return tag(
            "div",
            tag("div", tag("span", "result of ", class_="soft"), tag("b", name), _values(value), class_="tool"),
            raw,
        )
    return program_reply(trajectory, place)


def _values(value: Any, depth: int = 0) -> Html:
    """A JSON value as nested lists of names and values."""
    if depth >= _DEEPEST or not isinstance(value, (dict, list)):
        try:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        except (ValueError, RecursionError, TypeError):
            text = "(nested too deeply)"
        return tag("span", cut(text, 2000))
    pairs = list(value.items()) if isinstance(value, dict) else [(str(place), each) for place, each in enumerate(value)]
    rows = [
        tag("div", tag("dt", cut(str(key), 200)), tag("dd", _values(each, depth + 1)))
        for key, each in pairs[:_MOST_ROWS]
    ]
    more = tag("p", f"… {len(pairs) - _MOST_ROWS} more", class_="soft") if len(pairs) > _MOST_ROWS else ""
    return tag("div", tag("dl", *rows), more)
