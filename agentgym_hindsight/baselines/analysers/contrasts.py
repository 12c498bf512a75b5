"""Contrasts: where a failed attempt parted from a successful one of the same task. The answer is plain text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agentgym_hindsight.baselines.analysers.answers import text_of, without_thinking
from agentgym_hindsight.baselines.analysers.rollout_text import NOTICE, clipped, fenced, steps_text, task_text
from agentgym_hindsight.hindsight.messages import Message
from agentgym_hindsight.hindsight.trajectory import Step, Trajectory

__all__ = ["Contrast"]


@dataclass(frozen=True)
class Contrast:
    """What a successful attempt did that a failed one did not. The content of an answer is a text, or ""."""

    won: Trajectory
    failed: Trajectory

    @property
    def key(self) -> tuple[object, ...]:
        return "contrast", self.failed.task_id, self.failed.sibling

    @property
    def schema(self) -> Mapping[str, Any] | None:
        return None

    def messages(self) -> list[Message]:
        system = (
            "You compare a successful and a failed attempt of an agent at the same task. Say in two to four plain "
            "sentences where they part, what the successful one did there, and why it matters for the task. "
            f"{NOTICE} Answer with these sentences and nothing else."
        )
        parts = ["Task:", fenced(task_text(self.failed))]
        for title, attempt in (("The successful attempt:", self.won), ("The failed attempt:", self.failed)):
            parts += [title, fenced(steps_text(attempt.steps, 6000))]
        return [
            {"role": "system", "content": system},
            {"role": "user", "content": "\n\n".join([*parts, "Write the comparison."])},
        ]

    def read(self, answer: str) -> str:
        return text_of(without_thinking(answer))

    def scripted(self) -> str:
        """The first turn at which the actions differ."""
        pairs = zip(self.won.steps, self.failed.steps, strict=False)
        for number, (right, wrong) in enumerate(pairs, 1):
            if _plain(right) != _plain(wrong):
                return (
                    f"The attempts part at step {number}: the successful one took the action "
                    f'"{clipped(_plain(right), 400)}", the failed one "{clipped(_plain(wrong), 400)}".'
                )
        common = min(len(self.won), len(self.failed))
        if len(self.won) > common:
            return f'The successful attempt went on with "{clipped(_plain(self.won.steps[common]), 400)}".'
        return f"The successful attempt ended after {common} steps; the failed one went on."


def _plain(step: Step) -> str:
    return " ".join(step.action.split())
