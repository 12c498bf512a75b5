"""What the index stores of one line: who played what, how it ended, and the words of its turns for the search."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

__all__ = ["TurnSummary", "RolloutSummary", "line_document", "summary_of", "task_key", "update_of"]  # noqa: RUF022

#: Characters of a turn that the search looks at. A page of a shop or the output of a program can be much longer.
SEARCHED = 4000
_SHORT = 400


@dataclass(frozen=True, slots=True)
class TurnSummary:
    """One turn: its words in lower case, and whether the action was valid."""

    text: str
    valid: bool


@dataclass(frozen=True, slots=True)
class RolloutSummary:
    """The facts of a rollout by which people filter and sort."""

    task: str
    update: int
    sibling: int
    outcome: str
    score: float
    total: float
    invalid: int
    category: str
    split: str
    policy: str
    env: str
    backend: str
    goal: str
    has: str
    turns: tuple[TurnSummary, ...]


def line_document(line: bytes) -> dict[str, Any]:
    """The object on a line of rollouts or samples. Raises ValueError with the reason."""
    try:
        document = json.loads(line.decode("utf-8", "surrogatepass"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError as error:
        raise ValueError("not JSON" if line.endswith(b"\n") else "incomplete") from error
    if not isinstance(document, dict):
        raise ValueError(f"a {type(document).__name__}, not an object")
    steps = document.get("steps")
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise ValueError("'steps' is not a list of steps")
    return document


def summary_of(document: Mapping[str, Any]) -> RolloutSummary:
    """The summary of an object of :func:`line_document`. Values of a wrong type count as missing."""
    steps: list[Mapping[str, Any]] = document["steps"]
    goal = _text(document, "goal")
    turns = []
    for place, step in enumerate(steps):
        parts = [goal if place == 0 else "", *(_text(step, key) for key in ("action", "feedback", "detail"))]
        if not step.get("action"):
            parts.append(_text(step, "response") or _joined(step.get("tokens")))
        elif (response := _text(step, "response")) != step["action"]:
            parts.append(response)
        parts += _analysis_texts(step)
        if place == 0:
            parts += _analysis_texts(document)
        turns.append(TurnSummary("\n".join(parts)[:SEARCHED].lower(), step.get("action_valid") is not False))
    total = document.get("return")
    return RolloutSummary(
        task=task_key(document.get("task_id")),
        update=update_of(document),
        sibling=_whole(document.get("sibling"), 0),
        outcome=_outcome(document),
        score=_real(document.get("score")),
        total=_real(total) if total is not None else sum(_real(step.get("reward")) for step in steps),
        invalid=sum(not turn.valid for turn in turns),
        category=_text(document, "category"),
        split=_text(document, "split"),
        policy=_text(document, "policy"),
        env=_text(document, "env_id"),
        backend=_text(document, "backend"),
        goal=goal,
        has=_present(document, steps),
        turns=tuple(turns),
    )


def task_key(task_id: object) -> str:
    """The name of a task in the index and in addresses: its id, unless that is long or no text that SQLite can hold.

    >>> task_key("9f"), task_key("a\\0b"), task_key(None)
    ('9f', 'a�b-59b271ae', '')
    """
    if not isinstance(task_id, str):
        return ""
    text = _text({"task_id": task_id}, "task_id")
    if text == task_id:
        return text
    return f"{text[:100]}-{sha256(task_id.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def update_of(document: Mapping[str, Any]) -> int:
    """The update of training; -1 outside of training."""
    return max(_whole(document.get("update"), -1), -1)


def _outcome(document: Mapping[str, Any]) -> str:
    if document.get("broken"):
        return "broken"
    if document.get("won") is True:
        return "won"
    return "truncated" if document.get("truncated") is True else "lost"


def _present(document: Mapping[str, Any], steps: list[Mapping[str, Any]]) -> str:
    """Names of what the rollout has beside its turns, each between blanks: `` tokens hint ``."""
    found = {"tokens"} if any(step.get("tokens") for step in steps) else set()
    if any(step.get("teacher_read") or step.get("context") for step in steps):
        found.add("teacher")
    extras = [step["extra"] for step in steps if isinstance(step.get("extra"), dict)]
    for name in ("expert_action", "judge", "evaluation"):
        if any(extra.get(name) for extra in extras):
            found.add("expert" if name == "expert_action" else name)
    for holder in (document, *steps):
        analyses = holder.get("analyses")
        if isinstance(analyses, list):
            found |= {
                kind
                for each in analyses
                if isinstance(each, dict) and (kind := str(each.get("kind", ""))[:20]) and kind.isalnum()
            }
    return f" {' '.join(sorted(found))} "


def _analysis_texts(holder: Mapping[str, Any]) -> list[str]:
    analyses = holder.get("analyses")
    if not isinstance(analyses, list):
        return []
    return [_text(each, "text") for each in analyses if isinstance(each, dict)]


def _joined(tokens: object) -> str:
    texts = [text for text in tokens if isinstance(text, str)] if isinstance(tokens, list) else []
    return _text({"text": "".join(texts)}, "text")


def _text(holder: Mapping[str, Any], key: str) -> str:
    value = holder.get(key)
    if not isinstance(value, str):
        return ""
    text = value[: SEARCHED if key in ("action", "feedback", "detail", "response", "text") else _SHORT]
    # SQLite's texts are UTF-8, which has no lone surrogates, and end at a NUL in many programs.
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\ufffd")


def _whole(value: object, default: int) -> int:
    is_whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53
    return int(value) if is_whole else default  # type: ignore[call-overload]


def _real(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e100:
        return 0.0
    return float(value)
