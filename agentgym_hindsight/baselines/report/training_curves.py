"""The section of the page with the curves of training, grouped under headings."""

from __future__ import annotations

from collections.abc import Sequence

from agentgym_hindsight.baselines.report.curves import Trace, curve_chart
from agentgym_hindsight.baselines.report.layout import card, grid, legend, section
from agentgym_hindsight.baselines.report.lines import Line, kinds_of
from agentgym_hindsight.baselines.report.metric_list import HEADINGS, METRICS, Metric, other_metrics
from agentgym_hindsight.baselines.report.series import evaluation_traces, metric_traces
from agentgym_hindsight.markup import Html, tag

__all__ = ["curves"]

_AXES = (("turns", "env turns"), ("update", "updates"))
_SCALE = "Not smoothed. Each chart has its own linear y axis: shares start at 0%, others fit their curves."


def curves(lines: Sequence[Line]) -> Html:
    """All curves over env turns and over updates."""
    metrics = (*METRICS, *other_metrics(row for line in lines for run in line.runs for row in run.metrics))
    views = []
    for axis, x_label in _AXES:
        groups = [group for heading in HEADINGS if (group := _group(heading, metrics, lines, axis, x_label))]
        if groups:
            name = tag("h3", f"Over {x_label}")
            views.append(tag("div", name, *groups, class_="view", data_view=f"over {x_label}"))
    return section(
        "curves",
        "Training",
        *([legend(lines, _SCALE), tag("div", *views, class_="views")] if views else []),
        note="Mean over seeds; the band is its 95 % t interval (none for a single seed). Dashed: some seeds have "
        "fewer updates. Seeds are matched by update; over env turns a point is at the mean of their turns.",
    )


def _group(heading: str, metrics: Sequence[Metric], lines: Sequence[Line], axis: str, x_label: str) -> Html:
    """The charts under one heading; empty if no line has a metric of it."""
    cards = []
    if heading == HEADINGS[0]:
        for split, label in kinds_of([run for line in lines for run in line.runs]):
            title = f"Success in evaluation: {' · '.join(filter(None, (label, split)))}"
            traces = evaluation_traces(lines, (split, label), axis)
            cards.append(_curve(title, "Held-out games, micro.", traces, x_label, True))
    for metric in metrics:
        if metric.heading == heading:
            traces = metric_traces(lines, metric.key, axis, metric.share)
            cards.append(_curve(metric.title, metric.note, traces, x_label, metric.share))
    return tag("div", tag("h4", heading), grid(cards), class_="charts") if any(cards) else Html("")


def _curve(title: str, note: str, traces: Sequence[Trace], x_label: str, share: bool) -> Html:
    return card(title, note, curve_chart(title, traces, x_label, share)) if traces else Html("")
