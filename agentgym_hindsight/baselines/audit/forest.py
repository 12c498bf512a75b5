"""Forest plots as SVG: one line per method with its value and interval."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import NamedTuple

from agentgym_hindsight.baselines.report.curves import colour_class
from agentgym_hindsight.baselines.report.scales import Scale, span, tick_labels, ticks
from agentgym_hindsight.markup import Html, tag

__all__ = ["Line", "forest_plot"]

_WIDTH, _NAMES, _VALUES, _LINE = 640, 210, 130, 20


class Line(NamedTuple):
    """A value with its interval; the ends are NaN if it has none. ``colour`` groups lines of a kind."""

    name: str
    value: float
    low: float
    high: float
    colour: int = 0


def forest_plot(name: str, lines: Sequence[Line], mark: float | None = 0.0) -> Html:
    """The lines from top to bottom, on one axis. ``mark`` draws a vertical line."""
    shown = [line for line in lines if isfinite(line.value)]
    if not shown:
        return Html("")
    numbers = [number for line in shown for number in (line.value, line.low, line.high) if isfinite(number)]
    low, high = span([*numbers, *([] if mark is None else [mark])])
    x = Scale(low, high, _NAMES, _WIDTH - _VALUES)
    bottom = 8 + _LINE * len(shown)
    values = ticks(low, high)
    shapes = []
    for value, label in zip(values, tick_labels(values).texts, strict=True):
        shapes.append(tag("line", x1=x(value), x2=x(value), y1=4, y2=bottom, class_="grid"))
        shapes.append(tag("text", label, x=x(value), y=bottom + 15, class_="tick mid"))
    if mark is not None:
        shapes.append(tag("line", x1=x(mark), x2=x(mark), y1=4, y2=bottom, class_="axis"))
    for number, line in enumerate(shown):
        y = 8 + _LINE * number + _LINE / 2
        has_ends = isfinite(line.low) and isfinite(line.high)
        text = f"{line.value:.2f}" + (f" [{line.low:.2f}, {line.high:.2f}]" if has_ends else "")
        whisker = (
            tag(
                "g",
                tag("line", x1=x(line.low), x2=x(line.high), y1=y, y2=y),
                *(tag("line", x1=x(end), x2=x(end), y1=y - 3, y2=y + 3) for end in (line.low, line.high)),
                class_="whisker",
            )
            if has_ends
            else Html("")
        )
        shapes.append(
            tag(
                "g",
                tag("title", f"{line.name}: {text}"),
                tag("text", line.name, x=4, y=y + 4),
                whisker,
                tag("rect", x=x(line.value) - 3.5, y=y - 3.5, width=7, height=7, rx=1.5),
                tag("text", text, x=_WIDTH - _VALUES + 8, y=y + 4),
                class_=f"bar {colour_class(line.colour)}",
            )
        )
    return tag("svg", tag("title", name), *shapes, viewBox=f"0 0 {_WIDTH} {bottom + 24}", role="img", class_="bars")
