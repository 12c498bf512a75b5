"""Axes of the charts: values to pixels, round numbers for ticks, short texts for numbers.

Values are finite and not beyond ±1e100 (``plausible.LARGEST``), so no computation here overflows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor, isfinite, log10
from typing import NamedTuple

__all__ = ["Scale", "TickLabels", "figure", "percent", "span", "tick_labels", "ticks"]

#: A range that is narrower than this, relative to its values, is drawn as one value: rounding would make up its shape.
_NARROWEST = 1e-11
#: Below, a fifth of the range could be 0.
_DENORMAL = 1e-290


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
    if high - low <= max(_NARROWEST * max(abs(low), abs(high)), _DENORMAL):
        margin = abs(low) / 2 or 1.0
        return low - margin, high + margin
    return low, high


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """About ``most`` round numbers in a range, at most.

    >>> ticks(0, 1), ticks(3, 17, 4)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [5.0, 10.0, 15.0])
    """
    rough = (high - low) / most
    exponent = floor(log10(rough))
    power = 10.0**exponent
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    # Rounded, because 3 × 0.1 is not exactly 0.3.
    return [round(index * step, 2 - exponent) for index in range(first, min(last, first + 2 * most) + 1)]


class TickLabels(NamedTuple):
    """The text of each tick, all different. If ``base`` is not "", the texts are distances from it."""

    texts: tuple[str, ...]
    base: str


def tick_labels(values: Sequence[float]) -> TickLabels:
    """The shortest exact texts of ticks; if they would be long, the distances from the first tick.

    >>> tick_labels([0.0, 0.5, 1.0])
    TickLabels(texts=('0', '0.5', '1'), base='')
    >>> tick_labels([25000.0, 25001.0, 25002.0]).texts
    ('25k', '25.001k', '25.002k')
    >>> tick_labels([7000000.0, 7000000.5, 7000001.0])
    TickLabels(texts=('+0', '+0.5', '+1'), base='7M')
    """
    if not values:
        return TickLabels((), "")
    step = min((high - low for low, high in pairwise(values)), default=0.0)
    for digits in range(3, 6):
        if _exact(values, digits, step):
            return TickLabels(tuple(figure(value, digits) for value in values), "")
    distances = [value - values[0] for value in values]
    texts = next((d for d in range(3, 15) if _exact(distances, d, step)), 15)
    base = next((d for d in range(3, 15) if _exact(values[:1], d, step)), 15)
    return TickLabels(tuple(f"+{figure(distance, texts)}" for distance in distances), figure(values[0], base))


def _exact(values: Iterable[float], digits: int, step: float) -> bool:
    return all(abs(float(f"{value:.{digits}g}") - value) <= 1e-3 * step for value in values)


def figure(value: float, digits: int = 3) -> str:
    """A number as a short text for an axis.

    >>> figure(0.0), figure(1234567), figure(25000), figure(0.0123), figure(-3.5)
    ('0', '1.23M', '25k', '0.0123', '−3.5')
    >>> figure(999999), figure(1e15), figure(2.5e-7)
    ('1M', '1e15', '2.5e−7')
    >>> figure(float("-inf")), figure(float("nan"))
    ('−∞', 'not a number')
    """
    if not isfinite(value):
        return "not a number" if value != value else "∞" if value > 0 else "−∞"
    sign = "−" if value < 0 else ""
    size = abs(float(f"{value:.{digits}g}"))  # rounded first: 999,999 is 1M, not 1000k
    if size and not 1e-3 <= size < 1e12:
        mantissa, exponent = f"{value:.{digits - 1}e}".lstrip("-").split("e")
        return f"{sign}{_short(mantissa)}e{int(exponent)}".replace("e-", "e−")
    for unit, least, name in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e3, 1e4, "k")):
        if size >= least and abs(value) > 9999.5:
            return f"{sign}{size / unit:.{digits}g}{name}"
    if size >= 100:  # whole numbers stay whole
        return f"{sign}{_short(f'{abs(value):.{max(digits - 1 - floor(log10(size)), 0)}f}')}"
    return f"{sign}{size:.{digits}g}"


def _short(decimal: str) -> str:
    return decimal.rstrip("0").rstrip(".") if "." in decimal else decimal


def percent(value: float, digits: int = 3) -> str:
    """A share as a percentage.

    >>> percent(0.1234), percent(1.0)
    ('12.3%', '100%')
    """
    return _short(f"{100 * value:.{digits - 2}f}").replace("-", "−") + "%"
