"""Axes of the charts: values to pixels, round numbers for ticks, short texts for numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, floor, log10

__all__ = ["Scale", "figure", "percent", "span", "ticks"]


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear axis. Values outside of its range are drawn at its end.

    >>> Scale(0, 10, 100, 0)(2.5)
    75.0
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (min(self.high, max(self.low, value)) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def span(values: Iterable[float]) -> tuple[float, float]:
    """The lowest and the highest value, widened if they are equal.

    >>> span([2.0]), span([])
    ((1.0, 3.0), (0.0, 1.0))
    """
    listed = list(values)
    if not listed:
        return 0.0, 1.0
    low, high = min(listed), max(listed)
    if low == high:
        margin = abs(low) / 2 or 1.0
        return low - margin, high + margin
    return low, high


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """About ``most`` round numbers in a range, at most.

    >>> ticks(0, 1), ticks(3, 17, 4)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [5.0, 10.0, 15.0])
    """
    rough = (high - low) / most
    power = 10.0 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    # Rounded, because 3 × 0.1 is not exactly 0.3.
    return [round(index * step, 12) for index in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]


def figure(value: float) -> str:
    """A number as a short text for an axis.

    >>> figure(0.0), figure(1234567), figure(25000), figure(0.0123), figure(-3.5)
    ('0', '1.23M', '25k', '0.0123', '−3.5')
    """
    sign, size = ("−" if value < 0 else ""), abs(value)
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= unit:
            return f"{sign}{size / (1e3 if name == 'k' else unit):.3g}{name}"
    if size >= 100:
        return f"{sign}{size:.0f}"
    return f"{sign}{size:.3g}" if size >= 1e-3 or size == 0 else f"{sign}{size:.1e}"


def percent(value: float) -> str:
    """A share as a percentage.

    >>> percent(0.1234), percent(1.0)
    ('12.3%', '100%')
    """
    return f"{100 * value:.1f}".removesuffix(".0").replace("-", "−") + "%"
