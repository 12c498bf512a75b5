"""Curves as SVG: the mean over seeds and a band with its 95 % interval, dashed where seeds are missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from agentgym_hindsight.baselines.report.scales import Scale, TickLabels, figure, percent, span, tick_labels, ticks
from agentgym_hindsight.baselines.report.statistics import Estimate
from agentgym_hindsight.markup import Html, tag

__all__ = ["PALETTE", "Point", "Trace", "colour_class", "curve_chart"]

#: The number of colours in the style sheet. With more lines, colours repeat.
PALETTE = 14
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 440, 230, 50, 12, 14, 34


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a curve, and the number of seeds that it is the mean of."""

    x: float
    y: Estimate
    seeds: int


@dataclass(frozen=True, slots=True)
class Trace:
    """One curve."""

    name: str
    colour: int
    points: tuple[Point, ...]


def colour_class(colour: int) -> str:
    """The CSS class of a line's colour."""
    return f"c{colour % PALETTE}"


def curve_chart(name: str, traces: Sequence[Trace], x_label: str, share: bool = False) -> Html:
    """All curves in one chart. With ``share`` the y axis starts at 0 and ends at a round share."""
    points = [point for trace in traces for point in trace.points]
    means = span(point.y.value for point in points)
    low, high = (0.0, _upper_limit(means[1])) if share else _with_bands(points, means)
    x_low, x_high = span(point.x for point in points)
    if x_high > 0.0 and all(point.x >= 0.0 for point in points):
        x_low = max(x_low, 0.0)  # a single point at 0 widens the range; there are no negative updates and turns
    x, y = Scale(x_low, x_high, _LEFT, _WIDTH - _RIGHT), Scale(low, high, _HEIGHT - _BOTTOM, _TOP)
    write = percent if share else figure
    grid = [*_y_axis(low, high, y, share), *_x_axis(x_low, x_high, x, x_label)]
    ends = "; ".join(f"{trace.name} ends at {write(trace.points[-1].y.value)}" for trace in traces if trace.points)
    return tag(
        "svg",
        tag("title", f"{name} over {x_label}: {ends}"),
        *grid,
        *(_band(trace, x, y) for trace in traces),
        *(_trace(trace, x, y) for trace in traces),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        class_="curve",
        data_x=f"{x_low:.9g} {x_high:.9g} {_LEFT} {_WIDTH - _RIGHT}",
        data_y=f"{low:.9g} {high:.9g} {_HEIGHT - _BOTTOM} {_TOP}",
        data_share="1" if share else None,
    )


def _y_axis(low: float, high: float, y: Scale, share: bool) -> list[Html]:
    values = ticks(low, high, 5)
    labels = TickLabels(tuple(map(percent, values)), "") if share else tick_labels(values)
    shapes: list[Html] = []
    for value, label in zip(values, labels.texts, strict=True):
        shapes.append(tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y(value), y2=y(value), class_="grid"))
        shapes.append(tag("text", label, x=_LEFT - 6, y=y(value) + 4, class_="tick end"))
    if labels.base:
        shapes.append(tag("text", f"{labels.base} +", x=4, y=_TOP - 2, class_="tick"))
    return shapes


def _x_axis(low: float, high: float, x: Scale, name: str) -> list[Html]:
    values = [value for value in ticks(low, high, 5) if value == int(value)]  # whole updates only
    labels = tick_labels(values)
    shapes = [
        tag("text", label, x=x(value), y=_HEIGHT - _BOTTOM + 16, class_="tick mid")
        for value, label in zip(values, labels.texts, strict=True)
    ]
    name = f"{name}: {labels.base} +" if labels.base else name
    return [*shapes, tag("text", name, x=_WIDTH - _RIGHT, y=_HEIGHT - 3, class_="tick end")]


def _upper_limit(highest: float) -> float:
    return next((limit for limit in (0.05, 0.1, 0.2, 0.5) if highest <= 0.9 * limit), 1.0)


def _with_bands(points: Sequence[Point], means: tuple[float, float]) -> tuple[float, float]:
    # With two seeds the band is often ten times as high as the curves. So the band is cut off, and the curves are not.
    height = means[1] - means[0]
    ends = [end for point in points for end in (point.y.low, point.y.high) if end is not None]
    low, high = span([*means, *ends])
    return max(low, means[0] - height / 2), min(high, means[1] + height / 2)


def _band(trace: Trace, x: Scale, y: Scale) -> Html:
    shapes = []
    for has_band, run in groupby(trace.points, key=lambda point: point.y.low is not None):
        if has_band:
            members = list(run)
            upper = [f"{x(point.x):.1f},{y(point.y.high or 0.0):.1f}" for point in members]
            lower = [f"{x(point.x):.1f},{y(point.y.low or 0.0):.1f}" for point in reversed(members)]
            shapes.append(tag("polygon", points=" ".join([*upper, *lower])))
    return tag("g", *shapes, class_=f"band {colour_class(trace.colour)}")


def _trace(trace: Trace, x: Scale, y: Scale) -> Html:
    max_seeds = max((point.seeds for point in trace.points), default=0)
    shapes: list[Html] = []
    # Each piece starts at the last point of the previous one, so that the curve has no gaps.
    start = 0
    while start < len(trace.points) - 1:
        all_seeds, end = trace.points[start + 1].seeds == max_seeds, start + 1
        while end + 1 < len(trace.points) and (trace.points[end + 1].seeds == max_seeds) is all_seeds:
            end += 1
        piece = trace.points[start : end + 1]
        coordinates = " ".join(f"{x(point.x):.1f},{y(point.y.value):.1f}" for point in piece)
        shapes.append(tag("polyline", points=coordinates, class_=None if all_seeds else "thin"))
        start = end
    if len(trace.points) <= 16:
        shapes += [tag("circle", cx=x(point.x), cy=y(point.y.value), r=2.6) for point in trace.points]
    return tag("g", *shapes, class_=f"trace {colour_class(trace.colour)}", data_name=trace.name)
