"""Random draws that depend on a seed alone: the same on every machine, in every process and Python version.

The seed is the SHA-256 hash of the parts, because ``hash()`` differs between processes. All draws use ``random()``, the
only method whose sequence Python promises to keep; the standard library's ``sample`` and ``choices`` may change.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from random import Random
from typing import ClassVar, TypeVar

__all__ = ["SeededDraws"]

T = TypeVar("T")


class SeededDraws:
    """A random source whose seed is a list of parts. A subclass sets ``edition``, the first part of every seed.

    >>> one, two = SeededDraws("room", 3), SeededDraws("room", 3)
    >>> [one.below(10) for _ in range(5)] == [two.below(10) for _ in range(5)]
    True
    """

    __slots__ = ("random",)
    edition: ClassVar[str] = "agentgym-hindsight"

    def __init__(self, *parts: object) -> None:
        digest = sha256("|".join(map(str, (self.edition, *parts))).encode()).digest()
        self.random = Random(int.from_bytes(digest, "big")).random

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self.random() < probability

    def below(self, bound: int) -> int:
        """An integer from 0 to ``bound`` - 1."""
        return int(self.random() * bound)

    def between(self, low: float, high: float) -> float:
        """A number between ``low`` and ``high``."""
        return low + (high - low) * self.random()

    def pick(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[self.below(len(items))]

    def weighted(self, rows: Sequence[tuple[T, float]]) -> T:
        """One of the items, given as (item, weight) rows."""
        remaining = self.random() * sum(weight for _, weight in rows)
        for item, weight in rows:
            remaining -= weight
            if remaining < 0:
                return item
        return rows[-1][0]

    def sample(self, items: Sequence[T], count: int) -> list[T]:
        """``count`` different items in random order; all items if there are fewer."""
        pool = list(items)
        for index in range(min(count, len(pool))):
            other_index = index + self.below(len(pool) - index)
            pool[index], pool[other_index] = pool[other_index], pool[index]
        return pool[:count]

    def round(self, amount: float) -> int:
        """``amount`` rounded up or down at random, so that the mean stays ``amount``."""
        floor = int(amount)
        return floor + (self.random() < amount - floor)
