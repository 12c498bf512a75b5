from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.wrappers.parsing import (
    PARSERS,
    ParsedAction,
    action_spans,
    format_response,
    parse_response,
)


def inside(response: str) -> list[str]:
    return [response[start:end] for start, end in action_spans(response)]


@pytest.mark.parametrize(
    ("response", "text", "valid"),
    [
        ("<think>a</think><action>go to desk 1</action>", "go to desk 1", True),
        ("<think>a</think>\n<action>\n Go To Desk 1 \n</action> bye", "go to desk 1", True),
        ("<think>a</think><ACTION>look</Action>", "look", True),
        ("<think>a</think><action>one</action><action>two</action>", "one", True),
        ("<think>a</think><action><action>in</action></action>", "<action>in", True),
        ("<action>look</action>", "look", False),
        ("<THINK>a</THINK><action>look</action>", "look", False),  # only the action tags are case-insensitive
        ("<think>a<action>look</action>", "look", False),
        ("<think>\u4e00</think><action>look</action>", "look", False),
        ("<think>\u9fff</think><action>look</action>", "look", False),
        ("<think>\u3042 \uac00</think><action>look</action>", "look", True),  # kana and hangul are outside of the range
        ("<think>a</think><action>look", "<think>a</think><action>look"[-30:], False),
        ("<think>a</think><action id='1'>look</action>", "</think><action id='1'>look</action>"[-30:], False),
        ("I WOULD GO TO THE DESK AND LOOK AROUND THERE", "to the desk and look around there"[-30:], False),
        ("", "", False),
        ("<think>a</think></action><action>look", "", True),  # both tags exist, with nothing between them
        ("<think>a</think><action></action>", "", True),
    ],
)
def test_verl_agent(response: str, text: str, valid: bool) -> None:
    parsed = parse_response(response)
    assert (parsed.text, parsed.valid) == (text, valid)
    assert bool(parsed.reason) is not valid
    if parsed.span is not None:
        start, end = parsed.span
        assert response[start:end].strip().lower() == parsed.text


def test_verl_agent_sends_the_tail_of_a_response_without_tags() -> None:
    response = "ABCDEFGHIJ" * 5
    assert parse_response(response, world="alfworld").text == response.lower()[-30:]
    assert parse_response(response, world="webshop").text == response.lower()[-20:]
    assert parse_response(response, world="alfworld").span is None


def test_spans_refer_to_the_original_if_lower_case_is_longer() -> None:
    response = "<think>İİİİ</think><action>go to İ 1</action>"
    assert len(response.lower()) > len(response)
    parsed = parse_response(response)
    assert parsed.span is not None
    start, end = parsed.span
    assert response[start:end] == "go to İ 1"
    assert parsed.text == "go to İ 1".lower()
    assert inside(response) == ["go to İ 1"]


def test_only_ascii_case_is_folded() -> None:
    assert not parse_response("<think>a</think><actİon>look</actİon>").valid
    assert action_spans("<actıon>look</actıon>") == ()


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("go to desk 1", ParsedAction("go to desk 1", (0, 12))),
        ("> go to desk 1\n> look", ParsedAction("go to desk 1", (2, 14))),
        ("\n\n  >  act: go  \nrest", ParsedAction("go", (12, 14))),
        ("ACT: go", ParsedAction("go", (5, 7))),
        ("> think: the desk\nmore", ParsedAction("think: the desk", None, True, "", True)),
        ("think:", ParsedAction("think: ", None, True, "", True)),
        ("thinking hard", ParsedAction("thinking hard", (0, 13))),
        ("", ParsedAction("", None, False, "no action")),
        (">", ParsedAction("", None, False, "no action")),
        ("> \n", ParsedAction("", None, False, "no action")),
    ],
)
def test_react(response: str, expected: ParsedAction) -> None:
    assert parse_response(response, "react-2022") == expected


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("  Go West \n", ParsedAction("Go West", (2, 9))),
        ("a\nb", ParsedAction("a\nb", (0, 3))),
        (" \n", ParsedAction("", None, False, "no action")),
    ],
)
def test_plain(response: str, expected: ParsedAction) -> None:
    assert parse_response(response, "plain") == expected


@pytest.mark.parametrize("parser", PARSERS)
def test_every_parser_parses_its_own_format(parser: str) -> None:
    parsed = parse_response(format_response("go to desk 1", parser), parser)
    assert parsed.text == "go to desk 1"
    assert parsed.valid
    assert not parsed.thought


def test_bad_arguments() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'plain'"):
        parse_response("look", "plane")
    with pytest.raises(UnknownNameError):
        format_response("look", "plane")
    with pytest.raises(UsageError, match="as text, got bytes"):
        parse_response(b"look")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("<action>look</action>", ["look"]),
        ("<ACTION>look</ACTION>", ["look"]),
        ("<action id=1>look</action>", ["look"]),
        ("<action\nid=1>look</action >", ["look"]),
        ("<action>a\nb</action>", ["a\nb"]),
        ("<action>a</action> and <action>b</action>", ["a", "b"]),
        ("[action>look</action>", ["look"]),
        ("so action>look</action>", ["look"]),
        ("<action><action>look</action></action>", ["<action>look"]),  # up to the first closing tag
        ("<action>[action>look</action>", ["[action>look"]),
        ("<action>search[a]</action> click[b]", ["search[a]"]),  # calls count only if there are no tags
        ("hm <action>look", ["look"]),
        ("hm <action>look <action>there", ["look <action>there"]),
        ("<action>a</action> <action>b", ["a"]),  # an unclosed tag counts only if no tag is closed
        ("action> look", []),  # a damaged opening tag alone is plain text
        ("search[red shoes] then click[Buy Now]", ["search[red shoes]", "click[Buy Now]"]),
        ("Search[x]", ["Search[x]"]),
        ("search[a search[b] c]", ["search[a search[b]"]),
        ("search[never closed", []),
        ("</action>", []),
        ("<actions>look</actions>", []),
        ("reaction>look</action>", []),
        ("", []),
    ],
)
def test_action_spans(response: str, expected: list[str]) -> None:
    assert inside(response) == expected


def test_spans_are_ordered_and_do_not_overlap() -> None:
    for response in ("<action>a</action>" * 5, "click[a]" * 5, "<action>[action>x</action>action>y</action>"):
        spans = action_spans(response)
        assert list(spans) == sorted(spans)
        assert all(one[1] <= other[0] for one, other in pairwise(spans))


ADVERSARIAL = [
    "<action>",
    "<action",
    "<action ",
    "<action <",
    "</action",
    "</action ",
    "[action>",
    "action>",
    "<think>",
    "search[",
    "click[a",
    "]",
    ">",
    "> ",
    "\n",
    " ",
    "think:",
    "<action>a</action",
    "İ",
    "\ud800",
]


@pytest.mark.parametrize("piece", ADVERSARIAL)
@pytest.mark.parametrize(
    "read", [action_spans, *(lambda text, p=parser: parse_response(text, p) for parser in PARSERS)]
)
def test_a_hundred_kilobytes_are_parsed_in_linear_time(piece: str, read: Callable[[str], object]) -> None:
    response = piece * (100_000 // len(piece))
    start = time.process_time()  # CPU time, so that other processes have no effect
    read(response)
    read(f"<action>{response}")
    read(f"</action{' ' * 50_000}{response}")
    assert time.process_time() - start < 1.0


@pytest.mark.parametrize(
    ("response", "text", "valid"),
    [
        ("<think>a</think><code>print(1)</code>", "print(1)", True),
        ("<think>a</think><code>\n  Print(1)\n</code> bye", "\n  Print(1)\n", True),  # white space and case stay
        ("<code>print(1)</code>", "print(1)", False),
        ("<think>a</think><code>print(1)", "<think>a</think><code>print(1)", False),
        ("<think>a</think></code><code>print(1)", "", True),  # the closing tag comes first
        ("x" * 150, "x" * 100, False),
    ],
)
def test_code_tags(response: str, text: str, valid: bool) -> None:
    """AppWorld's format in SERL's release."""
    parsed = parse_response(response, "code-tags", world="appworld")
    assert (parsed.text, parsed.valid) == (text, valid)
