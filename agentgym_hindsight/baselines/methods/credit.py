"""Credit from group statistics: the parts that GRPO, RLOO, GiGPO and HGPO share.

A credit computes the advantage (B,) of every turn of a batch, before a teacher changes it. Statistics are computed in
float64 on the CPU, because a batch of rows is small, and returned as float32 on the device of the rows.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from agentgym_hindsight.baselines.methods.rows import Rows
from agentgym_hindsight.baselines.methods.tensor_checks import check_unit
from agentgym_hindsight.baselines.settings import check_range
from agentgym_hindsight.errors import UnknownNameError, UsageError

__all__ = [
    "EPSILON",
    "ROUNDING",
    "GroupRelative",
    "Scale",
    "Statistics",
    "as_float32",
    "as_float64",
    "check_credit",
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
Statistics = Literal["rows", "trajectories"]

#: Added to standard deviations and to sums of weights, as in the released code.
EPSILON = 1e-6
#: A deviation below this fraction of a value counts as a rounding error of float64.
ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class GroupRelative:
    """GRPO's credit: ``(score − mean) / (std + 1e-6)`` within the group, where score = return − penalty if invalid.

    * ``statistics="rows"``, the released default, takes mean and std over all rows of the group, so long rollouts
      weigh more. ``"trajectories"``, as in the papers, takes one score per rollout: that of its first row.
    * ``scale="none"`` does not divide. The std is the unbiased one.

    The only score of a group is used with mean 0 and std 1, as in the released code.
    """

    penalty: float = 0.1
    statistics: Statistics = "rows"
    scale: Scale = "std"

    def __post_init__(self) -> None:
        check_credit(self)

    def __call__(self, rows: Rows) -> Tensor:
        return as_float32(group_advantages(rows, self.penalty, self.statistics, self.scale), rows)


def check_credit(credit: Any) -> None:
    """Raise if an option that several credits have is out of its range: now, and not at the first update."""
    for name, known in _CHOICES.items():
        if name in credit.__dataclass_fields__ and getattr(credit, name) not in known:
            raise UnknownNameError(name, getattr(credit, name), known)
    if "gamma" in credit.__dataclass_fields__:
        check_range(credit, "gamma", least=0, most=1)
    check_range(credit, "penalty", least=0, why="; it is subtracted")


_CHOICES: dict[str, tuple[str, ...]] = {"scale": get_args(Scale), "statistics": get_args(Statistics)}


def group_advantages(rows: Rows, penalty: float, statistics: str, scale: str) -> Tensor:
    """The values of :class:`GroupRelative` in float64."""
    scores, labels, score_index = scores_of(rows, penalty, statistics)
    deviation, std, count = spread(scores, labels, correction=1)
    only_score = count == 1
    deviation = torch.where(only_score, scores, deviation)
    std = torch.where(only_score, 1.0, std)
    return scaled(deviation, std, scale)[score_index]


def scores_of(rows: Rows, penalty: float, statistics: str) -> tuple[Tensor, Tensor, Tensor]:
    """The scores to compare, the group label of each score, and for each row the index of its score."""
    if statistics not in ("rows", "trajectories"):
        raise UnknownNameError("statistics", statistics, ("rows", "trajectories"))
    scores, groups = penalised(as_float64(rows.returns), rows, penalty), labels_of(rows.group.tolist())
    if statistics == "rows":
        return scores, groups, torch.arange(len(rows))
    firsts: dict[int, int] = {}  # rollout -> its first row, in the order of rollout numbers
    for trajectory, _, row in rows_in_order(rows):
        firsts.setdefault(trajectory, row)
    position = {trajectory: number for number, trajectory in enumerate(firsts)}
    score_index = torch.tensor([position[trajectory] for trajectory in rows.trajectory.tolist()], dtype=torch.long)
    chosen = torch.tensor(list(firsts.values()), dtype=torch.long)
    return scores[chosen], groups[chosen], score_index


def step_returns(rows: Rows, gamma: float) -> Tensor:
    """``Σ γ^(k−t) r_k`` over the turns k ≥ t of the row's rollout, from raw rewards (B,); float64.

    The rows may be in any order. The exponent is the distance in turns, including turns without a row.

    >>> rows = Rows(
    ...     group=torch.tensor([0, 0]), trajectory=torch.tensor([0, 0]), place=torch.tensor([0, 1]),
    ...     returns=torch.tensor([10.0, 10.0]), rewards=torch.tensor([0.0, 10.0]),
    ...     invalid=torch.tensor([False, False]), anchors=("hall", "room"),
    ... )
    >>> step_returns(rows, 0.95).tolist()
    [9.5, 10.0]
    """
    check_unit("gamma", gamma, example=0.95)
    rewards, discounted = as_float64(rows.rewards).tolist(), [0.0] * len(rows)
    later: dict[int, tuple[int, float]] = {}  # rollout -> (turn, return) of the next turn
    for trajectory, place, row in reversed(rows_in_order(rows)):
        after, following = later.get(trajectory, (place, 0.0))
        discounted[row] = rewards[row] + gamma ** (after - place) * following
        later[trajectory] = place, discounted[row]
    return torch.tensor(discounted, dtype=torch.float64)


def spread(values: Tensor, labels: Tensor, *, correction: int) -> tuple[Tensor, Tensor, Tensor]:
    """For each value: its deviation from the mean of its label, the std of that label, and the number of its values.

    ``correction=1`` gives the unbiased std, ``0`` the std of the population.
    """
    size = int(labels.max()) + 1 if len(labels) else 0
    count = torch.bincount(labels, minlength=size)
    zero = values.new_zeros(size)
    # Subtracting the group's minimum first makes equal values deviate by exactly 0; a rounded mean would not.
    lowest = zero.scatter_reduce(0, labels, values, "amin", include_self=False)
    shifted = values - lowest[labels]
    deviation = shifted - (zero.scatter_add(0, labels, shifted) / count)[labels]
    variance = zero.scatter_add(0, labels, deviation.square()) / (count - correction).clamp(min=1)
    return deviation, variance.sqrt()[labels], count[labels]


def scaled(deviation: Tensor, std: Tensor, scale: str) -> Tensor:
    """``deviation / (std + 1e-6)`` for ``"std"``, the deviation itself for ``"none"``."""
    if scale not in ("std", "none"):
        raise UnknownNameError("scale", scale, ("std", "none"))
    return deviation / (std + EPSILON) if scale == "std" else deviation


def penalised(values: Tensor, rows: Rows, penalty: float) -> Tensor:
    """Subtract ``penalty`` from the value of each invalid row."""
    if not penalty >= 0:
        raise UsageError(f"Expected a penalty of 0 or more, got {penalty}; it is subtracted: try 0.1.")
    return values - penalty * as_float64(rows.invalid)


def labels_of(keys: Iterable[Hashable]) -> Tensor:
    """A whole number for each key, equal for equal keys, counted from 0 without gaps."""
    numbers: dict[Hashable, int] = {}
    return torch.tensor([numbers.setdefault(key, len(numbers)) for key in keys], dtype=torch.long)


def rows_in_order(rows: Rows) -> list[tuple[int, int, int]]:
    """(rollout, turn, row index), sorted by rollout and turn."""
    return sorted(zip(rows.trajectory.tolist(), rows.place.tolist(), range(len(rows)), strict=True))


def as_float32(values: Tensor, rows: Rows) -> Tensor:
    """The result of a credit: float32, on the device of the rows."""
    return values.to(rows.returns.device, torch.float32)


def as_float64(values: Tensor) -> Tensor:
    """The values in float64 on the CPU, without their gradient."""
    return values.detach().to("cpu", torch.float64)
