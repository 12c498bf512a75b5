"""Only the task and the state, for chat agents that have their own instructions."""

from __future__ import annotations

from typing import ClassVar

from agentgym_hindsight.wrappers.protocols.base import PromptState, Protocol

__all__ = ["Plain"]


class Plain(Protocol):
    """Goal, observation and admissible actions, without format instructions, after ``history`` earlier turns (0).

    >>> print(Plain().render(PromptState("find the mug", "A room.", ("look", "wait"))))
    Task: find the mug
    Observation: A room.
    Admissible actions: look, wait
    """

    name = "plain"
    parser = "plain"
    default_history: ClassVar[int | None] = 0

    def render(self, state: PromptState) -> str:
        _, turns = self.recent(state)
        lines = [f"Task: {state.goal}"] if state.goal else []
        for observation, action in turns:
            lines += [f"Observation: {observation}", f"Action: {action}"]
        lines.append(f"Observation: {state.observation}")
        if state.admissible_actions:
            lines.append(f"Admissible actions: {', '.join(state.admissible_actions)}")
        return self.examples() + "\n".join(lines)
