"""Reflections on failed rollouts, and what they add to a playbook (Resd).

The fields of the answers are Resd's; the wording is ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agentgym_hindsight.baselines.analysers.answers import answer_object, entries_of, text_of
from agentgym_hindsight.baselines.analysers.rollout_text import NOTICE, fenced, rollout_text
from agentgym_hindsight.baselines.analysers.scripted import feedback_on, last_words
from agentgym_hindsight.hindsight.messages import Message
from agentgym_hindsight.hindsight.trajectory import Trajectory

__all__ = ["Additions", "Reflected", "Reflection"]

_PARTS = ("error_identification", "root_cause_analysis", "correct_approach", "key_insight")
_TAGS = ("helpful", "harmful", "neutral")
_MOST_ADDITIONS = 5
_TEXT = {"type": "string"}


@dataclass(frozen=True)
class Reflection:
    """A reflection as text, the insight in it, and tags of playbook entries by their ids."""

    text: str = ""
    insight: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reflected:
    """What went wrong in a failed rollout, why, and what would be right. ``playbook`` is what the policy could know."""

    rollout: Trajectory
    playbook: str = ""

    @property
    def key(self) -> tuple[object, ...]:
        return "reflection", self.rollout.task_id, self.rollout.sibling

    @property
    def schema(self) -> Mapping[str, Any]:
        tag = {"type": "object", "properties": {"id": _TEXT, "tag": {"enum": list(_TAGS)}}, "required": ["id", "tag"]}
        properties = {"reasoning": _TEXT, **dict.fromkeys(_PARTS, _TEXT)}
        properties["bullet_tags"] = {"type": "array", "items": tag}  # type: ignore[dict-item]
        return {"type": "object", "properties": properties, "required": list(properties)}

    def messages(self) -> list[Message]:
        form = (
            '{"reasoning": "<text>", "error_identification": "<text>", "root_cause_analysis": "<text>", '
            '"correct_approach": "<text>", "key_insight": "<text>", '
            '"bullet_tags": [{"id": "<id of a rule>", "tag": "helpful|harmful|neutral"}]}'
        )
        system = (
            "You reflect on failed attempts of an agent: what went wrong, its root cause, the correct approach, and "
            "one insight that holds for other tasks. Tag the rules of the playbook, if there are any, by whether they "
            f"helped or would have. {NOTICE} Answer with JSON only: {form}"
        )
        parts = [rollout_text(self.rollout)]
        parts += ["Playbook:", fenced(self.playbook)] if self.playbook else []
        user = "\n\n".join([*parts, f"Answer with JSON only: {form}"])
        return [{"role": "system", "content": system}, {"role": "user", "content": user}]

    def read(self, answer: str) -> Reflection:
        found = answer_object(answer) or {}
        parts = [text_of(found.get(name), 1000) for name in _PARTS]
        tags = {
            entry["id"]: entry["tag"]
            for entry in entries_of(found.get("bullet_tags"))
            if isinstance(entry.get("id"), str) and entry.get("tag") in _TAGS
        }
        return Reflection("\n".join(filter(None, parts)), parts[-1], tags)

    def scripted(self) -> Reflection:
        """What can be said about the turns; the insight is the first of it."""
        said = [f"Step {number}: {text}" for number, text in self._remarks()][:3]
        if not said:
            return Reflection(last_words(self.rollout))
        return Reflection("\n".join(said), next(text for _, text in self._remarks()))

    def _remarks(self) -> list[tuple[int, str]]:
        return [(number, text) for number, step in enumerate(self.rollout.steps, 1) if (text := feedback_on(step))]


@dataclass(frozen=True)
class Additions:
    """Which rules the insights of an update add to the playbook. The content is a list of texts."""

    insights: Sequence[str]
    playbook: str = ""

    @property
    def key(self) -> tuple[object, ...]:
        return "curator", len(self.insights)

    @property
    def schema(self) -> Mapping[str, Any]:
        entry = {
            "type": "object",
            "properties": {"type": {"enum": ["ADD"]}, "content": _TEXT},
            "required": ["type", "content"],
        }
        operations = {"type": "array", "items": entry, "maxItems": _MOST_ADDITIONS}
        return {"type": "object", "properties": {"operations": operations}, "required": ["operations"]}

    def messages(self) -> list[Message]:
        form = '{"operations": [{"type": "ADD", "content": "<rule>"}, …]}'
        system = (
            "You keep a playbook of short rules for an agent. From new insights, add the rules that it lacks, at most "
            f"{_MOST_ADDITIONS}; each is one sentence and holds for other tasks. {NOTICE} Answer with JSON only: {form}"
        )
        parts = ["Playbook:", fenced(self.playbook or "(empty)"), "Insights:", fenced("\n".join(self.insights)[:8000])]
        user = "\n\n".join([*parts, f"Answer with JSON only: {form}"])
        return [{"role": "system", "content": system}, {"role": "user", "content": user}]

    def read(self, answer: str) -> list[str]:
        found = answer_object(answer) or {}
        entries = entries_of(found.get("operations"))
        texts = [text_of(entry.get("content"), 300) for entry in entries if entry.get("type", "ADD") == "ADD"]
        return [text for text in texts if text][:_MOST_ADDITIONS]

    def scripted(self) -> list[str]:
        """The first different insights."""
        return list(dict.fromkeys(self.insights))[:_MOST_ADDITIONS]
