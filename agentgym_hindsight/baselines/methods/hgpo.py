"""HGPO (arXiv 2602.22817): compare turns whose last k anchors agree, for k = 1, 2, …; longer histories weigh more.

For k = 1 … K+1 with K = ``history``, the group of a turn is the set of turns of its task with the same last k anchors.
Groups of one are dropped. With the standard deviation of the population::

    A_k = (R_t − mean) / (std + 1e-6)
    A   = Σ_k w_k A_k,   w_k = (k + offset)^α / Σ_{k': A_k' ≠ 0} (k' + offset)^α

The paper counts k from 0 and uses the weights 1, 2, 3. The released code counts from 1 and still adds one: 2, 3, 4. The
code is the default; ``weight_offset=0`` is the paper. There is no episode term unless ``base_group=True`` adds it as
k = 0. A turn without any group has advantage 0. ``scale="none"`` is the WebShop script.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import torch
from torch import Tensor

from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.methods.credit import (
    EPSILON,
    ROUNDING,
    Scale,
    as_float32,
    check_credit,
    group_advantages,
    labels_of,
    penalised,
    rows_in_order,
    scaled,
    spread,
    step_returns,
)
from agentgym_hindsight.baselines.methods.rows import Rows
from agentgym_hindsight.baselines.settings import check_range

__all__ = ["METHOD", "HistoryGroups"]


@dataclass(frozen=True, slots=True)
class HistoryGroups:
    """Weighted mean over k = 1 … ``history`` + 1 of the step return's advantage among turns whose last k anchors agree.

    * The weight of k is ``(k + weight_offset) ** alpha``.
    * ``base_group=True`` adds GRPO's advantage with weight 1.
    * Groups of one and advantages of 0 do not enter the mean, as in the released code.
    """

    penalty: float = 0.1
    gamma: float = 0.95
    history: int = 2
    alpha: float = 1.0
    weight_offset: int = 1
    base_group: bool = False
    scale: Scale = "std"

    def __post_init__(self) -> None:
        check_credit(self)
        check_range(self, "history", "weight_offset", least=0)
        check_range(self, "alpha")

    def __call__(self, rows: Rows) -> Tensor:
        values = penalised(step_returns(rows, self.gamma), rows, self.penalty)
        total, weights = torch.zeros_like(values), torch.zeros_like(values)
        if self.base_group:
            base = group_advantages(rows, self.penalty, "rows", self.scale)
            weights += (base.abs() > ROUNDING).double()
            total += base
        for k in range(1, self.history + 2):
            members, labels = _rows_by_last_anchors(rows, k)
            group_values = values[members]
            deviation, std, count = spread(group_values, labels, correction=0)
            counts = (count > 1) & (deviation.abs() > ROUNDING * (1 + group_values.abs()))
            weight = counts.double() * float(k + self.weight_offset) ** self.alpha
            total[members] += weight * scaled(deviation, std, self.scale)
            weights[members] += weight
        return as_float32(total / (weights + EPSILON), rows)


def _rows_by_last_anchors(rows: Rows, k: int) -> tuple[Tensor, Tensor]:
    """The rows that have at least ``k`` anchors so far, and for each a label of its last ``k`` anchors."""
    order, groups = rows_in_order(rows), rows.group.tolist()
    members: list[int] = []
    keys: list[Hashable] = []
    for end in range(k, len(order) + 1):
        window = order[end - k : end]
        row = window[-1][2]
        if window[0][0] == window[-1][0]:  # the window does not cross into another rollout
            members.append(row)
            keys.append((groups[row], *(rows.anchors[other] for _, _, other in window)))
    return torch.tensor(members, dtype=torch.long), labels_of(keys)


METHOD = Method("hgpo", HistoryGroups())
