"""The curves of a line: its seeds matched by update, with the interval over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from agentgym_hindsight.baselines.evaluation.results import CategoryResult
from agentgym_hindsight.baselines.report.curves import Point, Trace
from agentgym_hindsight.baselines.report.lines import Line, evaluated
from agentgym_hindsight.baselines.report.runs import Run, number
from agentgym_hindsight.baselines.report.statistics import mean, values_of

__all__ = ["METRICS", "Metric", "evaluation_traces", "metric_traces"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of ``metrics.jsonl``, with its title and note on the page."""

    key: str
    title: str
    note: str
    share: bool = False


#: In the order of the page.
METRICS = (
    Metric("success", "Success in training", "Share of the batch's rollouts that won; sampled, not greedy.", True),
    Metric("return", "Return", "Mean reward of a rollout."),
    Metric("score", "Score in training", "The benchmark's own score.", True),
    Metric("lambda", "λ", "Share of the teacher's weights in the token weights."),
    Metric("entropy", "Entropy", "Entropy of the policy per token; near 0 it no longer explores."),
    Metric("gap", "Gap", "Teacher's log-probability minus the policy's, signed mean."),
    Metric("gap_abs", "Gap, absolute", "Mean absolute gap: how much teacher and policy differ."),
    Metric("weight_mean", "Mean weight", "Of the tokens in the mask; near 1 the update is as large as GRPO's."),
    Metric("weight_up", "Weight where A > 0", "Above 1: more probable for the teacher, so these tokens gain more."),
    Metric("weight_down", "Weight where A < 0", "Below 1: more probable for the teacher, so these tokens lose less."),
    Metric("clipped", "Weights at a bound", "Share of token weights that were clipped.", True),
    Metric("context_available", "Context available", "Share of rows with hindsight in the teacher's context.", True),
    Metric("action_tokens", "Action tokens", "Share of the response's tokens that name the action.", True),
    Metric("parse_failures", "Replies without an action", "Share of rows whose action could not be parsed.", True),
    Metric("loss", "Loss", "Policy loss; its sign and size do not show progress."),
    Metric("grad_norm", "Gradient norm", "Before clipping."),
    Metric("advantage_abs", "Advantage, absolute", "Mean absolute advantage; 0 if all siblings have equal returns."),
    Metric("groups_without_variance", "Groups without variance", "Share of groups that give no gradient.", True),
    Metric("episode_turns", "Turns per episode", "On the same tasks, fewer is better."),
    Metric("invalid", "Invalid actions", "Share of training actions that the env refused.", True),
    Metric("repetition", "Repeated actions", "Share of steps that repeat the previous action.", True),
    Metric("response_length", "Tokens per response", "Mean length of a response."),
)


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
