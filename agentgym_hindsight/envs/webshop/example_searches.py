"""Searches that an agent may begin with: the start page lists no action, because the set of searches is open."""

from __future__ import annotations

import re

from agentgym_hindsight.envs.webshop.analyzer import STOP_WORDS

__all__ = ["example_searches"]

_WORD = re.compile(r"[\w'&-]+")
_REQUEST = "i i'm i'd am me my find finding look looking need want would like please show get buy can could you help"
#: Words that describe no product.
_IGNORED = STOP_WORDS | frozenset(_REQUEST.split())
_MOST_WORDS = 16  # the last words of a long instruction are its options
_FIRST, _REST = 6, 3  # the number of words of the first search and of the others


def example_searches(instruction: str) -> tuple[str, ...]:
    """Searches for words of an instruction: the first six words, then every three in a row.

    >>> example_searches("Find me a soft, warm red wool hat, and price lower than 9.00 dollars")
    ('search[soft warm red wool hat]', 'search[soft warm red]', 'search[warm red wool]', 'search[red wool hat]')
    """
    wish = instruction.lower().partition("price lower than")[0]
    words = [word for word in _WORD.findall(wish) if word not in _IGNORED][:_MOST_WORDS] or ["gift"]
    parts = [words[start : start + _REST] for start in range(max(1, len(words) - _REST + 1))]
    return tuple(dict.fromkeys(f"search[{' '.join(part)}]" for part in [words[:_FIRST], *parts]))
