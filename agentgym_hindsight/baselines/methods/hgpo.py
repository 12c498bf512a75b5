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

from dataclasses import dataclass, replace

import numpy as np

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
    scaled,
    spread,
    step_returns,
)
from agentgym_hindsight.baselines.methods.rows import Array, Rows
from agentgym_hindsight.baselines.methods.step_graph import StepGraph
from agentgym_hindsight.baselines.settings import check_range

__all__ = ["METHOD", "HistoryGroups"]


@dataclass(frozen=True, slots=True)
class HistoryGroups:
    """Weighted mean over k = 1 … ``history`` + 1 of the step return's advantage among turns whose last k anchors agree.

    * The weight of k is ``(k + weight_offset) ** alpha``.
    * ``base_group=True`` adds GRPO's advantage with weight 1.
    * Groups of one and advantages of 0 do not enter the mean, as in the released code.
    * Copies of rows do not count: the released code fills the batch after it has made these advantages.
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

    def __call__(self, rows: Rows) -> Array:
        rows = replace(rows, positions=None)
        graph = StepGraph(rows)
        values = penalised(step_returns(rows, self.gamma), rows, self.penalty)[graph.rows]
        total, weights = np.zeros_like(values), np.zeros_like(values)
        if self.base_group:
            base = group_advantages(rows, self.penalty, "rows", self.scale)[graph.rows]
            weights += (np.abs(base) > ROUNDING).astype(np.float64)
            total += base
        windows = graph.state
        for k in range(1, self.history + 2):
            if k > 1:
                windows = _windows(graph, windows)
            members = np.flatnonzero(windows >= 0)
            group_values = values[members]
            deviation, std, count = spread(group_values, windows[members], correction=0)
            counts = (count > 1) & (np.abs(deviation) > ROUNDING * (1 + np.abs(group_values)))
            weight = counts.astype(np.float64) * float(k + self.weight_offset) ** self.alpha
            total[members] += weight * scaled(deviation, std, self.scale)
            weights[members] += weight
        return as_float32(graph.in_batch_order(total / (weights + EPSILON)))


def _windows(graph: StepGraph, shorter: Array) -> Array:
    """A label of the last k states of every turn, from that of its last k − 1 states; −1 where it has fewer."""
    before = np.where(graph.first, -1, np.insert(shorter, 0, -1)[:-1]) if len(graph) else shorter
    known = before >= 0
    labels = np.full(len(graph), -1)
    labels[known] = labels_of(zip(graph.state[known].tolist(), before[known].tolist(), strict=True))
    return labels


PAPER = "arXiv 2602.22817"
EVIDENCE = "code"
METHOD = Method("hgpo", HistoryGroups())
