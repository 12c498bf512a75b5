"""The figures of an update: for logs, curves and warnings.

Each process sums over its own episodes and rows (:class:`Sums`). The sums of all processes are added, and shares and
means are computed from the total, so the figures do not depend on how rollouts were distributed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import log
from typing import Any

import torch

from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.padding import pad_right
from agentgym_hindsight.baselines.rollout import Episode
from agentgym_hindsight.baselines.training.asker import AskFigures
from agentgym_hindsight.baselines.training.resampling import Replaced
from agentgym_hindsight.baselines.training.training_row import TrainingRow

__all__ = [
    "Measured",
    "add_questions",
    "add_weights",
    "from_trl",
    "measure",
    "store_used",
    "to_trl",
    "token_weights",
]

#: The histogram of token weights: range, and number of bins.
_LOW, _HIGH, _BINS = 0.5, 1.5, 40
#: Figures that TRL computes: its names, and the keys in metrics.jsonl.
_FROM_TRL = {
    "loss": "loss",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
    "kl": "kl",
    "clip_ratio/region_mean": "ratio_clipped",
}


@dataclass(slots=True)
class Measured:
    """``record`` is written to metrics.jsonl. Samples are drawn from the episodes and rows of this process."""

    record: dict[str, Any]
    episodes: Sequence[Episode] = field(default=(), repr=False)
    rows: Sequence[TrainingRow] = field(default=(), repr=False)
    lam: float = 0.0


@dataclass(slots=True)
class SourceSums:
    """Sums over the rows whose context contains one source and whose tokens have teacher log-probabilities."""

    rows: float = 0.0
    tokens: float = 0.0
    gap: float = 0.0
    gap_abs: float = 0.0


@dataclass(slots=True)
class TeacherSums:
    """Sums over the tokens that the teacher weighted."""

    tokens: float = 0.0
    clipped: float = 0.0
    gap: float = 0.0
    gap_abs: float = 0.0
    factor: float = 0.0
    #: The tokens of rows with A > 0 and with A < 0. Rows with A = 0, which only a KL term uses, are not counted.
    up_tokens: float = 0.0
    up_factor: float = 0.0
    down_tokens: float = 0.0
    down_factor: float = 0.0
    histogram: list[float] = field(default_factory=lambda: [0.0] * _BINS)


@dataclass(slots=True)
class Sums:
    """The sums of one process over an update."""

    episodes: int = 0
    broken: int = 0
    complete: int = 0
    won: int = 0
    score: float = 0.0
    returns: float = 0.0
    truncated: int = 0
    steps: int = 0
    invalid: int = 0
    repeats: int = 0
    groups: int = 0
    flat_groups: int = 0
    rows: int = 0
    tokens: int = 0
    prompt_tokens: int = 0
    advantage_abs: float = 0.0
    chosen: int = 0
    parse_failures: int = 0
    contexts: int = 0
    prompted: int = 0
    cut: int = 0
    teacher_tokens: int = 0
    surprise: float = 0.0


@dataclass(slots=True)
class WeightSums:
    """The sums of one process over the rows that the teacher scored."""

    teacher: TeacherSums = field(default_factory=TeacherSums)
    sources: dict[str, SourceSums] = field(default_factory=dict)


def measure(
    episodes: Sequence[Episode],
    rows: Sequence[TrainingRow],
    method: Method,
    lam: float,
    gather: Callable[[list[Any]], list[Any]] = lambda values: values,
) -> Measured:
    """The figures of an update over all processes; ``gather`` collects the values of every process."""
    sums = Sums()
    for part in gather([_sums(episodes, rows, method, lam)]):
        _add(sums, part)
    return Measured(_record(sums, lam, method.has_teacher), episodes, rows, lam)


def add_questions(
    measured: Measured,
    method: Method,
    asked: AskFigures,
    replaced: Replaced,
    gather: Callable[[list[Any]], list[Any]] = lambda values: values,
) -> None:
    """Add what the hooks of the method asked, and what was played again, over all processes."""
    if method.replaces_rollouts:
        total = Replaced()
        for part in gather([replaced]):
            _add(total, part)
        measured.record.update(resampled=total.rollouts, resampled_turns=total.turns)
        if total.rollouts:
            measured.record["replaced_success"] = total.won_before / total.rollouts
            measured.record["resampled_success"] = total.won / total.rollouts
        measured.record["rollout_tokens"] += total.tokens
    if method.replaces_rollouts or method.writes_contexts:
        figures = AskFigures()
        for part in gather([asked]):
            _add(figures, part)
        measured.record.update(
            ask_prompts=figures.prompts,
            ask_prompt_tokens=figures.prompt_tokens,
            ask_tokens=figures.tokens,
            ask_failures=figures.failures,
        )


def store_used(
    rows: Sequence[TrainingRow], used: torch.Tensor, before: torch.Tensor | None, gaps: torch.Tensor
) -> None:
    """Store in each row the gap and the factor Â/A of its tokens, from tensors (B, T) of the loss.

    ``before`` has the advantages without the teacher; ``None``: those of the rows.
    """
    if before is None:
        before = torch.tensor([row.advantage for row in rows], device=used.device)[:, None].expand(used.shape)
    factors = torch.where(before == 0, 1.0, used / before).float().cpu()
    differences = gaps.float().cpu()
    for index, row in enumerate(rows):
        if row.teacher_logps is not None:
            width = len(row.response_ids)
            row.used = differences[index, :width].clone(), factors[index, :width].clone()


def token_weights(row: TrainingRow) -> tuple[torch.Tensor, torch.Tensor]:
    """Gap and Â/A of every token of one row (T), as they were used; 0 and 1 where the teacher changed nothing."""
    if row.used is None:
        width = len(row.response_ids)
        return torch.zeros(width), torch.ones(width)
    return row.used


def add_weights(
    measured: Measured, method: Method, gather: Callable[[list[Any]], list[Any]] = lambda values: values
) -> None:
    """Add the figures of the token weights to the record, after the update that used them."""
    if not method.has_teacher:
        return
    total = WeightSums()
    for part in gather([_weight_sums(measured.rows, method)]):
        _add(total, part)
    if total.teacher.tokens:
        measured.record.update(_teacher_record(total.teacher, clips=method.weight_bounds is not None))
        measured.record["gap_by_source"] = {
            name: {
                "mean": _share(source.gap, source.tokens),
                "abs": _share(source.gap_abs, source.tokens),
                "rows": source.rows,
            }
            for name, source in sorted(total.sources.items())
        }


def to_trl(record: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a record under the names that they have in TRL's logs."""
    return {f"hindsight/{key}": float(value) for key, value in record.items() if isinstance(value, (int, float))}


def from_trl(logs: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of TRL's logs that a record includes."""
    return {key: logs[name] for name, key in _FROM_TRL.items() if logs.get(name) is not None}


def _sums(episodes: Sequence[Episode], rows: Sequence[TrainingRow], method: Method, lam: float) -> Sums:
    complete = [episode.trajectory for episode in episodes if not episode.trajectory.broken]
    steps = [step for trajectory in complete for step in trajectory.steps]
    returns: dict[str, set[float]] = {}
    for trajectory in complete:
        returns.setdefault(trajectory.task_id, set()).add(trajectory.total_reward)
    return Sums(
        episodes=len(episodes),
        broken=len(episodes) - len(complete),
        complete=len(complete),
        won=sum(trajectory.won for trajectory in complete),
        score=sum(trajectory.score for trajectory in complete),
        returns=sum(trajectory.total_reward for trajectory in complete),
        truncated=sum(trajectory.truncated for trajectory in complete),
        steps=len(steps),
        invalid=sum(not step.action_valid for step in steps),
        repeats=sum(
            now.action == before.action and now.anchor == before.anchor
            for trajectory in complete
            for before, now in zip(trajectory.steps, trajectory.steps[1:], strict=False)
        ),
        groups=len(returns),
        flat_groups=sum(len(values) == 1 for values in returns.values()),
        rows=len(rows),
        tokens=sum(len(row.response_ids) for row in rows),
        prompt_tokens=sum(len(row.prompt_ids) for row in rows),
        advantage_abs=sum(abs(row.advantage) for row in rows),
        chosen=sum(sum(row.chosen) for row in rows),
        parse_failures=sum(not any(row.chosen) for row in rows) if method.has_teacher else 0,
        contexts=sum(row.context is not None for row in rows),
        prompted=sum(bool(row.teacher_ids) for row in rows),
        cut=sum(row.context_cut for row in rows),
        teacher_tokens=sum(len(row.teacher_ids) + len(row.response_ids) for row in rows if row.teacher_ids),
        surprise=-sum(sum(row.logprobs) for row in rows),
    )


def _weight_sums(rows: Sequence[TrainingRow], method: Method) -> WeightSums:
    names = sorted({name for row in rows if row.context is not None for name in row.context.sources})
    sums = WeightSums(sources={name: SourceSums() for name in names})
    rows = [row for row in rows if row.used is not None]
    if not rows:
        return sums
    gaps, factors = (pad_right([row.used[i] for row in rows if row.used], 0.0, torch.float32) for i in (0, 1))
    chosen = pad_right([row.chosen for row in rows], False, torch.bool)
    # A gap beyond the logarithms of the bounds was clipped, whichever the sign of the advantage.
    clipped = torch.zeros_like(chosen)
    if method.weight_bounds is not None:
        low, high = map(log, method.weight_bounds)
        signed = gaps * torch.tensor([row.advantage for row in rows]).sign()[:, None]
        clipped = ((signed <= low) | (signed >= high)) & chosen
    teacher = sums.teacher
    teacher.histogram = torch.histc(factors[chosen].clamp(_LOW, _HIGH).float(), _BINS, _LOW, _HIGH).tolist()
    columns = (chosen, clipped, gaps * chosen, gaps.abs() * chosen, factors * chosen)
    per_row = torch.stack([column.double().sum(-1) for column in columns], -1).tolist()
    for row, (tokens, bound, gap, gap_abs, factor) in zip(rows, per_row, strict=True):
        assert row.context is not None
        teacher.tokens += tokens
        teacher.clipped += bound
        teacher.gap += gap
        teacher.gap_abs += gap_abs
        teacher.factor += factor
        if row.advantage > 0:
            teacher.up_tokens += tokens
            teacher.up_factor += factor
        elif row.advantage < 0:
            teacher.down_tokens += tokens
            teacher.down_factor += factor
        for name in row.context.sources:
            source = sums.sources[name]
            source.rows += 1
            source.tokens += tokens
            source.gap += gap
            source.gap_abs += gap_abs
    return sums


def _add(total: Any, part: Any) -> None:
    """Add the fields of ``part`` to those of ``total``, in place."""
    for each in fields(total):
        current, added = getattr(total, each.name), getattr(part, each.name)
        if isinstance(current, (int, float)):
            setattr(total, each.name, current + added)
        elif isinstance(current, list):
            setattr(total, each.name, [a + b for a, b in zip(current, added, strict=True)])
        elif isinstance(current, dict):
            for name, value in added.items():
                _add(current.setdefault(name, SourceSums()), value)
        else:
            _add(current, added)


def _share(part: float, total: float) -> float:
    return part / total if total else 0.0


def _record(sums: Sums, lam: float, has_teacher: bool) -> dict[str, Any]:
    record: dict[str, Any] = {
        "success": _share(sums.won, sums.complete),
        "score": _share(sums.score, sums.complete),
        "return": _share(sums.returns, sums.complete),
        "episodes": sums.episodes,
        "broken": sums.broken,
        "truncated": _share(sums.truncated, sums.complete),
        "episode_turns": _share(sums.steps, sums.complete),
        "invalid": _share(sums.invalid, sums.steps),
        "repetition": _share(sums.repeats, sums.steps),
        "rows": sums.rows,
        "response_tokens": sums.tokens,
        "response_length": _share(sums.tokens, sums.rows),
        "prompt_tokens": sums.prompt_tokens,
        "rollout_tokens": sums.tokens + sums.prompt_tokens,
        "groups_without_variance": _share(sums.flat_groups, sums.groups),
        "advantage_abs": _share(sums.advantage_abs, sums.rows),
        "surprise": _share(sums.surprise, sums.tokens),
    }
    if has_teacher:
        record.update(
            {
                "lambda": lam,
                "context_available": _share(sums.contexts, sums.rows),
                "context_cut": _share(sums.cut, sums.prompted),
                "action_tokens": _share(sums.chosen, sums.tokens),
                "parse_failures": _share(sums.parse_failures, sums.rows),
                "teacher_tokens": sums.teacher_tokens,
            }
        )
    return record


def _teacher_record(teacher: TeacherSums, clips: bool) -> dict[str, Any]:
    record: dict[str, Any] = {
        **({"clipped": _share(teacher.clipped, teacher.tokens)} if clips else {}),
        "gap": _share(teacher.gap, teacher.tokens),
        "gap_abs": _share(teacher.gap_abs, teacher.tokens),
        "weight_mean": _share(teacher.factor, teacher.tokens),
    }
    # Omitted when there are no such tokens: 0 would be read as a weight.
    if teacher.up_tokens:
        record["weight_up"] = teacher.up_factor / teacher.up_tokens
    if teacher.down_tokens:
        record["weight_down"] = teacher.down_factor / teacher.down_tokens
    width = (_HIGH - _LOW) / _BINS
    record["weights"] = {
        "edges": [round(_LOW + i * width, 6) for i in range(_BINS + 1)],
        "counts": teacher.histogram,
    }
    return record
