"""How the CPU time of a function grows with the size of its input, measured within one run."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["FACTOR", "LINEAR", "growth"]

#: The larger input has this many times the size of the smaller one.
FACTOR = 4
#: A limit between linear growth (4) and quadratic growth (16).
LINEAR = 10.0
_FLOOR = 1e-3  # seconds; shorter times are too noisy to compare


def growth(run: Callable[[int], object], size: int, repeats: int = 12) -> float:
    """CPU time of ``run(FACTOR * size)`` divided by that of ``run(size)``, each the best of several runs.

    It is measured again only while it looks worse than linear.
    """
    small, large = _seconds(run, size), _seconds(run, FACTOR * size)
    for _ in range(repeats):
        if large < LINEAR * max(small, _FLOOR):
            break
        small, large = min(small, _seconds(run, size)), min(large, _seconds(run, FACTOR * size))
    return large / max(small, _FLOOR)


def _seconds(run: Callable[[int], object], size: int) -> float:
    started = time.process_time()
    run(size)
    return time.process_time() - started
