"""The curves of a line: its seeds matched by update, with the interval over them."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from agentgym_hindsight.baselines.evaluation.results import CategoryResult
from agentgym_hindsight.baselines.report.curves import Point, Trace
from agentgym_hindsight.baselines.report.lines import Line, evaluated
from agentgym_hindsight.baselines.report.plausible import number
from agentgym_hindsight.baselines.report.runs import Run
from agentgym_hindsight.baselines.report.statistics import mean, values_of

__all__ = ["evaluation_traces", "metric_traces"]


def metric_traces(lines: Sequence[Line], key: str, over: str, share: bool = False) -> list[Trace]:
    """One trace for each line that has this metric; ``over`` is ``"update"`` or ``"turns"``."""
    traces = []
    for line in lines:
        by_update: dict[int, list[tuple[float, float]]] = {}
        for run in line.runs:
            for update, x, value in _values(run, key, over):
                by_update.setdefault(update, []).append((x, value))
        points = tuple(
            Point(
                mean([x for x, _ in members]),
                values_of([value for _, value in members], 0.0 if share else -inf, 1.0 if share else inf),
                len(members),
            )
            for _, members in sorted(by_update.items())
        )
        if points:
            traces.append(Trace(line.name, line.colour, _increasing(points)))
    return traces


def _values(run: Run, key: str, over: str) -> list[tuple[int, float, float]]:
    values = []
    for row in run.metrics:
        value, x, update = number(row, key), number(row, over), int(row["update"])
        if value is not None and x is not None:
            values.append((update, x, value))
    return values


def evaluation_traces(lines: Sequence[Line], kind: tuple[str, str], over: str) -> list[Trace]:
    """Success in one kind of evaluation, one trace for each line that has it."""
    traces = []
    for line in lines:
        by_update: dict[int, list[tuple[float, CategoryResult]]] = {}
        for run in line.runs:
            for update, turns, result in evaluated(run, kind):
                by_update.setdefault(update, []).append((turns, result.micro))
        points = tuple(
            Point(
                float(update) if over == "update" else mean([turns for turns, _ in members]),
                values_of([row.success for _, row in members], 0.0, 1.0),
                len(members),
            )
            for update, members in sorted(by_update.items())
        )
        if points:
            traces.append(Trace(line.name, line.colour, _increasing(points)))
    return traces


def _increasing(points: tuple[Point, ...]) -> tuple[Point, ...]:
    # Where a seed ends, the mean of the turns can decrease. Such points are dropped, so that x always increases.
    increasing: list[Point] = []
    for point in points:
        if not increasing or point.x > increasing[-1].x:
            increasing.append(point)
    return tuple(increasing)
