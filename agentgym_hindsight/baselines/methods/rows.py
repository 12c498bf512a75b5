"""The turns of a batch as columns, the input of a credit. Columns are numpy arrays (B,), one value per turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentgym_hindsight.errors import UsageError

__all__ = ["Array", "Rows", "Values"]

Array = NDArray[Any]

_NUMBERS = ("group", "trajectory", "place")
_COLUMNS = (*_NUMBERS, "returns", "rewards", "invalid")
_TEXTS = ("actions", "next_anchors")


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """The predictions of a critic for the turns of a batch, before the update. A head that it lacks is ``None``.

    * ``turn`` (B,): the value of the state before the response.
    * ``tokens``: one array per row, the value before each response token; ``after`` (B,): that after the last one.
    """

    turn: Array | None = None
    tokens: tuple[Array, ...] | None = None
    after: Array | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """A batch of B turns, in any order. Lists, numpy arrays and torch tensors are accepted.

    * ``group``: the task's number; statistics are computed within it.
    * ``trajectory``: the rollout's number, unique over the batch.
    * ``place``: the turn's number in its rollout.
    * ``returns``: the undiscounted return of the whole episode, on each of its rows, without penalties.
    * ``rewards``: the turn's own reward.
    * ``invalid``: the turn's action was not understood or not legal.
    * ``anchors``: the key of the state in which the turn was taken; equal texts within a group are one state.

    Credits from the graph of states need three more columns; a credit that needs a missing one raises an error:

    * ``actions``: the executed action; equal texts are one action.
    * ``next_anchors``: the key of the state after the turn. It is used at the last turn of a rollout only.
    * ``won``: the rollout reached the goal, on each of its rows.

    ``values`` are those of a critic, for the credits that use one.

    ``positions``: the positions of each row in a batch that was filled with copies and reordered, as in SERL's release.
    Statistics over rows, and over rows with one anchor, then count a row as often as it is there (HGPO's do not).

    >>> rows = Rows(
    ...     group=[0, 0, 0], trajectory=[0, 0, 1], place=[0, 1, 0], returns=[10.0, 10.0, 0.0], rewards=[0.0, 10.0, 0.0],
    ...     invalid=[False, False, False], anchors=("hall", "room", "hall"),
    ... )
    >>> len(rows)
    3
    """

    group: Array
    trajectory: Array
    place: Array
    returns: Array
    rewards: Array
    invalid: Array
    anchors: tuple[str, ...]
    actions: tuple[str, ...] | None = None
    next_anchors: tuple[str, ...] | None = None
    won: Array | None = None
    values: Values | None = None
    positions: tuple[tuple[int, ...], ...] | None = None

    def __post_init__(self) -> None:
        for name in (*_COLUMNS, "won"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _array(value, whole=name in _NUMBERS, truth=name in ("invalid", "won")))
        size = len(self.anchors)
        shapes = {name: tuple(getattr(self, name).shape) for name in _COLUMNS}
        # If all other columns agree, the anchors are the column of the wrong length.
        if len(set(shapes.values())) == 1 and len(shape := shapes["group"]) == 1 and shape[0] != size:
            raise UsageError(f"Expected {shape[0]} rows in every column, got {size} anchors; try one text per row.")
        for name in (*_TEXTS, "won"):
            if (column := getattr(self, name)) is not None:
                shapes[name] = np.shape(column) if name == "won" else (len(column),)
        for name, shape in shapes.items():
            if shape != (size,):
                raise UsageError(f"Expected {size} rows in every column, got {name} of shape {shape}; try ({size},).")
        for name in _NUMBERS:
            if (kind := getattr(self, name).dtype).kind not in "iu":
                raise UsageError(f"Expected whole numbers in {name}, got {kind}; try {name}.long().")
        for name in ("invalid", "won"):
            column = getattr(self, name)
            if column is not None and column.dtype != np.bool_:
                raise UsageError(f"Expected truth values in {name}, got {column.dtype}; try {name}.bool().")
        for name in ("returns", "rewards"):
            if not np.isfinite(getattr(self, name)).all():
                raise UsageError(
                    f"Expected finite {name}, got NaN or infinity; try 0 for missing rewards of a broken rollout."
                )
        if self.positions is not None and [len(each) > 0 for each in self.positions] != [True] * size:
            raise UsageError(f"Expected one position or more of each of {size} rows; try one tuple per row.")
        self._check_trajectories()

    @property
    def copies(self) -> Array | None:
        """How often each row is in the batch; ``None`` if each is there once."""
        return None if self.positions is None else np.array([len(each) for each in self.positions], np.int64)

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


def _array(values: Any, *, whole: bool, truth: bool) -> Array:
    """A column as an array: float64, or whole numbers or truth values as they are given."""
    if hasattr(values, "detach"):  # a torch tensor; numpy has no bfloat16
        values = values.detach().cpu()
        values = values.double().numpy() if values.is_floating_point() else values.numpy()
    empty = isinstance(values, Sequence) and not len(values)
    array = np.asarray(values, np.int64 if empty and whole else bool if empty and truth else None)
    return array if whole or truth else array.astype(np.float64)
