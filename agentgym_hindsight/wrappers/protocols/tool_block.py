"""Schemas of functions at the start of a prompt, from where an encoder hands them to the model's chat template.

In some worlds every task has other functions, and a turn can add some. The list of a prompt is then part of its text.
The block is always the first thing in such a prompt, so what a world printed is never taken for one. A schema is one
line of JSON, so no text in it ends the block.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["listed", "split_tools", "with_block"]

_START, _END = "<tools>\n", "</tools>\n\n"


def listed(tools: Sequence[Mapping[str, Any]]) -> str:
    """The schemas, each a line of JSON."""
    return "\n".join(json.dumps(schema, ensure_ascii=False) for schema in tools)


def with_block(tools: Sequence[Mapping[str, Any]], prompt: str) -> str:
    """The prompt after a block of these schemas, which may be none.

    >>> with_block([{"type": "function"}], "Serve the user.")
    '<tools>\\n{"type": "function"}\\n</tools>\\n\\nServe the user.'
    """
    return f"{_START}{listed(tools)}\n{_END}{prompt}" if tools else f"{_START}{_END}{prompt}"


def split_tools(prompt: str) -> tuple[str, str]:
    """The lines of the block at the start of a prompt, and the rest; no lines if the prompt has no block.

    A text that only looks like a block, because a line of it is no function in JSON, is no block.

    >>> tool = {"type": "function", "function": {"name": "look"}}
    >>> lines, rest = split_tools(with_block([tool], "Serve the user."))
    >>> json.loads(lines) == tool, rest
    (True, 'Serve the user.')
    >>> split_tools("Serve the user.")
    ('', 'Serve the user.')
    """
    if not prompt.startswith(_START):
        return "", prompt
    if prompt.startswith(_END, len(_START)):
        return "", prompt[len(_START) + len(_END) :]
    lines, found, rest = prompt[len(_START) :].partition(f"\n{_END}")
    return (lines, rest) if found and all(map(_is_function, lines.split("\n"))) else ("", prompt)


def _is_function(line: str) -> bool:
    try:
        schema = json.loads(line)
        return isinstance(schema["function"]["name"], str)
    except (ValueError, TypeError, KeyError, RecursionError):
        return False
