"""Short names of values in a conversation: ``@3`` stands for the order number or name marked ``@3`` in a prompt.

A small model points at a value with one token instead of copying its characters. The names are in the prompt itself, so
whoever has the prompt can replace them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from agentgym_hindsight.envs.tools import read_action

__all__ = ["long_call", "marked", "short_call"]

#: Ids, emails, paths, days, numbers, and names within a sentence. Each begins where no word goes on, so that the time
#: is linear.
_VALUE = (
    r"(?<![\w@#.+-])(?:#[A-Z]\d{1,20}|[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64}){1,8}|[a-z]{1,40}(?:_[a-z]{1,40}){0,8}_\d{1,20}"
    r"|[A-Z]{2,5}\d{3,20}|/[a-z_]{1,40}(?:/[a-z_]{1,40}){0,8}(?:\.[a-z]{1,5})?|\d{4}-\d\d-\d\d|\d{5,20})(?!\w)"
    r"|(?<=[a-z] )[A-Z][a-z'-]{1,40}(?!\w)"
)
_FIND = re.compile(_VALUE)
_MARK = re.compile(rf"@(\d{{1,4}}) ({_VALUE.replace('(?<=[a-z] )', '')})")
_NAME = re.compile(r"(?<=[(\[,= :])@(\d{1,4})(?=[)\],} ])")


def marked(lines: Iterable[str]) -> list[str]:
    """The lines with a mark before each value. Values are numbered by their first appearance.

    >>> marked(["User: Cancel #W12. I am Ada.", "Now: order #W12 of ada_1"])
    ['User: Cancel @1 #W12. I am @2 Ada.', 'Now: order @1 #W12 of @3 ada_1']
    """
    numbers: dict[str, int] = {}

    def mark(match: re.Match[str]) -> str:
        return f"@{numbers.setdefault(match[0], len(numbers) + 1)} {match[0]}"

    return [_FIND.sub(mark, line) for line in lines]


def long_call(action: str, prompt: str) -> str:
    """A call with the values that its names stand for. A message stays as it is, and so does a name without a value.

    >>> long_call('[cancel(order_id=@1, reason="late")]', "User: Cancel @1 #W12.")
    '[cancel(order_id="#W12", reason="late")]'
    """
    if not action.startswith("[") or "@" not in action:
        return action
    values = {match[1]: match[2] for match in _MARK.finditer(prompt)}
    return _NAME.sub(lambda match: json.dumps(values[match[1]]) if match[1] in values else match[0], action)


def short_call(action: str, prompt: str) -> str:
    """The calls of an action in Python's notation, with names for the values that are marked in the prompt.

    >>> call = '<tool_call>{"name": "cancel", "arguments": {"order_id": "#W12", "reason": "late"}}</tool_call>'
    >>> short_call(call, "User: Cancel @1 #W12.")
    '[cancel(order_id=@1, reason="late")]'
    """
    calls = read_action(action).calls
    if not calls or any(call.positional or not _is_plain(call.arguments) for call in calls):
        return action
    names = {match[2]: f"@{match[1]}" for match in _MARK.finditer(prompt)}

    def written(value: object) -> str:
        if isinstance(value, list):
            return f"[{', '.join(map(written, value))}]"
        known = names.get(value) if isinstance(value, str) else None
        return known or json.dumps(value, ensure_ascii=False)

    texts = (
        f"{call.name}({', '.join(f'{name}={written(value)}' for name, value in call.arguments.items())})"
        for call in calls
    )
    return f"[{', '.join(texts)}]"


def _is_plain(arguments: object) -> bool:
    """Whether the arguments have names that Python's notation can write."""
    return isinstance(arguments, dict) and all(name.isidentifier() for name in arguments)
