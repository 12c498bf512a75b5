"""Recorded rollouts of training: what each turn was, and every token with its probabilities and its weight.

A line of samples.jsonl is a line of a trajectory (:mod:`~agentgym_hindsight.hindsight.codec`) with more keys, so that
whatever reads rollouts reads samples too. ``agh view`` and ``agh report`` show them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor

from agentgym_hindsight.baselines.masks import token_spans
from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.methods.teacher_prompts import ChatContext
from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.rollout import Episode
from agentgym_hindsight.baselines.training.metrics import Measured, token_weights
from agentgym_hindsight.baselines.training.training_row import TrainingRow
from agentgym_hindsight.hindsight.analyses import Analysis
from agentgym_hindsight.hindsight.codec import dump_trajectory

__all__ = ["draw_samples"]


def draw_samples(
    measured: Measured, method: Method, encoder: PromptEncoder, update: int, which: str = "pair"
) -> Iterator[dict[str, Any]]:
    """A won and a lost rollout of the first task that has both; the first rollout if no task has both.

    ``which="all"``: every complete rollout of this process.
    """
    rows: dict[int, list[TrainingRow]] = {}
    for row in measured.rows:
        rows.setdefault(row.episode, []).append(row)
    complete = [episode for episode in measured.episodes if not episode.trajectory.broken and episode.trajectory.steps]
    # Rows number the episodes group by group, in the order in which tasks first appear.
    tasks = list(dict.fromkeys(episode.trajectory.task_id for episode in complete))
    ordered = [episode for task in tasks for episode in complete if episode.trajectory.task_id == task]
    for index in range(len(ordered)) if which == "all" else _pair(ordered):
        own_rows = sorted(rows.get(index, ()), key=lambda row: row.step.index)
        yield _sample(ordered[index], own_rows, measured.lam, method, encoder, update)


def _pair(ordered: Sequence[Episode]) -> list[int]:
    by_task: dict[str, list[int]] = {}
    for index, episode in enumerate(ordered):
        by_task.setdefault(episode.trajectory.task_id, []).append(index)
    for members in by_task.values():
        won = [i for i in members if ordered[i].trajectory.won]
        lost = [i for i in members if not ordered[i].trajectory.won]
        if won and lost:
            return [won[0], lost[0]]
    return [0] if ordered else []


def _sample(
    episode: Episode, rows: Sequence[TrainingRow], lam: float, method: Method, encoder: PromptEncoder, update: int
) -> dict[str, Any]:
    trajectory = episode.trajectory
    record: dict[str, Any] = json.loads(dump_trajectory(trajectory))
    turns = {row.step.index: row for row in rows}
    steps = []
    for step in record["steps"]:
        row = turns.get(step["index"])
        notes = [_analysis(each) for each in trajectory.analyses if each.step == step["index"]]
        tokens = {} if row is None else _tokens(row, trajectory.won, method, encoder)
        steps.append({**step, **tokens, "analyses": notes})
    return {
        **record,
        "update": update,
        "return": trajectory.total_reward,
        "lambda": lam,
        "weight_bounds": None if method.weight_bounds is None else list(method.weight_bounds),
        "method": method.name,
        "analyses": [_analysis(each) for each in trajectory.analyses if each.step is None],
        "steps": steps,
    }


def _tokens(row: TrainingRow, won: bool, method: Method, encoder: PromptEncoder) -> dict[str, Any]:
    """What training knows about the tokens of a turn. Lists have one value per token of the response."""
    gaps, factors = token_weights(row)
    text, spans = token_spans(encoder.decode, row.response_ids)
    recorded = {
        "advantage": row.advantage,
        "token_advantages": _list(row.token_advantages),
        "tokens": [text[begin:end] for begin, end in spans],
        "weights": factors.tolist(),
        "gaps": gaps.tolist(),
        "logprobs": list(row.logprobs),
        "teacher_logprobs": _list(row.teacher_logps),
        "entropies": _list(row.entropies),
        "teacher_entropies": _list(row.teacher_entropies),
        "chosen": list(row.chosen),
        "mask_reason": _mask_reason(row, won, method),
        "prompt_ids": list(row.prompt_ids),
        "response_ids": list(row.response_ids),
        "prompt_read": _read(encoder, row.prompt_ids),
        "context": "" if row.context is None else row.context.text,
        "context_cut": row.context_cut,
        "teacher_ids": list(row.teacher_ids),
        "teacher_read": _read(encoder, row.teacher_ids),
    }
    if row.context_cut and row.context is not None and not isinstance(row.context, ChatContext):
        recorded["context_uncut"] = "\n\n".join(map(str, row.context.uncut))
    return {name: value for name, value in recorded.items() if value is not None}


def _mask_reason(row: TrainingRow, won: bool, method: Method) -> str:
    """Why the teacher weighted no token of the turn; "" if it weighted some."""
    if not method.has_teacher:
        return f"{method.name} has no teacher"
    if not method.tokens.takes(won=won, valid=row.step.action_valid):
        return f"tokens={method.tokens} leaves this turn out"
    if not any(row.chosen):
        return "no action was found in the reply"
    if row.context is None:
        return "there was no context for the teacher"
    if not row.teacher_ids:
        return "the advantage is 0, so weights change nothing"
    return ""


def _read(encoder: PromptEncoder, ids: Sequence[int]) -> str:
    """The prompt as the model read it, control tokens included."""
    return str(encoder.tokenizer.decode(list(ids), skip_special_tokens=False)) if ids else ""


def _list(values: Tensor | None) -> list[float] | None:
    return None if values is None else [float(value) for value in values]


def _analysis(analysis: Analysis) -> dict[str, str]:
    return {"kind": analysis.kind, "text": analysis.text, "analyser": analysis.analyser}
