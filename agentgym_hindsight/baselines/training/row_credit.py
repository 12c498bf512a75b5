"""The credit of training rows: advantages, targets of a critic, and weights that are computed once per update."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.methods.critics import CriticCredit
from agentgym_hindsight.baselines.methods.evidence import Evidence
from agentgym_hindsight.baselines.methods.rows import Array, Rows, Values
from agentgym_hindsight.baselines.training.collectives import Processes
from agentgym_hindsight.baselines.training.training_row import TrainingRow

__all__ = ["add_credit", "add_evidence"]

T = TypeVar("T")


def add_credit(rows: Sequence[TrainingRow], columns: Rows, method: Method, processes: Processes | None) -> None:
    """Set the advantages of all rows, and the targets of the critic if the method has one."""
    whole = getattr(method.credit, "whole_batch", False)
    everything, own = _of_all_processes(columns, processes) if whole else (columns, slice(None))
    numbers = method.row_signals(columns)
    if numbers is not None:
        for row, number in zip(rows, numbers.tolist(), strict=True):
            row.row_signal = number
    if not isinstance(method.credit, CriticCredit):
        _set_advantages(rows, method.credit(everything)[own])
        return
    estimate = method.credit.estimate(everything)
    _set_advantages(rows, estimate.advantages[own])
    for name in ("turn_targets", "token_targets"):
        if (targets := getattr(estimate, name)) is not None:
            for row, target in zip(rows, targets[own], strict=True):
                row.targets[name] = np.atleast_1d(np.asarray(target, np.float32))
    if estimate.after_targets:
        for row in rows:
            row.targets["after_targets"] = np.zeros(1, np.float32)


def add_evidence(
    rows: Sequence[TrainingRow],
    columns: Rows,
    method: Method,
    lam: float,
    memory: MutableMapping[str, Any],
    processes: Processes | None,
) -> None:
    """Run the hooks of the method that use the teacher's scores of the whole update, and store their results."""
    gaps = [_chosen_gap(row, method) for row in rows]
    logps = [np.asarray(row.logprobs, np.float64)[list(row.chosen)] for row in rows]
    lengths = [len(row.response_ids) for row in rows]
    entropies = [_chosen(row, row.teacher_entropies) for row in rows] if method.uses_teacher_entropy else []
    everything, own = columns, slice(None)
    if method.whole_batch:
        everything, own = _of_all_processes(columns, processes)
    advantages = [row.advantage for row in rows]
    if processes is not None and everything is not columns:
        gaps, advantages = processes.gather(gaps), processes.gather(advantages)
        logps, lengths, entropies = (processes.gather(each) for each in (logps, lengths, entropies))
    inputs = (everything, np.array(advantages), Evidence(gaps, logps, lengths, entropies), lam, memory)
    if method.weights_updates:
        for row, values in zip(rows, list(method.update_advantages(*inputs))[own], strict=True):
            if values is not None:
                row.token_advantages = _over_response(row, values, row.advantage)
    signals = method.update_signals(*inputs)
    if signals is not None:
        for row, values in zip(rows, list(signals)[own], strict=True):
            row.signals = None if values is None else _over_response(row, values, 0.0)


def _chosen_gap(row: TrainingRow, method: Method) -> Array | None:
    """The teacher's log-probabilities minus those of the sampler, or its own without the context."""
    if row.teacher_logps is None:
        return None
    if method.compares_teacher:
        assert row.plain_logps is not None
        return _chosen(row, row.teacher_logps.double() - row.plain_logps.double())
    return _chosen(row, row.teacher_logps.double() - torch.tensor(row.logprobs, dtype=torch.float64))


def _chosen(row: TrainingRow, values: Tensor | None) -> Array | None:
    """The values of the tokens that the teacher may weight."""
    if values is None:
        return None
    chosen: Array = values.double()[torch.tensor(row.chosen)].numpy()
    return chosen


def _over_response(row: TrainingRow, values: Array, rest: float) -> Tensor:
    """Values of the chosen tokens as values of all response tokens."""
    tokens = torch.full((len(row.chosen),), rest)
    tokens[torch.tensor(row.chosen)] = torch.as_tensor(np.asarray(values), dtype=torch.float32)
    return tokens


def _set_advantages(rows: Sequence[TrainingRow], advantages: Any) -> None:
    if hasattr(advantages, "detach"):  # a credit of one's own may return a tensor
        advantages = advantages.detach().cpu().numpy()
    if isinstance(advantages, np.ndarray):
        for row, advantage in zip(rows, advantages.tolist(), strict=True):
            row.advantage = advantage
        return
    for row, values in zip(rows, advantages, strict=True):
        row.advantage = float(np.mean(values)) if len(values) else 0.0
        row.token_advantages = torch.from_numpy(np.asarray(values, np.float32))


def _of_all_processes(columns: Rows, processes: Processes | None) -> tuple[Rows, slice]:
    """The rows of all processes, and the place of this process's rows among them."""
    if processes is None or processes.count == 1:
        return columns, slice(None)
    parts: list[Rows] = processes.gather([columns])
    begin = sum(len(part) for part in parts[: processes.index])
    group = trajectory = 0
    numbered = []
    for part in parts:
        numbered.append(replace(part, group=part.group + group, trajectory=part.trajectory + trajectory))
        group += int(part.group.max(initial=-1)) + 1
        trajectory += int(part.trajectory.max(initial=-1)) + 1
    values = [part.values for part in numbered if part.values is not None]
    joined = _joined(Values, values) if len(values) == len(numbered) else None
    whole = _joined(Rows, [replace(part, values=None) for part in numbered])
    return replace(whole, values=joined), slice(begin, begin + len(columns))


def _joined(kind: type[T], parts: Sequence[T]) -> T:
    """One object whose columns are those of the parts, one after the other; a column that a part lacks is ``None``."""
    columns: dict[str, Any] = {}
    for each in fields(kind):  # type: ignore[arg-type]
        values = [getattr(part, each.name) for part in parts]
        if any(value is None for value in values):
            columns[each.name] = None
        elif isinstance(values[0], tuple):
            columns[each.name] = tuple(value for part in values for value in part)
        else:
            columns[each.name] = np.concatenate(values)
    return kind(**columns)
