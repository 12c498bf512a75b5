"""A scatter plot as SVG: labelled points with an interval on both axes."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from statistics import median
from typing import NamedTuple

from agentgym_hindsight.baselines.audit.summary import Figure
from agentgym_hindsight.baselines.report.curves import colour_class
from agentgym_hindsight.baselines.report.scales import Scale, percent, span, tick_labels, ticks
from agentgym_hindsight.markup import Html, tag

__all__ = ["ScatterPoint", "scatter_plot"]

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 640, 400, 62, 24, 16, 46
_LETTER, _LINE = 6.6, 13  # the size of a letter of the labels


class ScatterPoint(NamedTuple):
    """A point with its intervals; the ends are NaN if it has none."""

    name: str
    x: Figure
    y: Figure
    colour: int = 0


def scatter_plot(name: str, points: Sequence[ScatterPoint], x_label: str, y_label: str) -> Html:
    """The points. The y axis is of shares; the axes' zeros are drawn where they are in the plot."""
    shown = [point for point in points if isfinite(point.x.value) and isfinite(point.y.value)]
    if not shown:
        return Html("")
    x_low, x_high = _range([point.x for point in shown])
    y_low, y_high = _range([point.y for point in shown])
    x, y = Scale(x_low, x_high, _LEFT, _WIDTH - _RIGHT), Scale(y_low, y_high, _HEIGHT - _BOTTOM, _TOP)
    shapes: list[Html] = []
    for value, text in zip(ticks(x_low, x_high), tick_labels(ticks(x_low, x_high)).texts, strict=True):
        shapes.append(_line(x(value), x(value), _TOP, _HEIGHT - _BOTTOM, "axis" if value == 0 else "grid"))
        shapes.append(tag("text", text, x=x(value), y=_HEIGHT - _BOTTOM + 16, class_="tick mid"))
    for value in ticks(y_low, y_high):
        shapes.append(_line(_LEFT, _WIDTH - _RIGHT, y(value), y(value), "axis" if value == 0 else "grid"))
        shapes.append(tag("text", percent(value), x=4, y=y(value) + 4, class_="tick"))
    shapes.append(tag("text", x_label, x=(_LEFT + _WIDTH - _RIGHT) / 2, y=_HEIGHT - 8, class_="mid"))
    shapes.append(tag("text", y_label, x=_LEFT + 6, y=_TOP + 10, class_="tick"))
    taken = [(x(point.x.value) - 6, y(point.y.value) - 6, 12.0, 12.0) for point in shown]
    for point in shown:
        px, py = x(point.x.value), y(point.y.value)
        label = _place(point.name, px, py, taken)
        said = f"{point.name}: {x_label} {_interval(point.x)}, {y_label} {_interval(point.y)}"
        shapes.append(
            tag(
                "g",
                tag("title", said),
                tag("g", *_whiskers(point, x, y), class_="whisker", opacity="0.45"),
                tag("rect", x=px - 4.5, y=py - 4.5, width=9, height=9, rx=4.5),
                tag("text", point.name, x=label[0], y=label[1] + _LINE - 3, class_="label"),
                class_=f"bar {colour_class(point.colour)}",
            )
        )
    return tag("svg", tag("title", name), *shapes, viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img", class_="bars")


def _range(figures: Sequence[Figure]) -> tuple[float, float]:
    """The range of an axis. Intervals that are much longer than most, as of two seeds, are cut at its ends."""
    halves = [(each.high - each.low) / 2 for each in figures if isfinite(each.low) and isfinite(each.high)]
    most = 2 * median(halves) if halves else 0.0
    ends = [
        number
        for each in figures
        for number in (each.value, max(each.low, each.value - most), min(each.high, each.value + most))
        if isfinite(number)
    ]
    low, high = span(ends)
    margin = 0.05 * (high - low)
    return low - margin, high + margin


def _whiskers(point: ScatterPoint, x: Scale, y: Scale) -> list[Html]:
    px, py = x(point.x.value), y(point.y.value)
    lines = []
    if isfinite(point.x.low) and isfinite(point.x.high):
        lines.append(_line(x(point.x.low), x(point.x.high), py, py))
    if isfinite(point.y.low) and isfinite(point.y.high):
        lines.append(_line(px, px, y(point.y.low), y(point.y.high)))
    return lines


def _line(x1: float, x2: float, y1: float, y2: float, name: str | None = None) -> Html:
    return tag("line", x1=x1, x2=x2, y1=y1, y2=y2, class_=name)


def _place(name: str, px: float, py: float, taken: list[tuple[float, float, float, float]]) -> tuple[float, float]:
    """The corner of a label near its point, on no other label or point if possible."""
    width = _LETTER * len(name)
    spots = [
        (px + dx if side > 0 else px - dx - width, py + dy)
        for dy in (-_LINE / 2, -_LINE - 4, 4, -2 * _LINE, _LINE, -3 * _LINE, 2 * _LINE)
        for side, dx in ((1, 8.0), (-1, 8.0))
    ]
    inside = [
        (left, top)
        for left, top in spots
        if left >= _LEFT and left + width <= _WIDTH and _TOP <= top <= _HEIGHT - _BOTTOM - _LINE
    ]
    best = min(inside or spots, key=lambda spot: sum(_overlaps((*spot, width, _LINE), other) for other in taken))
    taken.append((*best, width, _LINE))
    return best


def _overlaps(one: tuple[float, float, float, float], two: tuple[float, float, float, float]) -> bool:
    return (
        one[0] < two[0] + two[2] and two[0] < one[0] + one[2] and one[1] < two[1] + two[3] and two[1] < one[1] + one[3]
    )


def _interval(figure: Figure) -> str:
    ends = f" [{figure.low:.2f}, {figure.high:.2f}]" if isfinite(figure.low) and isfinite(figure.high) else ""
    return f"{figure.value:.2f}{ends}"
