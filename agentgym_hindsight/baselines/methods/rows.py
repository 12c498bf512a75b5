"""The turns of a batch as columns, the input of a credit. Tensors are (B,), one value per turn."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from agentgym_hindsight.errors import UsageError

__all__ = ["Rows"]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """A batch of B turns, in any order.

    * ``group``: the task's number; statistics are computed within it.
    * ``trajectory``: the rollout's number, unique over the batch.
    * ``place``: the turn's number in its rollout.
    * ``returns``: the undiscounted return of the whole episode, on each of its rows, without penalties.
    * ``rewards``: the turn's own reward.
    * ``invalid``: the turn's action was not understood or not legal.
    * ``anchors``: the key of the state in which the turn was taken; equal texts within a group are one state.

    >>> rows = Rows(
    ...     group=torch.tensor([0, 0, 0]), trajectory=torch.tensor([0, 0, 1]), place=torch.tensor([0, 1, 0]),
    ...     returns=torch.tensor([10.0, 10.0, 0.0]), rewards=torch.tensor([0.0, 10.0, 0.0]),
    ...     invalid=torch.tensor([False, False, False]), anchors=("hall", "room", "hall"),
    ... )
    >>> len(rows)
    3
    """

    group: Tensor
    trajectory: Tensor
    place: Tensor
    returns: Tensor
    rewards: Tensor
    invalid: Tensor
    anchors: tuple[str, ...]

    def __post_init__(self) -> None:
        size = len(self.anchors)
        columns = ("group", "trajectory", "place", "returns", "rewards", "invalid")
        shapes = {name: tuple(getattr(self, name).shape) for name in columns}
        # If all other columns agree, the anchors are the column of the wrong length.
        if len(set(shapes.values())) == 1 and len(shape := shapes["group"]) == 1 and shape[0] != size:
            raise UsageError(f"Expected {shape[0]} rows in every column, got {size} anchors; try one text per row.")
        for name, shape in shapes.items():
            if shape != (size,):
                raise UsageError(f"Expected {size} rows in every column, got {name} of shape {shape}; try ({size},).")
        for name in ("group", "trajectory", "place"):
            if (kind := getattr(self, name).dtype) not in (torch.int64, torch.int32):
                raise UsageError(f"Expected whole numbers in {name}, got {kind}; try {name}.long().")
        if self.invalid.dtype != torch.bool:
            raise UsageError(f"Expected truth values in invalid, got {self.invalid.dtype}; try invalid.bool().")
        for name in ("returns", "rewards"):
            if not bool(torch.isfinite(getattr(self, name)).all()):
                raise UsageError(
                    f"Expected finite {name}, got NaN or infinity; try 0 for missing rewards of a broken rollout."
                )
        self._check_trajectories()

    def _check_trajectories(self) -> None:
        # Wrong numbers raise no error later: every credit would silently compare the wrong turns.
        groups: dict[int, int] = {}
        turns: set[tuple[int, int]] = set()
        columns = (self.group.tolist(), self.trajectory.tolist(), self.place.tolist())
        for group, trajectory, place in zip(*columns, strict=True):
            if groups.setdefault(trajectory, group) != group:
                raise UsageError(
                    f"Expected every trajectory in one group, got trajectory {trajectory} in groups "
                    f"{groups[trajectory]} and {group}; try numbers that are unique over the batch."
                )
            if (trajectory, place) in turns:
                raise UsageError(
                    f"Expected every turn once, got turn {place} of trajectory {trajectory} twice; "
                    "try numbers of trajectories that are unique over the batch."
                )
            turns.add((trajectory, place))

    def __len__(self) -> int:
        return len(self.anchors)
