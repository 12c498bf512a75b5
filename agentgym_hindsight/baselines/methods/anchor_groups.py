"""GiGPO's credit, which other methods build on: turns that were taken in one state are compared with each other."""

from __future__ import annotations

from dataclasses import dataclass

from agentgym_hindsight.baselines.methods.credit import (
    Scale,
    Statistics,
    as_float32,
    check_credit,
    compared,
    group_advantages,
    penalised,
    step_returns,
)
from agentgym_hindsight.baselines.methods.rows import Array, Rows
from agentgym_hindsight.baselines.methods.step_graph import StepGraph
from agentgym_hindsight.baselines.settings import check_range

__all__ = ["GroupInGroup", "compared_in_state"]


@dataclass(frozen=True, slots=True)
class GroupInGroup:
    """GRPO's advantage plus ``omega`` times that of the turn's discounted return among turns with the same anchor.

    ``scale`` is F of Eq. 3 and of Eq. 7. An anchor that occurs once adds 0.
    """

    penalty: float = 0.1
    gamma: float = 0.95
    omega: float = 1.0
    scale: Scale = "std"
    statistics: Statistics = "rows"

    def __post_init__(self) -> None:
        check_credit(self)
        check_range(self, "omega")

    def __call__(self, rows: Rows) -> Array:
        episode = group_advantages(rows, self.penalty, self.statistics, self.scale)
        returns = penalised(step_returns(rows, self.gamma), rows, self.penalty)
        return as_float32(episode + self.omega * compared_in_state(returns, StepGraph(rows), self.scale))


def compared_in_state(values: Array, graph: StepGraph, scale: str) -> Array:
    """Each row's deviation from the mean of its state, divided by the unbiased std; 0 for the only one of a state."""
    return graph.in_batch_order(compared(values[graph.rows], graph.state, scale, graph.copies))
