"""The checks of a conversation in words. They contain the answer, so they are only ever hindsight."""

from __future__ import annotations

from collections.abc import Sequence

from agentgym_hindsight.envs.bfcl.world import ApiTask, TurnCheck
from agentgym_hindsight.envs.tools import ToolCall
from agentgym_hindsight.short_repr import short_repr

__all__ = ["check_text", "verdict_text"]

_MOST_CALLS = 12


def check_text(number: int, check: TurnCheck) -> str:
    """The check of user turn ``number``, counted from 1."""
    if check.passed:
        return f"Check of user turn {number}: passed."
    hidden = check.hidden if isinstance(check.hidden, str) else check.hidden()
    head = f"Check of user turn {number}: failed ({check.failure}). {check.message}"
    return f"{head}\n{hidden}" if hidden else head


def verdict_text(task: ApiTask, checks: Sequence[TurnCheck], forced: bool) -> str:
    """Which user turns passed, what failed, and what was still wanted. ``forced``: the limit of a turn was reached."""
    turns = len(task.messages)
    passed = sum(check.passed for check in checks)
    reward = int(passed == turns)
    lines = [f"Verdict: {passed} of {turns} user turns passed, reward {reward}."]
    lines += [check_text(number, check) for number, check in enumerate(checks, 1) if not check.passed]
    if forced:
        lines.append("The conversation was ended because a user turn had too many actions.")
    for number in range(len(checks), turns):
        wanted = task.reference[number]
        shown = ", ".join(map(_written, wanted[:_MOST_CALLS])) or "none"
        more = f" and {len(wanted) - _MOST_CALLS} more" if len(wanted) > _MOST_CALLS else ""
        lines.append(f"User turn {number + 1} was not finished. Wanted calls: {shown}{more}.")
    return "\n".join(lines)


def _written(call: ToolCall) -> str:
    return f"{call.name}({', '.join(f'{name}={short_repr(value, 120)}' for name, value in call.arguments.items())})"
