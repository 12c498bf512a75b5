"""Skills: rules for a task, from its attempts, for other attempts at it (PSP). The answer is plain text.

The structure of the prompt is PSP's: rules of the task and not a description of the attempts, positive, one line each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agentgym_hindsight.baselines.analysers.answers import text_of, without_thinking
from agentgym_hindsight.baselines.analysers.rollout_text import NOTICE, clipped, fenced, outcome, steps_text, task_text
from agentgym_hindsight.baselines.analysers.scripted import correction_of
from agentgym_hindsight.hindsight.messages import Message
from agentgym_hindsight.hindsight.trajectory import Group

__all__ = ["TaskSkills"]

_MOST_ATTEMPTS = 6
_MOST_LINES = 5
_MOST = 2000  # characters of the skills: about 300 words


@dataclass(frozen=True)
class TaskSkills:
    """Rules for the task of a group. ``reference`` is a successful attempt as text, "" for none.

    The content of an answer is the rules, or "".
    """

    group: Group
    reference: str = ""

    @property
    def key(self) -> tuple[object, ...]:
        return "skill", self.group.task_id

    @property
    def schema(self) -> Mapping[str, Any] | None:
        return None

    def messages(self) -> list[Message]:
        system = (
            "You extract knowledge about a task for an agent that will attempt it. You get the task, earlier attempts, "
            "and a successful one if there is any. Write rules of the task, and do not describe the attempts. Rules "
            "hold beyond one attempt: name actions and their arguments exactly, and no numbers of attempts. Say only "
            f"what to do, in the imperative, and never what to avoid. {NOTICE} Answer with three to five lines that "
            'begin with "- ", less than 200 words, and nothing else.'
        )
        attempts = self.group[:_MOST_ATTEMPTS]
        share = 12_000 // len(attempts)
        parts = ["Task:", fenced(task_text(self.group[0]))]
        parts += ["A successful attempt:", fenced(clipped(self.reference, 4000))] if self.reference else []
        for number, attempt in enumerate(attempts, 1):
            parts += [f"Attempt {number}:", fenced(steps_text(attempt.steps, share)), outcome(attempt)]
        user = "\n\n".join([*parts, "Write the rules."])
        return [{"role": "system", "content": system}, {"role": "user", "content": user}]

    def read(self, answer: str) -> str:
        return text_of(without_thinking(answer), _MOST)

    def scripted(self) -> str:
        """What the expert would have done, by the state; without an expert, the successful attempt, or ""."""
        lines: dict[str, None] = {}
        for attempt in self.group:
            for step in attempt.steps:
                if correction := correction_of(step):
                    seen = clipped(" ".join(step.observation.split()), 160)
                    lines.setdefault(f'- When you read "{seen}", do: {correction}')
        if not lines and self.reference:
            return text_of(f"- Do as in this successful attempt:\n{clipped(self.reference, _MOST - 50)}", _MOST)
        return text_of("\n".join(list(lines)[:_MOST_LINES]), _MOST)
