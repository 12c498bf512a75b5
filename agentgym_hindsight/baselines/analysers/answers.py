"""Reads the JSON in what a model wrote. Every function accepts any text, and is linear in its length."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

__all__ = ["answer_object", "entries_of", "first_of_each", "place_of", "text_of", "without_thinking", "yes_or_no"]

_DECODER = json.JSONDecoder()
_MOST_STARTS = 8  # braces at which an object is looked for; each costs at most one scan of the text
_MOST_DIGITS = 6
_NOTHING = frozenset({"", "none", "n/a", "na", "null", "nothing", "-"})


def without_thinking(text: str) -> str:
    """The text after the model's thinking. Thinking may lack its opening tag; if it never ends, nothing follows it.

    >>> without_thinking("Hm, step 2 or 3?</think> Step 2.")
    'Step 2.'
    """
    after = text.rpartition("</think>")[2]
    return after.partition("<think>")[0].strip()


def answer_object(text: str) -> dict[str, Any] | None:
    """The first JSON object in an answer, or ``None``. Thinking, fences and sentences around it are skipped.

    >>> answer_object('Sure! In {short}: ```json {"step": 2} ```')
    {'step': 2}
    """
    rest = without_thinking(text)
    position = -1
    for _ in range(_MOST_STARTS):
        position = rest.find("{", position + 1)
        if position < 0:
            return None
        try:
            value, _end = _DECODER.raw_decode(rest, position)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            return value
    return None


def entries_of(value: object) -> list[dict[str, Any]]:
    """The objects in a list; everything else is dropped."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def place_of(number: object, count: int) -> int | None:
    """The place of a turn that a model counts from 1, or ``None`` if there is no such turn. 2.0 and "2" are 2.

    >>> [place_of(number, 3) for number in (1, 2.0, "3", 0, 4, 1.5, True, float("nan"), None)]
    [0, 1, 2, None, None, None, None, None, None]
    """
    if isinstance(number, str):
        digits = number.strip()
        if not (digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS):
            return None
        number = int(digits)
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not 1 <= number <= count:
        return None
    return int(number) - 1 if number == int(number) else None


def text_of(value: object, most: int = 2000) -> str:
    """A text of at most ``most`` characters; "" for anything else, and for words that mean nothing ("None").

    >>> text_of(" Open it. "), text_of("N/A"), text_of(3)
    ('Open it.', '', '')
    """
    if not isinstance(value, str):
        return ""
    text = value[: most + 100].strip()[:most]
    return "" if text.strip(".").casefold() in _NOTHING else text


def yes_or_no(value: object, otherwise: bool) -> bool:
    """A truth value, also as a word; ``otherwise`` if it is neither."""
    if isinstance(value, bool):
        return value
    word = value[:8].strip().casefold() if isinstance(value, str) else ""
    return True if word in ("true", "yes") else False if word in ("false", "no") else otherwise


def first_of_each(entries: Iterable[tuple[int, Any]]) -> dict[int, Any]:
    """The first entry of every place, by place."""
    found: dict[int, Any] = {}
    for place, entry in entries:
        found.setdefault(place, entry)
    return dict(sorted(found.items()))
