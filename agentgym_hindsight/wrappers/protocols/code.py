"""A conversation of programs and outputs, for worlds in which actions are code."""

from __future__ import annotations

from typing import ClassVar

from agentgym_hindsight.wrappers.protocols.base import PromptState, Protocol

__all__ = ["Code"]


class Code(Protocol):
    """The first observation, then the last ``history`` programs (8), each with its output.

    The first observation of such a world states the task and how to act, so the prompt does not repeat them. The answer
    is one ```` ```python ```` block; text before it is allowed.

    >>> print(Code().render(PromptState("count", "7 notes.", (), [("Your task: count.", "print(len(notes))")])))
    Your task: count.
    ```python
    print(len(notes))
    ```
    Output:
    7 notes.
    <BLANKLINE>
    Go on with one ```python block.
    """

    name = "code"
    parser = "code"
    default_history: ClassVar[int | None] = 8
    closing: ClassVar[str] = "Go on with one ```python block."

    def render(self, state: PromptState) -> str:
        start, _ = self.recent(state)
        observations = [observation for observation, _ in state.history] + [state.observation]
        lines = [
            observations[0]
            if not state.goal or state.goal in observations[0]
            else f"Task: {state.goal}\n{observations[0]}"
        ]
        if start:
            lines.append(f"({start} earlier programs left out)")
        for (_, code), output in list(zip(state.history, observations[1:], strict=True))[start:]:
            lines.append(self.turn(code, output))
        lines.append(f"\n{self.closing}")
        return self.examples() + "\n".join(lines)

    def follow_up(self, state: PromptState) -> str:
        return f"Output:\n{state.observation}\n\n{self.closing}"

    def turn(self, action: str, reply: str) -> str:
        """A turn as it is shown."""
        return f"```python\n{action}\n```\nOutput:\n{reply}"
