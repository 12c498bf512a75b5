"""The reference as actions: the calls of each user turn, then a message that ends it."""

from __future__ import annotations

from agentgym_hindsight.envs.bfcl.limits import CONVERSATION_ACTIONS
from agentgym_hindsight.envs.bfcl.world import ApiTask
from agentgym_hindsight.envs.tools import ToolCall, format_calls

__all__ = ["END_OF_TURN", "NOTHING_TO_CALL", "Reference"]

END_OF_TURN = "Your request is complete."
#: The message where the reference calls nothing.
NOTHING_TO_CALL = "I cannot do this yet: a function or a fact is missing."


class Reference:
    """Follows which calls of the reference were made, and names the next action.

    Each call is an action of its own, except in conversations that would then exceed ``limit="conversation"``: there
    the calls of a user turn are one action.
    """

    def __init__(self, task: ApiTask) -> None:
        self._task = task
        self._turn = 0
        actions = sum(len(calls) + 1 for calls in task.reference)
        self._together = actions > CONVERSATION_ACTIONS
        self._remaining = list(task.reference[0])

    def made(self, call: ToolCall) -> None:
        """Note a call of the agent."""
        if self._remaining and _same(call, self._remaining[0]):
            del self._remaining[0]

    def next_turn(self) -> None:
        """Go on to the next user turn."""
        self._turn += 1
        self._remaining = list(self._task.reference[self._turn]) if self._turn < len(self._task.reference) else []

    def next_action(self) -> str:
        """The next action of the reference in this user turn."""
        if self._remaining:
            return format_calls(self._remaining if self._together else self._remaining[:1])
        nothing = self._turn < len(self._task.reference) and not self._task.reference[self._turn]
        return NOTHING_TO_CALL if nothing else END_OF_TURN


def _same(call: ToolCall, wanted: ToolCall) -> bool:
    """Whether a call is the wanted one. JSON has no tuples, so lists and tuples are equal."""
    return call.name == wanted.name and not call.positional and _plain(call.arguments) == _plain(wanted.arguments)


def _plain(value: object) -> object:
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value
