"""Reading tool calls from actions: notations, spans, errors, limits and linear time."""

from __future__ import annotations

import json
import random

import pytest

from agentgym_hindsight.envs.tools import ToolCall, format_calls, read_action, signatures
from agentgym_hindsight.envs.tools.literals import MOST_DEPTH, MOST_DIGITS
from tests.growth import LINEAR, growth


def test_tagged_calls_in_order_with_their_span() -> None:
    text = (
        'I look first. <tool_call>{"name": "a", "arguments": {"x": [1, 2.5, null]}}</tool_call>\n'
        '<tool_call>\n{"name": "b"}\n</tool_call> done'
    )
    action = read_action(text)
    assert action.calls == (ToolCall("a", {"x": [1, 2.5, None]}), ToolCall("b", {}))
    assert action.span is not None
    assert text[slice(*action.span)].startswith('<tool_call>{"name": "a"')
    assert text[slice(*action.span)].endswith("}\n</tool_call>")
    assert not action.message
    assert not action.error


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "a", "arguments": {"x": 1}}',
        '[{"name": "a", "arguments": {"x": 1}}]',
        '```json\n{"name": "a", "arguments": {"x": 1}}\n```',
        '{"name": "a", "arguments": "{\\"x\\": 1}"}',
        '{"type": "function", "function": {"name": "a", "arguments": {"x": 1}}}',
        '{"name": "a", "parameters": {"x": 1}}',
        "[a(x=1)]",
        "a(x=1)",
        "<think>hm [b()]</think>\n[a(x=1)]",
        '<tool_call>{"name": "a", "arguments": {"x": 1}}',
    ],
)
def test_each_notation_of_one_call(text: str) -> None:
    assert read_action(text, names={"a"}).calls == (ToolCall("a", {"x": 1}),)


def test_json_objects_in_a_row() -> None:
    calls = read_action('{"name": "a"}\n{"name": "b", "arguments": {"x": 1}}').calls
    assert calls == (ToolCall("a", {}), ToolCall("b", {"x": 1}))
    assert read_action('{"name": "a"} and then').message == '{"name": "a"} and then'
    assert read_action('{"name": "a"}\n{"name": ').error


def test_python_values() -> None:
    text = "[f('it\\'s', -2, 3.5, True, none=None, d={'k': [1, (2,)]}, s=\"a\" 'b')]"
    (call,) = read_action(text).calls
    assert call.positional == ("it's", -2, 3.5, True)
    assert call.arguments == {"none": None, "d": {"k": [1, [2]]}, "s": "ab"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Is your order #W1 (the lamp)?", "Is your order #W1 (the lamp)?"),
        ("<think>secret</think> Hello", "Hello"),
        ("unknown(x=1)", "unknown(x=1)"),
        ("[note] see (1)", "[note] see (1)"),
        ("{curly} words", "{curly} words"),
    ],
)
def test_a_text_without_a_call_is_a_message(text: str, message: str) -> None:
    action = read_action(text, names={"a"})
    assert (action.calls, action.message, action.error) == ((), message, "")
    assert action.span is not None
    assert text[slice(*action.span)] == message


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n ",
        "<think>never ends: [a(x=1)]",
        "<tool_call>",
        "<tool_call>look</tool_call>",
        '<tool_call>{"name": 3}</tool_call>',
        '<tool_call>{"name": "a", "arguments": [1]}</tool_call>',
        '<tool_call>{"name": "a"} and then</tool_call>',
        '{"name": "a", "arguments": {"x": NaN}}',
        '{"name": "a", "arguments": {"x": 1e999}}',
        '{"name": "a", "arguments": {"x": ' + "9" * (MOST_DIGITS + 1) + "}}",
        '{"name": "a", "arguments": {"x": ' + "[" * 100 + "]" * 100 + "}}",
        '{"name": "a", "arguments": {"x": ' + "[" * 50_000,
        "[a(x=" + "[" * 100 + "]" * 100 + ")]",
        "[a(x=" + "9" * (MOST_DIGITS + 1) + ")]",
        "[a(x=__import__('os'))]",
        "[a(x=1+1)]",
        "[a(x=b)]",
        "[a(x=1, x=2)]",
        "[a(x=1, 2)]",
        "[a(x='\\x')]",
        "[a(x=1)] [b(x=1)]",
        "a(x=1",
        "\n".join(['<tool_call>{"name": "a"}</tool_call>'] * 65),
    ],
)
def test_what_cannot_be_read_says_why_and_calls_nothing(text: str) -> None:
    action = read_action(text, names={"a"})
    assert action.calls == ()
    assert action.error or text == "a(x=1"  # an unfinished call without brackets is a message
    assert len(action.error) < 200


def test_formatted_calls_are_read_back_and_contain_no_tags() -> None:
    calls = (ToolCall("a", {"x": "</tool_call><think> ü 😀", "y": [1, {"z": None}]}), ToolCall("b", {}))
    assert read_action(format_calls(calls)).calls == calls
    assert format_calls(calls).count("</tool_call>") == 2


def test_half_characters_are_replaced() -> None:
    (call,) = read_action('{"name": "a", "arguments": {"x": "\\ud800"}}').calls
    assert call.arguments["x"] == "\ufffd"
    assert read_action("hi \udfff").message == "hi \ufffd"


def test_reading_never_raises_and_never_runs_code() -> None:
    pieces = ["<tool_call>", "</tool_call>", "{", "}", "[", "]", '"name"', ":", '"a"', ",", "a(", ")", "x=", "1", "-"]
    pieces += [
        "'",
        '"',
        "\\",
        "<think>",
        "</think>",
        "```json\n",
        "```",
        " ",
        "\n",
        "é",
        "\ud800",
        "9" * 50,
        "import os",
    ]
    draw = random.Random(0)
    for _ in range(4000):
        text = "".join(draw.choice(pieces) for _ in range(draw.randrange(1, 25)))
        action = read_action(text, names={"a"})
        assert bool(action.calls) + bool(action.message) + bool(action.error) == 1 or action.calls == ()


@pytest.mark.parametrize(
    "piece", ["<tool_call>", '{"', '\\"', "<think>", "[a(", "a(x='", "'", "```\n", "(", "[", " ", '{"name": "a"},']
)
def test_reading_is_linear(piece: str) -> None:
    assert growth(lambda size: read_action(piece * size, names={"a"}), 20_000 // len(piece)) < LINEAR


def test_signatures_list_types_and_choices() -> None:
    schema = {
        "type": "function",
        "function": {
            "name": "pay",
            "parameters": {
                "properties": {
                    "by": {"enum": ["card", "cash"]},
                    "rows": {"type": "array", "items": {"properties": {"id": {}, "amount": {}}}},
                },
                "required": ["by", "rows"],
            },
        },
    }
    assert signatures([schema]) == "pay(by: 'card' | 'cash', rows: array of {id, amount})"
    assert json.loads(json.dumps(schema)) == schema


def test_the_depth_limit_is_generous_enough() -> None:
    nested = "[" * (MOST_DEPTH - 2) + "]" * (MOST_DEPTH - 2)
    assert read_action('{"name": "a", "arguments": {"x": ' + nested + "}}").calls
    assert read_action(f"[a(x={nested})]").calls
