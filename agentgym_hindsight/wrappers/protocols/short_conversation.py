"""The short prompt of a conversation with tool calls: what the user said, what was called, the last result."""

from __future__ import annotations

from agentgym_hindsight.envs.tools import read_action
from agentgym_hindsight.wrappers.protocols.base import PromptState
from agentgym_hindsight.wrappers.value_names import marked

__all__ = ["conversation_text", "shortened"]

_USER = "User: "
#: What stands before the user's words: in the first observation, and in the reply to a call of ``respond``.
_MARKS = (f"\n{_USER}", f"respond: {_USER}")
_LONGEST = 80  # characters of a result


def conversation_text(state: PromptState) -> str:
    """The prompt.

    >>> history = (("Be polite.\\n\\nUser: Cancel it. I am Ada.", '{"name": "find_user", "arguments": {}}'),)
    >>> print(conversation_text(PromptState("", "find_user: ada_1", history=history)))
    User: Cancel it. I am @1 Ada.
    Done: find_user
    Now: find_user: @2 ada_1
    """
    observations = [observation for observation, _ in state.history] + [state.observation]
    replies = [_said(text) for text in observations]
    said = [text for text in replies if text is not None]
    lines = [f"User: {' '.join(said)}"] if said else []
    if state.history:
        lines.append(f"Done: {'; '.join(_short(action) for _, action in state.history)}")
    if replies[-1] is None:
        lines.append(f"Now: {shortened(state.observation)}")
    return "\n".join(marked(lines))


def shortened(observation: str) -> str:
    """What the user said, or the beginning of what was returned."""
    said = _said(observation)
    if said is not None:
        return said
    return observation if len(observation) <= _LONGEST else f"{observation[:_LONGEST]}…"


def _said(observation: str) -> str | None:
    """The user's words in an observation, which are its last part; None if the user said nothing."""
    begins = max((observation.rfind(mark) + len(mark) for mark in _MARKS if mark in observation), default=-1)
    if observation.startswith(_USER):
        begins = max(begins, len(_USER))
    return observation[begins:] if begins >= 0 else None


def _short(action: str) -> str:
    """The names of the functions; of a message, a word."""
    calls = read_action(action).calls
    return ", ".join(call.name for call in calls) if calls else "said"
