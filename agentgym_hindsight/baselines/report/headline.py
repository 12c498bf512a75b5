"""The main result of each line: success before RL and after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agentgym_hindsight.baselines.evaluation.results import Evaluation
from agentgym_hindsight.baselines.report.lines import Line, evaluated, kinds_of
from agentgym_hindsight.baselines.report.statistics import Estimate, mean, share_of, values_of

__all__ = ["HeadlineRow", "Side", "headline"]


@dataclass(frozen=True, slots=True)
class Side:
    """The policies of all seeds at one time: ``success`` and ``macro`` with intervals, the others as means."""

    success: Estimate
    macro: Estimate
    score: float
    turns: float
    invalid: float
    broken: int
    games: int
    seeds: int
    #: The fewest and the most updates of a seed.
    updates: tuple[int, int]


@dataclass(frozen=True, slots=True)
class HeadlineRow:
    """The result of one line in one kind of evaluation."""

    line: Line
    split: str
    label: str
    before: Side | None
    after: Side | None
    #: After minus before, over the seeds that have both.
    change: Estimate | None
    env_turns: float


def headline(lines: Sequence[Line]) -> tuple[HeadlineRow, ...]:
    """A row for each line and each (split, label) of its evaluations. A line without evaluations gets one row."""
    rows = []
    for line in lines:
        env_turns = mean([run.turns for run in line.runs])
        kinds = kinds_of(line.runs)
        if not kinds:
            rows.append(HeadlineRow(line, "", "not evaluated", None, None, None, env_turns))
        for kind in kinds:
            first, last = [], []
            changes = []
            for run in line.runs:
                points = evaluated(run, kind)
                start = [(update, result) for update, _, result in points if update == 0]
                end = [(update, result) for update, _, result in points if update > 0][-1:]
                first += start
                last += end
                if start and end:
                    changes.append(end[0][1].micro.success - start[0][1].micro.success)
            change = values_of(changes, -1.0, 1.0) if changes else None
            rows.append(HeadlineRow(line, *kind, _side(first), _side(last), change, env_turns))
    return tuple(sorted(rows, key=_order))


def _order(row: HeadlineRow) -> tuple[bool, str, bool, str, int]:
    # Comparable rows are next to each other: sorted by evaluation, then by line. Lines without evaluations are last.
    evaluated = row.before is not None or row.after is not None
    return not evaluated, row.split, row.label != "greedy", row.label, row.line.colour


def _side(measured: Sequence[tuple[int, Evaluation]]) -> Side | None:
    if not measured:
        return None
    updates, results = [update for update, _ in measured], [result for _, result in measured]
    micro = [result.micro for result in results]
    return Side(
        share_of(micro),
        values_of([result.macro for result in results], 0.0, 1.0),
        mean([row.score for row in micro]),
        mean([row.turns for row in micro]),
        mean([row.invalid for row in micro]),
        sum(row.broken for row in micro),
        max(row.rollouts for row in micro),
        len(micro),
        (min(updates), max(updates)),
    )
