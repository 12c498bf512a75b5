"""Turns of thinking, as in ReAct, for worlds whose actions are programs or calls of functions."""

from __future__ import annotations

from typing import ClassVar

from agentgym_hindsight.wrappers.protocols.code import Code
from agentgym_hindsight.wrappers.protocols.tools import Tools

__all__ = ["ReActCode", "ReActTools"]

_THOUGHT = "think: "


class ReActCode(Code):
    """As :class:`Code`; a reply that begins with "think:" and has no program is a thought.

    >>> from agentgym_hindsight.wrappers.protocols import PromptState
    >>> print(ReActCode().render(PromptState("", "OK.", (), [("Count the notes.", "think: I print them.")])))
    Count the notes.
    think: I print them.
    OK.
    <BLANKLINE>
    Go on with one ```python block, or with "think: …" to think first.
    """

    name = "code-react"
    parser = "code-react"
    closing: ClassVar[str] = 'Go on with one ```python block, or with "think: …" to think first.'

    def turn(self, action: str, reply: str) -> str:
        return f"{action}\n{reply}" if action.startswith(_THOUGHT) else super().turn(action, reply)


class ReActTools(Tools):
    """As :class:`Tools`; a reply that begins with "think:" and has no call is a thought, which nobody reads."""

    name = "tools-react"
    parser = "tools-react"
    form: ClassVar[str] = f'{Tools.form} A reply "think: …" is a thought: it is not shown to the user.'
