"""Bars as SVG: groups of bars with intervals, stacked bars, and histograms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log10

from agentgym_hindsight.baselines.report.curves import colour_class
from agentgym_hindsight.baselines.report.scales import Scale, figure, percent, tick_labels, ticks
from agentgym_hindsight.baselines.report.statistics import Estimate
from agentgym_hindsight.markup import Html, tag

__all__ = ["Bar", "Stack", "bar_chart", "histogram", "stack_chart"]

_WIDTH, _BAR, _GAP = 440, 13, 4


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its name, colour, value with interval, and a note that is written next to it."""

    name: str
    colour: int
    value: Estimate
    note: str = ""


@dataclass(frozen=True, slots=True)
class Stack:
    """One bar of several parts, in the order of the chart's ``parts``."""

    name: str
    parts: tuple[float, ...]
    note: str = ""


def bar_chart(
    name: str, groups: Sequence[tuple[str, Sequence[Bar]]], low: float, high: float, write: Callable[[float], str]
) -> Html:
    """Groups of horizontal bars that start at zero; whiskers show the intervals."""
    x = Scale(low, high, 4, _WIDTH - 130)
    shapes: list[Html] = []
    y = 0.0
    for group, bars in groups:
        y += 20
        shapes.append(tag("text", group, x=4, y=y - 5, class_="label"))
        for bar in bars:
            middle, start, end = y + _BAR / 2, x(min(0.0, bar.value.value)), x(max(0.0, bar.value.value))
            title = f"{bar.name}, {group}: {_interval(bar.value, write)} {bar.note}".strip()
            shapes.append(
                tag(
                    "g",
                    tag("title", title),
                    tag("rect", x=start, y=y, width=max(0.5, end - start), height=_BAR, rx=1.5),
                    _whisker(bar.value, x, middle),
                    tag("text", f"{write(bar.value.value)} {bar.note}".strip(), x=_WIDTH - 124, y=middle + 4),
                    class_=f"bar {colour_class(bar.colour)}",
                )
            )
            y += _BAR + _GAP
        y += 6
    zero = tag("line", x1=x(0.0), x2=x(0.0), y1=14, y2=y - 6, class_="axis")
    return _svg(name, y, [zero, *shapes])


def _whisker(value: Estimate, x: Scale, y: float) -> Html:
    if value.low is None or value.high is None:
        return Html("")
    ends = [tag("line", x1=x(end), x2=x(end), y1=y - 3, y2=y + 3) for end in (value.low, value.high)]
    return tag("g", tag("line", x1=x(value.low), x2=x(value.high), y1=y, y2=y), *ends, class_="whisker")


def _interval(value: Estimate, write: Callable[[float], str]) -> str:
    if value.low is None or value.high is None:
        return write(value.value)
    return f"{write(value.value)} [{write(value.low)}, {write(value.high)}]"


def stack_chart(name: str, parts: Sequence[str], stacks: Sequence[Stack], unit: str) -> Html:
    """Horizontal bars of several parts, on one axis that starts at zero."""
    x = Scale(0.0, max((sum(stack.parts) for stack in stacks), default=1.0) or 1.0, 4, _WIDTH - 130)
    shapes: list[Html] = []
    y = 0.0
    for stack in stacks:
        y += 20
        shapes.append(tag("text", stack.name, x=4, y=y - 5, class_="label"))
        offset = 0.0
        for index, (part, length) in enumerate(zip(parts, stack.parts, strict=True)):
            start, end = x(offset), x(offset + length)
            offset += length
            if length > 0:
                shapes.append(
                    tag(
                        "g",
                        tag("title", f"{stack.name}, {part}: {figure(length)} {unit}"),
                        tag("rect", x=start, y=y, width=max(0.5, end - start), height=_BAR + 3),
                        class_=f"part p{index}",
                    )
                )
        shapes.append(tag("text", f"{figure(offset)} {unit} {stack.note}", x=x(offset) + 6, y=y + 12, class_="label"))
        y += _BAR + _GAP + 9
    return _svg(name, y, shapes)


#: Smaller shares are not drawn.
_MIN_SHARE = 1e-4


def histogram(name: str, edges: Sequence[float], shares: Sequence[float], mark: float | None = None) -> Html:
    """Shares of a whole by bin. Heights are logarithmic, because most weights are 1 and few differ.

    ``mark`` draws a vertical line; bins above and below it have different colours.
    """
    height, bottom, left = 120, 98, 40
    x, y = Scale(edges[0], edges[-1], left, _WIDTH - 8), Scale(log10(_MIN_SHARE), 0.0, bottom, 8)
    shapes: list[Html] = []
    for share in (1.0, 1e-2, _MIN_SHARE):
        shapes.append(tag("line", x1=left, x2=_WIDTH - 8, y1=y(log10(share)), y2=y(log10(share)), class_="grid"))
        shapes.append(
            tag(
                "text",
                f"{100 * share:g}%" if share > _MIN_SHARE else "0",
                x=left - 6,
                y=y(log10(share)) + 4,
                class_="tick end",
            )
        )
    values = ticks(edges[0], edges[-1], 8)
    labels = tick_labels(values)
    shapes += [
        tag("text", label, x=x(value), y=bottom + 15, class_="tick mid")
        for value, label in zip(values, labels.texts, strict=True)
    ]
    if labels.base:
        height += 14
        shapes.append(tag("text", f"{labels.base} +", x=left, y=bottom + 29, class_="tick"))
    for start, end, share in zip(edges, edges[1:], shares, strict=False):
        if share > _MIN_SHARE:
            top = y(log10(share))
            side = "up" if mark is not None and start >= mark else "down"
            if mark is not None and start < mark < end:
                side = "even"
            shapes.append(
                tag(
                    "g",
                    tag("title", f"{figure(start)} to {figure(end)}: {percent(share)}"),
                    tag("rect", x=x(start), y=top, width=max(0.7, x(end) - x(start) - 0.7), height=bottom - top),
                    class_=f"bin {side}",
                )
            )
    if mark is not None and edges[0] < mark < edges[-1]:
        shapes.append(tag("line", x1=x(mark), x2=x(mark), y1=6, y2=bottom, class_="axis"))
    return _svg(name, height, shapes)


def _svg(name: str, height: float, shapes: Sequence[Html]) -> Html:
    return tag("svg", tag("title", name), *shapes, viewBox=f"0 0 {_WIDTH} {height:.0f}", role="img", class_="bars")
