"""GraphGPO (arXiv 2605.26684): credit for turns that lead to states close to success in the graph of all rollouts.

d(s) is the length of the shortest path from the anchor s to success, over the turns of all rollouts of the task. States
from which no path leads to success have the largest finite distance plus 1. With s the anchor of a turn and s' the next
one (``success`` after the last turn of a rollout that won)::

    R^G = 10 · γ^d(s')                                  released code, γ = 0.1
    R^G = 10 · γ^(d(s') − d(s) + 1)                     ``normalize_distance=True``
    A   = A^S(R^G among the turns of one anchor) + A^E  A^E is GRPO's credit; GiGPO's functions

Only the next state enters R^G: a turn of a failed rollout towards a state from which another rollout succeeded gets
full credit. γ is 0.1 for ALFWorld, 0.2 for WebShop and 0.8 for Sokoban. The released code subtracts the penalty of an
invalid action from R^G too, where it dominates, because most R^G are at most 0.1: ``penalise_graph=True``. Ours is A^E
only. The release's anchors are augmented observations, which its policy sees: ``anchor="augmented"`` hides them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from agentgym_hindsight.baselines.methods.anchor_groups import compared_in_state
from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.methods.checks import check_unit
from agentgym_hindsight.baselines.methods.credit import (
    Scale,
    Statistics,
    as_float32,
    check_credit,
    group_advantages,
    penalised,
)
from agentgym_hindsight.baselines.methods.rows import Array, Rows
from agentgym_hindsight.baselines.methods.step_graph import SUCCESS, StepGraph
from agentgym_hindsight.baselines.settings import check_range

__all__ = ["METHOD", "ShortestPaths", "distances"]


@dataclass(frozen=True, slots=True)
class ShortestPaths:
    """GRPO's advantage plus ``omega`` times that of R^G among the turns of one anchor."""

    penalty: float = 0.1
    gamma: float = 0.1
    omega: float = 1.0
    reward: float = 10.0
    normalize_distance: bool = False
    penalise_graph: bool = False
    scale: Scale = "std"
    statistics: Statistics = "rows"

    def __post_init__(self) -> None:
        check_credit(self)
        check_range(self, "omega", "reward")
        check_unit("gamma", self.gamma, example=0.1)

    def __call__(self, rows: Rows) -> Array:
        episode = group_advantages(rows, self.penalty, self.statistics, self.scale)
        graph = StepGraph(rows)
        returns = self.graph_returns(graph)
        if self.penalise_graph:
            returns = penalised(returns, rows, self.penalty)
        return as_float32(episode + self.omega * compared_in_state(returns, graph, self.scale))

    def graph_returns(self, graph: StepGraph) -> Array:
        """R^G of every row."""
        distance = distances(graph)
        after = np.where(graph.next_state == SUCCESS, 0, distance[np.maximum(graph.next_state, 0)])
        steps = after - distance[graph.state] + 1 if self.normalize_distance else after
        return graph.in_batch_order(self.reward * np.power(self.gamma, steps.astype(np.float64)))


def distances(graph: StepGraph) -> Array:
    """The number of turns from every state to success; the group's largest finite one plus 1 where no path leads there.

    The states in which no turn was taken come after the visited ones.
    """
    size = max(graph.visited, int(graph.next_state.max(initial=-1)) + 1)
    before: list[set[int]] = [set() for _ in range(size)]  # state -> states with a turn into it
    group = np.zeros(size, np.int64)
    group[: graph.visited] = graph.group_of_state
    near: dict[int, int] = {}
    for state, after, number in zip(*(c.tolist() for c in (graph.state, graph.next_state, graph.group)), strict=True):
        if after == SUCCESS:
            near[state] = 1
        else:
            before[after].add(state)
            group[after] = number
    queue = deque(near)
    while queue:
        state = queue.popleft()
        for earlier in before[state]:
            if earlier not in near:
                near[earlier] = near[state] + 1
                queue.append(earlier)
    found, lengths = np.array(list(near), np.int64), np.array(list(near.values()), np.int64)
    farthest = np.zeros(size, np.int64)  # of every group
    np.maximum.at(farthest, group[found], lengths)
    distance = farthest[group] + 1
    distance[found] = lengths
    return distance


PAPER = "arXiv 2605.26684"
EVIDENCE = "code"
METHOD = Method("graphgpo", ShortestPaths(), kl=0.01)
