"""The difference of two chances of success, estimated from continuations in pairs."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan, sqrt
from statistics import NormalDist
from typing import NamedTuple

from agentgym_hindsight.errors import UsageError

__all__ = ["Advantage", "advantage"]

#: An outcome of a continuation; ``None``: it broke.
Outcomes = Sequence["bool | None"]

_Z = NormalDist().inv_cdf(0.975)


class Advantage(NamedTuple):
    """An estimate of Q − V.

    * ``value``: the mean difference of the pairs; ``low``, ``high``: its 95 % interval.
    * ``q``, ``v``: the chances of success after the action and before it.
    * ``pairs``: the number of pairs. ``first``, ``second``: the mean difference of the even and of the odd
      continuations, two independent halves; NaN without pairs.
    """

    value: float
    low: float
    high: float
    q: float
    v: float
    pairs: int
    first: float
    second: float

    @property
    def half_width(self) -> float:
        """Half of the width of the interval."""
        return (self.high - self.low) / 2

    @property
    def has_sign(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


def advantage(before: Outcomes, after: Outcomes) -> Advantage:
    """Q − V from the outcomes of equally numbered continuations before and after the action.

    The interval is that of Agresti and Min for paired proportions: half a pair is added to each of the four kinds of
    pairs. Without it, twenty pairs without a difference would have an interval of width 0.

    >>> estimate = advantage([False] * 10 + [True] * 10, [True] * 20)
    >>> estimate.value, round(estimate.low, 2), round(estimate.high, 2), estimate.has_sign
    (0.5, 0.23, 0.68, True)
    """
    if len(before) != len(after):
        raise UsageError(f"Expected equally many continuations, got {len(before)} and {len(after)}; try pairs.")
    pairs = [(int(b), int(a), n) for n, (b, a) in enumerate(zip(before, after, strict=True)) if None not in (b, a)]  # type: ignore[arg-type]
    if not pairs:
        return Advantage(nan, -1.0, 1.0, nan, nan, 0, nan, nan)
    count = len(pairs)
    v, q = sum(b for b, _, _ in pairs) / count, sum(a for _, a, _ in pairs) / count
    gained = sum(a > b for b, a, _ in pairs) + 0.5
    lost = sum(a < b for b, a, _ in pairs) + 0.5
    whole = count + 2.0
    middle = (gained - lost) / whole
    half = _Z * sqrt(max(gained + lost - (gained - lost) ** 2 / whole, 0.0)) / whole
    halves = [_mean([a - b for b, a, n in pairs if n % 2 == rest]) for rest in (0, 1)]
    # From whole numbers: q − v would differ by rounding between equal advantages, and so in rank.
    value = sum(a - b for b, a, _ in pairs) / count
    return Advantage(value, max(middle - half, -1.0), min(middle + half, 1.0), q, v, count, halves[0], halves[1])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else nan
