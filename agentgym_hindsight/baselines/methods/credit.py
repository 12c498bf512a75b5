"""Credit from group statistics: the parts that GRPO, RLOO, GiGPO and HGPO share.

A credit computes the advantage (B,) of every turn of a batch, before a teacher changes it. It is computed in float64
with numpy, because a batch of rows is small, and returned as float32. No credit needs torch.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from agentgym_hindsight.baselines.methods.checks import check_unit
from agentgym_hindsight.baselines.methods.rows import Array, Rows
from agentgym_hindsight.baselines.settings import check_range
from agentgym_hindsight.errors import UnknownNameError, UsageError

__all__ = [
    "EPSILON",
    "ROUNDING",
    "GroupRelative",
    "Scale",
    "Statistics",
    "as_float32",
    "check_credit",
    "compared",
    "compared_scores",
    "group_advantages",
    "labels_of",
    "penalised",
    "rows_in_order",
    "scaled",
    "scores_of",
    "spread",
    "step_returns",
]

Scale = Literal["std", "none"]
Statistics = Literal["rows", "trajectories", "first_rows"]

#: Added to standard deviations and to sums of weights, as in the released code.
EPSILON = 1e-6
#: A deviation below this fraction of a value counts as a rounding error of float64.
ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class GroupRelative:
    """GRPO's credit: ``(score − mean) / (std + 1e-6)`` within the group, where score = return − penalty if invalid.

    * ``statistics="rows"``, the released default, takes mean and std over all rows of the group, so long rollouts
      weigh more. ``"trajectories"``, as in the papers, takes one score per rollout: that of its first row.
      ``"first_rows"``, the release's variant of it, takes mean and std over the first rows, and compares each row's own
      score, with its own penalty, with them.
    * ``scale="none"`` does not divide. The std is the unbiased one.

    The only score of a group is used with mean 0 and std 1, as in the released code.
    """

    penalty: float = 0.1
    statistics: Statistics = "rows"
    scale: Scale = "std"

    def __post_init__(self) -> None:
        check_credit(self)

    def __call__(self, rows: Rows) -> Array:
        return as_float32(group_advantages(rows, self.penalty, self.statistics, self.scale))


def check_credit(credit: Any) -> None:
    """Raise if an option that several credits have is out of its range: now, and not at the first update."""
    for name, known in _CHOICES.items():
        if name in credit.__dataclass_fields__ and getattr(credit, name) not in known:
            raise UnknownNameError(name, getattr(credit, name), known)
    if "gamma" in credit.__dataclass_fields__:
        check_range(credit, "gamma", least=0, most=1)
    check_range(credit, "penalty", least=0, why="; it is subtracted")


_CHOICES: dict[str, tuple[str, ...]] = {"scale": get_args(Scale), "statistics": get_args(Statistics)}


def group_advantages(rows: Rows, penalty: float, statistics: str, scale: str) -> Array:
    """The values of :class:`GroupRelative` in float64."""
    scores, deviation, std, count = compared_scores(rows, penalty, statistics)
    only_score = count == 1
    deviation = np.where(only_score, scores, deviation)
    std = np.where(only_score, 1.0, std)
    return scaled(deviation, std, scale)


def compared_scores(rows: Rows, penalty: float, statistics: str) -> tuple[Array, Array, Array, Array]:
    """For each row: its score, the score's deviation from the group's mean, the group's std and number of scores."""
    if statistics == "first_rows":
        own = penalised(rows.returns, rows, penalty)
        return own, *_from_first_rows(own, rows)
    scores, labels, index = scores_of(rows, penalty, statistics)
    copies = rows.copies if statistics == "rows" else None
    deviation, std, count = spread(scores, labels, correction=1, copies=copies)
    return scores[index], deviation[index], std[index], count[index]


def _from_first_rows(scores: Array, rows: Rows) -> tuple[Array, Array, Array]:
    labels = labels_of(rows.group.tolist())
    first: dict[int, int] = {}  # rollout -> its first row
    for trajectory, _, row in rows_in_order(rows) if rows.positions is None else _in_batch_order(rows):
        first.setdefault(trajectory, row)
    chosen = np.array(list(first.values()), np.int64)
    deviation, std, count = spread(scores[chosen], labels[chosen], correction=1)
    size = int(labels.max()) + 1 if len(labels) else 0
    of_group = np.zeros(size, np.int64)  # a row of the statistics of each group
    of_group[labels[chosen]] = np.arange(len(chosen))
    place = of_group[labels]
    # The mean is the score minus its deviation: equal scores deviate by exactly 0, as in ``spread``.
    return scores - scores[chosen][place] + deviation[place], std[place], count[place]


def _in_batch_order(rows: Rows) -> list[tuple[int, int, int]]:
    """As :func:`rows_in_order`, but by the first position in a reordered batch."""
    assert rows.positions is not None
    first = [min(each) for each in rows.positions]
    return sorted(zip(rows.trajectory.tolist(), first, range(len(rows)), strict=True))


def compared(values: Array, labels: Array, scale: str, copies: Array | None = None) -> Array:
    """Each value's deviation from the mean of its label, divided by the unbiased std; 0 for the only one of a label."""
    deviation, std, _ = spread(values, labels, correction=1, copies=copies)
    return scaled(deviation, std, scale)


def scores_of(rows: Rows, penalty: float, statistics: str) -> tuple[Array, Array, Array]:
    """The scores to compare, the group label of each score, and for each row the index of its score."""
    if statistics not in ("rows", "trajectories"):
        raise UnknownNameError("statistics", statistics, get_args(Statistics))
    scores, groups = penalised(rows.returns, rows, penalty), labels_of(rows.group.tolist())
    if statistics == "rows":
        return scores, groups, np.arange(len(rows))
    firsts: dict[int, int] = {}  # rollout -> its first row, in the order of rollout numbers
    for trajectory, _, row in rows_in_order(rows):
        firsts.setdefault(trajectory, row)
    position = {trajectory: number for number, trajectory in enumerate(firsts)}
    score_index = np.array([position[trajectory] for trajectory in rows.trajectory.tolist()], np.int64)
    chosen = np.array(list(firsts.values()), np.int64)
    return scores[chosen], groups[chosen], score_index


def step_returns(rows: Rows, gamma: float) -> Array:
    """``Σ γ^(k−t) r_k`` over the turns k ≥ t of the row's rollout, from raw rewards (B,); float64.

    The rows may be in any order. The exponent is the distance in turns, including turns without a row.

    >>> rows = Rows(
    ...     group=[0, 0], trajectory=[0, 0], place=[0, 1], returns=[10.0, 10.0], rewards=[0.0, 10.0],
    ...     invalid=[False, False], anchors=("hall", "room"),
    ... )
    >>> step_returns(rows, 0.95).tolist()
    [9.5, 10.0]
    """
    check_unit("gamma", gamma, example=0.95)
    rewards, discounted = rows.rewards.tolist(), [0.0] * len(rows)
    later: dict[int, tuple[int, float]] = {}  # rollout -> (turn, return) of the next turn
    for trajectory, place, row in reversed(rows_in_order(rows)):
        after, following = later.get(trajectory, (place, 0.0))
        discounted[row] = rewards[row] + gamma ** (after - place) * following
        later[trajectory] = place, discounted[row]
    return np.array(discounted, np.float64)


def spread(values: Array, labels: Array, *, correction: int, copies: Array | None = None) -> tuple[Array, Array, Array]:
    """For each value: its deviation from the mean of its label, the std of that label, and the number of its values.

    ``correction=1`` gives the unbiased std, ``0`` the std of the population. ``copies``: count each value so often.
    """
    size = int(labels.max()) + 1 if len(labels) else 0
    if copies is not None:
        copied = np.repeat(np.arange(len(values)), copies)
        first = np.cumsum(copies) - copies
        deviation, std, count = spread(values[copied], labels[copied], correction=correction)
        return deviation[first], std[first], count[first]
    count = np.bincount(labels, minlength=size)
    # Subtracting the group's minimum first makes equal values deviate by exactly 0; a rounded mean would not.
    lowest = np.full(size, np.inf)
    np.minimum.at(lowest, labels, values)
    shifted = values - lowest[labels]
    deviation = shifted - (np.bincount(labels, shifted, size) / count)[labels]
    variance = np.bincount(labels, np.square(deviation), size) / np.maximum(count - correction, 1)
    return deviation, np.sqrt(variance)[labels], count[labels]


def scaled(deviation: Array, std: Array, scale: str) -> Array:
    """``deviation / (std + 1e-6)`` for ``"std"``, the deviation itself for ``"none"``."""
    if scale not in ("std", "none"):
        raise UnknownNameError("scale", scale, ("std", "none"))
    return deviation / (std + EPSILON) if scale == "std" else deviation


def penalised(values: Array, rows: Rows, penalty: float) -> Array:
    """Subtract ``penalty`` from the value of each invalid row."""
    if not penalty >= 0:
        raise UsageError(f"Expected a penalty of 0 or more, got {penalty}; it is subtracted: try 0.1.")
    return values - penalty * rows.invalid.astype(np.float64)


def labels_of(keys: Iterable[Hashable]) -> Array:
    """A whole number for each key, equal for equal keys, counted from 0 without gaps."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)


def rows_in_order(rows: Rows) -> list[tuple[int, int, int]]:
    """(rollout, turn, row index), sorted by rollout and turn."""
    return sorted(zip(rows.trajectory.tolist(), rows.place.tolist(), range(len(rows)), strict=True))


def as_float32(values: Array) -> Array:
    """The result of a credit."""
    return values.astype(np.float32)
