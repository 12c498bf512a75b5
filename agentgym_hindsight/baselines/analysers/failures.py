"""Hints: the turns at which a failed rollout went wrong, with a correction for each (HINT-SD).

The structure of the prompt, the schema and what the parser accepts follow HINT-SD's release; the wording is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agentgym_hindsight.baselines.analysers.answers import answer_object, entries_of, first_of_each, place_of, text_of
from agentgym_hindsight.baselines.analysers.rollout_text import (
    NOTICE,
    clipped,
    fenced,
    outcome,
    rollout_text,
    steps_text,
    task_text,
)
from agentgym_hindsight.baselines.analysers.scripted import feedback_on, last_words
from agentgym_hindsight.hindsight.messages import Message
from agentgym_hindsight.hindsight.trajectory import Trajectory

__all__ = ["FailedTurns", "FeedbackOnTurn"]

_FORM = '{"failures": [{"step": <number>, "feedback": "<text>"}, …]}'
_SINGLE_FORM = '{"failure_step": <number>, "feedback": "<text>"}'
_NUMBER, _TEXT = {"type": "integer", "minimum": 1}, {"type": "string"}


@dataclass(frozen=True)
class FailedTurns:
    """Which turns of a failed rollout, at most ``most``, went wrong, and how to correct each.

    The content of an answer is the feedback by the place of the turn, in order. With ``most=1`` it is about the first
    mistake.
    """

    rollout: Trajectory
    most: int = 3

    @property
    def key(self) -> tuple[object, ...]:
        return "hint", self.rollout.task_id, self.rollout.sibling

    @property
    def schema(self) -> Mapping[str, Any]:
        if self.most == 1:
            return _object({"failure_step": _NUMBER, "feedback": _TEXT})
        entry = _object({"step": _NUMBER, "feedback": _TEXT})
        return _object({"failures": {"type": "array", "items": entry, "minItems": 1, "maxItems": self.most}})

    def messages(self) -> list[Message]:
        if self.most == 1:
            wanted = "Find the first step with a mistake, and write how to correct this step."
        else:
            wanted = (
                f"Find the steps with mistakes that made the attempt fail: at least one, at most {self.most}, the "
                "earliest first. For each, write a correction of its own that speaks of this step only."
            )
        form = _SINGLE_FORM if self.most == 1 else _FORM
        system = (
            f"You analyse failed attempts of an agent. {wanted} Mistakes are wrong or refused actions, wrong "
            f"arguments, and actions that were missing. A correction has less than three sentences. {NOTICE} "
            f"Steps are numbered from 1. Answer with JSON only: {form}"
        )
        user = f"A failed attempt:\n\n{rollout_text(self.rollout)}\n\nAnswer with JSON only: {form}"
        return [{"role": "system", "content": system}, {"role": "user", "content": user}]

    def read(self, answer: str) -> dict[int, str]:
        """Entries without a turn of the rollout or without a text are dropped; the first entry of a turn counts."""
        found = answer_object(answer)
        if found is None:
            return {}
        feedback = text_of(found.get("feedback"))
        pairs = [(entry.get("step"), text_of(entry.get("feedback"))) for entry in entries_of(found.get("failures"))]
        # Other forms that models write: one turn, or several turns with one feedback.
        steps = found.get("failure_steps")
        pairs += [(step, feedback) for step in (steps if isinstance(steps, list) else [])]
        pairs.append((found.get("failure_step"), feedback))
        places = [(place_of(step, len(self.rollout)), text) for step, text in pairs]
        turns = first_of_each((place, text) for place, text in places if place is not None and text)
        return dict(list(turns.items())[: self.most])

    def scripted(self) -> dict[int, str]:
        """The first turns with something to say: refused, without a change, or another action than the expert's."""
        turns = {place: text for place, step in enumerate(self.rollout.steps) if (text := feedback_on(step))}
        if not turns and self.rollout.steps:
            turns = {len(self.rollout) - 1: last_words(self.rollout)}
        return dict(list(turns.items())[: self.most])


@dataclass(frozen=True)
class FeedbackOnTurn:
    """Feedback on one turn of a rollout, for methods that ask about every turn. The content is a text, or ""."""

    rollout: Trajectory
    place: int

    @property
    def key(self) -> tuple[object, ...]:
        return "turn", self.rollout.task_id, self.rollout.sibling, self.place

    @property
    def schema(self) -> Mapping[str, Any]:
        return _object({"feedback": _TEXT})

    def messages(self) -> list[Message]:
        form = '{"feedback": "<text>"}'
        system = (
            "You analyse single steps of an agent. Write how the last step shown should be corrected, in less than "
            f"three sentences; write an empty text if it is right. {NOTICE} Answer with JSON only: {form}"
        )
        shown = self.rollout.steps[: self.place + 1]
        parts = ["Task:", fenced(task_text(self.rollout)), "Steps so far:", fenced(steps_text(shown))]
        following = self.rollout.steps[self.place].next_observation.strip()
        parts += ["What followed:", fenced(clipped(following, 3000))] if following else []
        user = "\n\n".join([*parts, outcome(self.rollout), f"Answer with JSON only: {form}"])
        return [{"role": "system", "content": system}, {"role": "user", "content": user}]

    def read(self, answer: str) -> str:
        found = answer_object(answer)
        return "" if found is None else text_of(found.get("feedback"))

    def scripted(self) -> str:
        step = self.rollout.steps[self.place]
        return feedback_on(step) or f"The environment's reply was: {clipped(step.feedback.strip(), 400)}"


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
