"""Thinking and actions in replies, compared with the patterns that this library used before: they were quadratic."""

from __future__ import annotations

import random
import re

from agentgym_hindsight.hindsight.render import candidate_action, remove_thinking
from agentgym_hindsight.hindsight.spec import ContextOptions
from agentgym_hindsight.hindsight.trajectory import Step

_THINKING = re.compile(r"<think>.*?</think>\s*", re.DOTALL)
_ACTION = re.compile(r"<action>(.*?)</action>", re.IGNORECASE | re.DOTALL)
# Without regard to case, "i" also equals "\u0130" and "\u0131".
PIECES = (
    "<think>",
    "</think>",
    " ",
    "\n",
    "\u3000",
    "x",
    "<",
    "<action>",
    "</action>",
    "<ACTION>",
    "</Act\u0131on>",
    "<act\u0130on>",
)


def texts(count: int = 20_000) -> list[str]:
    draw = random.Random(0)
    return ["".join(draw.choice(PIECES) for _ in range(draw.randrange(10))) for _ in range(count)]


def test_thinking_is_removed_as_before() -> None:
    for text in texts():
        assert remove_thinking(text) == _THINKING.sub("", text), ascii(text)


def test_the_action_is_found_as_before() -> None:
    options = ContextOptions(remove_thinking=False)
    for text in filter(None, texts()):
        reply = text.strip()
        match = _ACTION.search(reply)
        expected = " ".join((match[1] if match else reply).split()).lower() or "(empty action)"
        step = Step(0, "", text, "", "", response=text)
        assert candidate_action(step, options) == expected, ascii(text)


def test_long_replies_are_read_at_once() -> None:
    """A reply of 210 kB took more than 25 seconds."""
    assert remove_thinking("<think>" * 30_000 + "x").endswith("<think>x")
    assert remove_thinking("<think>" * 30_000 + "</think> x") == "x"
