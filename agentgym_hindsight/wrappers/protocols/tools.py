"""A conversation of tool calls, results and messages, with the schemas of the functions."""

from __future__ import annotations

from typing import ClassVar

from agentgym_hindsight.wrappers.protocols.base import PromptState, Protocol
from agentgym_hindsight.wrappers.protocols.tool_block import listed, with_block

__all__ = ["Tools", "ToolsNative"]

_FORMAT = (
    'Write a call as <tool_call>{"name": …, "arguments": {…}}</tool_call>; several calls run in their order. '
    "A reply without a call is a message to the user."
)


class Tools(Protocol):
    """The first observation, the functions' schemas, then the last ``history`` turns (24): actions and what came back.

    The first observation of such a world states the task, so the prompt does not repeat it; its own list of functions
    is replaced by the schemas. A model with a tool template of its own gets them there with :class:`ToolsNative`.

    >>> schema = {"type": "function", "function": {"name": "look", "parameters": {}}}
    >>> print(Tools().render(PromptState("", "Serve the user.", tools=(schema,))))
    Serve the user.
    <BLANKLINE>
    You can call these functions:
    <tools>
    {"type": "function", "function": {"name": "look", "parameters": {}}}
    </tools>
    Write a call as <tool_call>{"name": …, "arguments": {…}}</tool_call>; several calls run in their order. A reply \
without a call is a message to the user.
    """

    name = "tools"
    parser = "tools"
    default_history: ClassVar[int | None] = 24
    #: Whether the prompt lists the schemas.
    schemas: ClassVar[bool] = True
    #: How an action is written.
    form: ClassVar[str] = _FORMAT

    def render(self, state: PromptState) -> str:
        start, _ = self.recent(state)
        observations = [observation for observation, _ in state.history] + [state.observation]
        first = observations[0]
        if state.tools and state.tools_text:
            first = first.replace(state.tools_text, "", 1).strip()
        lines = [first if not state.goal or state.goal in first else f"{state.goal}\n{first}"]
        if state.tools and self.schemas:
            lines.append(f"\nYou can call these functions:\n<tools>\n{listed(state.tools)}\n</tools>")
        lines.append(self.form)
        if start:
            lines.append(f"\n({start} earlier turns left out)")
        for (_, action), reply in list(zip(state.history, observations[1:], strict=True))[start:]:
            lines.append(f"\n{self.turn(action, reply)}")
        return self.examples() + "\n".join(lines).rstrip()

    def turn(self, action: str, reply: str) -> str:
        """A turn as it is shown."""
        return f"You: {action}\n{reply}"


class ToolsNative(Tools):
    """As :class:`Tools`, for a model whose chat template lists the functions: the prompt has no schemas.

    Where the functions depend on the task and the turn, the prompt begins with the schemas. The encoder of prompts
    takes them out and hands them to the template.

    >>> schema = {"type": "function", "function": {"name": "look", "parameters": {}}}
    >>> print(ToolsNative().render(PromptState("", "Serve the user.", tools=(schema,))))
    Serve the user.
    """

    name = "tools-native"
    parser = "tools-native"
    schemas: ClassVar[bool] = False
    form: ClassVar[str] = ""

    def render(self, state: PromptState) -> str:
        prompt = super().render(state)
        return with_block(state.tools, prompt) if state.tools_vary else prompt
