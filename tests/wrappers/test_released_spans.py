"""The spans of actions as SERL's release finds them; each case follows its rules by hand."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from agentgym_hindsight.wrappers.parsing import action_spans
from agentgym_hindsight.wrappers.released_spans import released_action_spans

_BOTH = [
    ("<think>so action look</think><action>look</action>", ["look"]),
    ("<ACTION id=1>look</Action>", ["look"]),
    ("<action>a</action> and <action>b</action>", ["a", "b"]),
    ("[action>look</action>]", ["look"]),
    ("so action>look</action>", ["look"]),
    ("<action><action>look</action></action>", ["<action>look"]),
    ("hm <action>look <action>there", ["look <action>there"]),
    ("search[red shoes] then click[Buy Now]", ["search[red shoes]", "click[Buy Now]"]),
    ("search[a search[b] c]", ["search[a search[b]"]),
    ("search[never closed", []),
    ("<actions>look", []),
    ("<action id click[a]", ["click[a]"]),  # the attributes never end
    ("<action id <b>look</action>", ["look"]),  # the ">" of a later word ends them
    ("</action></action>", []),
    ("", []),
]
_OTHER = [
    # "action>" is also the end of a closing tag and of longer words.
    ("</action> so <action>look</action>", [" so <action>look"]),
    ("reaction>look</action>", ["look"]),
    # A closing tag has no blank; then the action goes on to the end.
    ("<action>look</action > so", ["look</action > so"]),
    # The first tag has a closing one; the name is followed by anything that is not a letter.
    ("<action-x>look</action>", ["look"]),
    # An empty action is none; the fall-backs follow.
    ("<action></action> click[a]", ["</action> click[a]"]),
    ("click[a] <action>", ["click[a]"]),
    ("search[a\nb] click[c]", ["click[c]"]),
    ("search[a click[b\nc] click[d]", ["click[d]"]),
    # The case of Unicode: a dotless i is an i.
    ("<act\u0131on>look</action>", ["look"]),
]


def inside(response: str) -> list[str]:
    return [response[begin:end] for begin, end in released_action_spans(response)]


@pytest.mark.parametrize(("response", "expected"), [*_BOTH, *_OTHER])
def test_released_spans(response: str, expected: list[str]) -> None:
    assert inside(response) == expected


@pytest.mark.parametrize(("response", "expected"), _BOTH)
def test_ours_agree(response: str, expected: list[str]) -> None:
    assert action_spans(response) == released_action_spans(response)


@pytest.mark.parametrize("response", [response for response, _ in _OTHER])
def test_ours_differ(response: str) -> None:
    assert action_spans(response) != released_action_spans(response)


def test_spans_are_ordered_and_apart() -> None:
    pieces = ["<action>", "</action>", "[action>", "action>", "<action ", ">", "x", "click[a]", "\n"]
    chance = random.Random(3)
    for _ in range(2000):
        response = "".join(chance.choices(pieces, k=chance.randrange(9)))
        spans = released_action_spans(response)
        assert all(begin < end <= len(response) for begin, end in spans)
        assert all(one[1] < other[0] for one, other in pairwise(spans))
