"""Curves of a line: its seeds matched by update, with the spread between them."""

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
    """One figure of ``metrics.jsonl`` and what to say of it."""

    key: str
    title: str
    note: str
    share: bool = False


#: In the order of the page.
METRICS = (
    Metric("success", "Success in training", "Share of the batch's rollouts that won; sampled, not greedy.", True),
    Metric("return", "Return", "Mean reward of a rollout."),
    Metric("score", "Score in training", "The benchmark's own score.", True),
    Metric("lambda", "λ", "How much of the teacher's gap enters the weights."),
    Metric("entropy", "Entropy", "Of the policy, a token; near 0 it has stopped exploring."),
    Metric("gap", "Gap", "Teacher's log-probability less the policy's, signed mean."),
    Metric("gap_abs", "Gap, absolute", "How far the teacher's opinion differs at all."),
    Metric("weight_mean", "Mean weight", "Of the tokens in the mask; near 1 the step's size is GRPO's."),
    Metric("weight_up", "Weight where A > 0", "Above 1 the teacher adds to what is reinforced."),
    Metric("weight_down", "Weight where A < 0", "Below 1 it softens the push away: it agrees with what was done."),
    Metric("clipped", "Weights at a bound", "Share of token weights that were clipped.", True),
    Metric("context_available", "Context available", "Share of rows for which the teacher had hindsight.", True),
    Metric("action_tokens", "Action tokens", "Share of the response's tokens that name the action.", True),
    Metric("parse_failures", "Replies without an action", "Share of rows whose action could not be read.", True),
    Metric("loss", "Loss", "Of the policy; its sign and size mean little by themselves."),
    Metric("grad_norm", "Gradient norm", "Before clipping."),
    Metric("advantage_abs", "Advantage, absolute", "Mean size; 0 where all siblings fare alike."),
    Metric("groups_without_variance", "Groups without variance", "Share of groups that teach nothing.", True),
    Metric("episode_turns", "Turns an episode", "Fewer is better where the task is the same."),
    Metric("invalid", "Invalid actions", "Share of actions in training the env refused.", True),
    Metric("repetition", "Repeated actions", "Share of steps that repeat the action before.", True),
    Metric("response_length", "Tokens a response", "Longer thinking, or rambling."),
)


def metric_traces(lines: Sequence[Line], key: str, over: str, share: bool = False) -> list[Trace]:
    """One trace a line that has this metric; ``over`` is ``"update"`` or ``"turns"``."""
    traces = []
    for line in lines:
        at: dict[int, list[tuple[float, float]]] = {}
        for run in line.runs:
            for update, place, value in _values(run, key, over):
                at.setdefault(update, []).append((place, value))
        points = tuple(
            Point(
                mean([place for place, _ in found]),
                values_of([value for _, value in found], 0.0 if share else -inf, 1.0 if share else inf),
                len(found),
            )
            for _, found in sorted(at.items())
        )
        if points:
            traces.append(Trace(line.name, line.colour, _forward(points)))
    return traces


def _values(run: Run, key: str, over: str) -> list[tuple[int, float, float]]:
    found = []
    for row in run.metrics:
        value, place, update = number(row, key), number(row, over), int(row["update"])
        if value is not None and place is not None:
            found.append((update, place, value))
    return found


def evaluation_traces(lines: Sequence[Line], kind: tuple[str, str], over: str) -> list[Trace]:
    """Success of one kind of evaluation."""
    traces = []
    for line in lines:
        at: dict[int, list[tuple[float, CategoryResult]]] = {}
        for run in line.runs:
            for update, turns, result in evaluated(run, kind):
                at.setdefault(update, []).append((turns, result.micro))
        points = tuple(
            Point(
                float(update) if over == "update" else mean([turns for turns, _ in found]),
                values_of([row.success for _, row in found], 0.0, 1.0),
                len(found),
            )
            for update, found in sorted(at.items())
        )
        if points:
            traces.append(Trace(line.name, line.colour, _forward(points)))
    return traces


def _forward(points: tuple[Point, ...]) -> tuple[Point, ...]:
    # Where a slow seed ends, the mean of the turns can step back; a curve that turns round would read as two.
    kept: list[Point] = []
    for point in points:
        if not kept or point.x > kept[-1].x:
            kept.append(point)
    return tuple(kept)
