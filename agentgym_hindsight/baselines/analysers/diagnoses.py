"""Diagnoses: for every turn whether it was necessary and valid, the cause of a failure, a correction (HERO).

The paper names these four values; the prompt and the schema are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agentgym_hindsight.baselines.analysers.answers import (
    answer_object,
    entries_of,
    first_of_each,
    place_of,
    text_of,
    yes_or_no,
)
from agentgym_hindsight.baselines.analysers.rollout_text import NOTICE, rollout_text
from agentgym_hindsight.baselines.analysers.scripted import cause_of, changed_nothing, correction_of
from agentgym_hindsight.hindsight.messages import Message
from agentgym_hindsight.hindsight.trajectory import Trajectory

__all__ = ["Diagnosed", "Diagnosis"]

_FORM = (
    '{"turns": [{"turn": <number>, "necessary": true or false, "valid": true or false, '
    '"cause": "<text>" or null, "correction": "<action>" or null}, …]}'
)
_OPTIONAL_TEXT = {"type": ["string", "null"]}
_ENTRY: dict[str, Any] = {
    "turn": {"type": "integer", "minimum": 1},
    "necessary": {"type": "boolean"},
    "valid": {"type": "boolean"},
    "cause": _OPTIONAL_TEXT,
    "correction": _OPTIONAL_TEXT,
}


@dataclass(frozen=True)
class Diagnosis:
    """What a reflector says about one turn. It is empty if the turn was necessary and valid, and nothing else is said.

    >>> print(Diagnosis(necessary=False, correction="open fridge"))
    This step was not necessary.
    A better action: open fridge
    """

    necessary: bool = True
    valid: bool = True
    cause: str = ""
    correction: str = ""

    def __bool__(self) -> bool:
        return not (self.necessary and self.valid) or bool(self.cause or self.correction)

    def __str__(self) -> str:
        lines = [
            "" if self.necessary else "This step was not necessary.",
            "" if self.valid else "The action was not valid.",
            f"Cause of the failure: {self.cause}" if self.cause else "",
            f"A better action: {self.correction}" if self.correction else "",
        ]
        return "\n".join(filter(None, lines))


@dataclass(frozen=True)
class Diagnosed:
    """The diagnosis of every turn of a rollout, won or failed. The content has the turns that have one, by place."""

    rollout: Trajectory

    @property
    def key(self) -> tuple[object, ...]:
        return "diagnosis", self.rollout.task_id, self.rollout.sibling

    @property
    def schema(self) -> Mapping[str, Any]:
        entry = {"type": "object", "properties": _ENTRY, "required": list(_ENTRY), "additionalProperties": False}
        turns = {"type": "array", "items": entry, "maxItems": max(1, len(self.rollout))}
        return {"type": "object", "properties": {"turns": turns}, "required": ["turns"], "additionalProperties": False}

    def messages(self) -> list[Message]:
        system = (
            "You review finished attempts of an agent step by step. For each step that deserves a remark, say whether "
            "it was necessary for the task, whether its action was valid, what in it caused a failure, if anything, "
            "and the action that should have been taken, if another one. Leave out steps that were right. "
            f"{NOTICE} Steps are numbered from 1. Answer with JSON only: {_FORM}"
        )
        user = f"{rollout_text(self.rollout)}\n\nAnswer with JSON only: {_FORM}"
        return [{"role": "system", "content": system}, {"role": "user", "content": user}]

    def read(self, answer: str) -> dict[int, Diagnosis]:
        """A missing or unreadable truth value counts as true, so that it makes no remark."""
        found = answer_object(answer)
        entries = [] if found is None else entries_of(found.get("turns"))
        placed = [(place_of(entry.get("turn"), len(self.rollout)), entry) for entry in entries]
        turns = first_of_each((place, entry) for place, entry in placed if place is not None)
        read = {
            place: Diagnosis(
                yes_or_no(entry.get("necessary"), True),
                yes_or_no(entry.get("valid"), True),
                text_of(entry.get("cause"), 1000),
                text_of(entry.get("correction"), 1000),
            )
            for place, entry in turns.items()
        }
        return {place: diagnosis for place, diagnosis in read.items() if diagnosis}

    def scripted(self) -> dict[int, Diagnosis]:
        """A turn was valid if its action was accepted, and not necessary if it left the state as it was."""
        read = {
            place: Diagnosis(
                necessary=not (step.action_valid and changed_nothing(step)),
                valid=step.action_valid,
                cause="" if step.action_valid else cause_of(step),
                correction=correction_of(step),
            )
            for place, step in enumerate(self.rollout.steps)
        }
        return {place: diagnosis for place, diagnosis in read.items() if diagnosis}
