"""A rollout of a line: the trajectory, and for a sample of training the facts about its tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agentgym_hindsight.baselines.report.plausible import number
from agentgym_hindsight.errors import SchemaError, UsageError
from agentgym_hindsight.hindsight.analyses import ANALYSIS_KINDS, Analysis
from agentgym_hindsight.hindsight.codec import SCHEMA, load_trajectory
from agentgym_hindsight.hindsight.trajectory import Group, Step, Trajectory
from agentgym_hindsight.viewer.sources import Source
from agentgym_hindsight.viewer.summaries import line_document, task_key, update_of

__all__ = ["Rollout", "TurnTokens", "read_group", "read_rollout"]

#: Limits for files that no training wrote.
_MOST_TOKENS, _MOST_SIBLINGS = 20_000, 64


@dataclass(frozen=True, slots=True)
class TurnTokens:
    """The tokens of a reply. ``columns`` has one value per token, ``None`` where it is not recorded."""

    texts: tuple[str, ...]
    columns: Mapping[str, tuple[float | None, ...]]
    chosen: tuple[bool, ...]
    mask_reason: str
    advantage: float | None
    strength: float | None  # λ
    bounds: tuple[float, float] | None
    prompt_read: str
    teacher_read: str
    context: str
    context_uncut: str
    context_cut: bool


@dataclass(frozen=True, slots=True)
class Rollout:
    """One rollout of a source. ``update`` is -1 outside of training. ``tokens`` has one entry per turn."""

    source: Source
    line: int
    update: int
    trajectory: Trajectory
    tokens: tuple[TurnTokens | None, ...] = ()
    problem: str = field(default="", compare=False)

    @property
    def name(self) -> str:
        return f"{self.source.slug}:{self.line}"

    @property
    def task(self) -> str:
        """The name of its task in the index and in addresses."""
        return task_key(self.trajectory.task_id)

    def tokens_of(self, place: int) -> TurnTokens | None:
        return self.tokens[place] if place < len(self.tokens) else None


def read_rollout(source: Source, line: int) -> Rollout | None:
    """The rollout on a line; ``None`` if there is none. A damaged one has its ``problem``."""
    index = source.index
    data = None if index is None else index.line(line)
    if data is None:
        return None
    try:
        document = line_document(data.removeprefix(b"\xef\xbb\xbf") if line == 1 else data)
        if document.get("schema") == SCHEMA:
            text = data.decode("utf-8", "surrogatepass").removeprefix("\ufeff")
            trajectory = load_trajectory(text)
        else:
            trajectory = _old_sample(document)
        trajectory = trajectory.replace(analyses=(*trajectory.analyses, *_analyses_of_turns(document)))
    except (ValueError, SchemaError, UsageError) as error:
        return Rollout(source, line, -1, Trajectory("", broken=f"This line cannot be read: {error}"), (), str(error))
    tokens = tuple(_tokens(step, document) for step in document["steps"])
    return Rollout(source, line, update_of(document), trajectory, tokens if any(tokens) else ())


def read_group(rollout: Rollout) -> list[Rollout]:
    """The siblings of a rollout, itself included, in the order of the file. Damaged lines are left out."""
    return read_siblings(rollout.source, rollout.task, rollout.update)


def read_siblings(source: Source, task: str, update: int, policy: str | None = None) -> list[Rollout]:
    """The rollouts of a task, by its :func:`~.summaries.task_key`; of one update, in a training run."""
    query = "SELECT line FROM rollout WHERE task = ? AND update_ = ?"
    values: list[Any] = [task, update]
    if policy is not None:
        query += " AND policy = ?"
        values.append(policy)
    lines = source.rows(f"{query} ORDER BY line LIMIT {_MOST_SIBLINGS}", values)
    read = [read_rollout(source, int(line)) for (line,) in lines]
    return [each for each in read if each is not None and not each.problem]


def group_of(rollouts: Sequence[Rollout]) -> Group:
    """The trajectories as a group."""
    return Group(rollout.trajectory for rollout in rollouts)


def _analyses_of_turns(document: Mapping[str, Any]) -> list[Analysis]:
    """The analyses that a sample stores beside its turns."""
    found = [
        (step.get("index", place), each)
        for place, step in enumerate(document["steps"])
        if isinstance(step.get("analyses"), list)
        for each in step["analyses"]
        if isinstance(each, dict)
    ]
    return [
        Analysis(each["kind"], each["text"], index, str(each.get("analyser", "")))
        for index, each in found
        if each.get("kind") in ANALYSIS_KINDS and isinstance(each.get("text"), str)
    ]


def _old_sample(document: Mapping[str, Any]) -> Trajectory:
    """A sample of an earlier release, which has the prompts and replies of the turns but no actions."""
    steps = []
    for place, step in enumerate(document["steps"]):
        tokens = step.get("tokens")
        reply = "".join(map(str, tokens)) if isinstance(tokens, list) else ""
        prompt, feedback = (str(step.get(key) or "") for key in ("prompt", "feedback"))
        valid = step.get("action_valid") is not False
        steps.append(Step(place, prompt, reply, feedback, feedback, action_valid=valid, prompt=prompt, response=reply))
    return Trajectory(
        str(document.get("task_id") or ""),
        goal=str(document.get("goal") or ""),
        sibling=document["sibling"] if isinstance(document.get("sibling"), int) else 0,
        steps=tuple(steps),
        won=document.get("won") is True,
    )


_COLUMNS = {
    "weight": "weights",
    "gap": "gaps",
    "logprob": "logprobs",
    "teacher": "teacher_logprobs",
    "entropy": "entropies",
    "teacher_entropy": "teacher_entropies",
    "token_advantage": "token_advantages",
}


def _tokens(step: Mapping[str, Any], document: Mapping[str, Any]) -> TurnTokens | None:
    given = step.get("tokens")
    if not isinstance(given, list) or not given:
        return None
    texts = tuple(str(text)[:500] for text in given[:_MOST_TOKENS])
    columns = {name: _column(step.get(key), len(texts)) for name, key in _COLUMNS.items()}
    chosen = step.get("chosen")
    bounds = document.get("weight_bounds")
    low_high = _column(bounds, 2) if isinstance(bounds, list) else (None, None)
    return TurnTokens(
        texts,
        {name: values for name, values in columns.items() if any(value is not None for value in values)},
        tuple(value is True for value in chosen[: len(texts)]) if isinstance(chosen, list) else (),
        str(step.get("mask_reason") or ""),
        number(step, "advantage"),
        number(document, "lambda"),
        None if None in low_high else (float(low_high[0] or 0), float(low_high[1] or 0)),
        str(step.get("prompt_read") or ""),
        str(step.get("teacher_read") or ""),
        str(step.get("context") or ""),
        str(step.get("context_uncut") or ""),
        step.get("context_cut") is True,
    )


def _column(values: object, length: int) -> tuple[float | None, ...]:
    if not isinstance(values, list):
        return (None,) * length
    read = tuple(number({"value": value}, "value") for value in values[:length])
    return read + (None,) * (length - len(read))
