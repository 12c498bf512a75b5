"""How well numbers of turns agree with their true advantages. Arrays are (B,), one value per turn; no NaN.

The truth is measured with noise. Its two halves, from different continuations, have independent noise, so their
covariance is the variance of the true advantages alone. With it, correlations and the explained variance are corrected
for the noise of the truth.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from agentgym_hindsight.baselines.methods.rows import Array

__all__ = [
    "Truth",
    "calibration",
    "critical_hits",
    "explained_variance",
    "mean_of",
    "ranks",
    "reliability",
    "sign_agreement",
    "spearman",
]


class Truth(NamedTuple):
    """The truth of some turns: estimates, their two halves, and whether the sign is certain."""

    value: Array
    first: Array
    second: Array
    signed: Array

    def at(self, chosen: Array) -> Truth:
        """The truth of some of the turns."""
        return Truth(*(each[chosen] for each in self))


def ranks(values: Array) -> Array:
    """Ranks from 1; equal values share the mean of their ranks. A difference below a millionth of the largest value is
    a rounding error.

    >>> ranks(np.array([3.0, 1.0, 3.0])).tolist()
    [2.5, 1.0, 2.5]
    """
    size = float(np.abs(values).max(initial=0.0))
    values = np.round(values / size, 6) if size > 0 else values
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    begins = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(values) else order
    counts = np.diff(np.append(begins, len(values)))
    result = np.empty(len(values))
    result[order] = np.repeat(begins + (counts + 1) / 2, counts)
    return result


def spearman(one: Array, two: Array) -> float:
    """Spearman's rank correlation; 0 if one side is constant, as it then says nothing about the order.

    >>> spearman(np.array([1.0, 2.0, 3.0]), np.array([10.0, 20.0, 15.0]))
    0.5
    """
    return _correlation(ranks(one), ranks(two))


def _correlation(one: Array, two: Array) -> float:
    if len(one) < 2:
        return float("nan")
    a, b = one - one.mean(), two - two.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    size = max(abs(one).max() * abs(two).max(), 1e-300) * len(one)
    return round(float(a @ b / scale), 12) if scale > 1e-12 * size else 0.0


def reliability(truth: Truth) -> float:
    """The rank correlation of the whole estimate with another one as long: Spearman and Brown, from the two halves."""
    half = spearman(truth.first, truth.second)
    return 2 * half / (1 + half) if half > 0 else 0.0


def sign_agreement(says: Array, truth: Truth) -> float:
    """The share of turns of certain sign to which ``says`` gives the same sign; 0 counts as half right."""
    if not truth.signed.any():
        return float("nan")
    product = np.sign(says[truth.signed]) * np.sign(truth.value[truth.signed])
    return float(np.mean((product + 1) / 2))


def explained_variance(says: Array, truth: Truth) -> float:
    """The share of the variance of the true advantages that a linear function of ``says`` explains, noise-corrected.

    ``cov(says, truth)² / (var(says) · cov(first, second))``. NaN if the halves do not vary together: then the truth is
    only noise. It can exceed 1 by chance.
    """
    if len(says) < 2:
        return float("nan")
    signal = _covariance(truth.first, truth.second)
    if signal <= 0:
        return float("nan")
    spread = _covariance(says, says)
    return 0.0 if spread <= 0 else _covariance(says, truth.value) ** 2 / (spread * signal)


def _covariance(one: Array, two: Array) -> float:
    return float((one - one.mean()) @ (two - two.mean()) / (len(one) - 1))


def calibration(says: Array, truth: Array, bins: int = 5) -> list[tuple[float, float, int]]:
    """The mean of ``says`` and of the truth, and the number of turns, in bins of equally many turns by ``says``.

    Equal values are in one bin, so there may be fewer.
    """
    order = np.argsort(says, kind="stable")
    rank = ranks(says)
    label = np.minimum((rank - 0.5) * bins / len(says), bins - 1).astype(np.int64)
    found = []
    for number in np.unique(label[order]):
        members = label == number
        found.append((float(says[members].mean()), float(truth[members].mean()), int(members.sum())))
    return found


def critical_hits(says: Array, truth: Truth, rollouts: Array) -> tuple[Array, Array]:
    """Whether the turn with the largest ``|says|`` of a rollout is that with the largest ``|truth|``; and by chance.

    Both are on the first turn of each rollout that has a turn of certain sign and more than one audited turn, and NaN
    elsewhere. If several turns share the largest ``|says|``, each counts with its share; if several share the largest
    ``|truth|``, each of them is right.
    """
    hits, chances = np.full(len(says), np.nan), np.full(len(says), np.nan)
    for number in np.unique(rollouts):
        members = np.flatnonzero(rollouts == number)
        if len(members) < 2 or not truth.signed[members].any():
            continue
        most, top = (size >= size.max() - 1e-9 for size in (np.abs(truth.value[members]), np.abs(says[members])))
        hits[members[0]] = (most & top).sum() / top.sum()
        chances[members[0]] = most.mean()
    return hits, chances


def mean_of(values: Array) -> float:
    """The mean without NaN; NaN if there is nothing else."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
