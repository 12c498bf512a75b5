"""CRBC (arXiv 2609.35082): the value of every state and action from all rollouts of a task, by Bellman's equation.

The rollouts of a group give an empirical process: from a state s, action a was taken N(s,a) times and led N(s,a,x)
times to x. With V(success) = 1, V(failure) = 0 and R the episode's outcome, 0 or 1::

    P(x|s,a) = N(s,a,x) / N(s,a)        μ(a|s) = N(s,a) / N(s)                  Eq. 5
    (I − βM) V = b                      V(s) = β Σ_a μ(a|s) Σ_x P(x|s,a) V(x)   Eq. 8, 9
    Q(s,a)  = β Σ_x P(x|s,a) V(x)                                               Eq. 7
    σ(s)²   = Σ_a μ(a|s) (Q(s,a) − V(s))²
    A^S     = (Q(s,a) − V(s)) / max(σ(s), σ_min), 0 where a state has one action  Eq. 13
    A       = w_G · A^G + w_S · A^S                                             Eq. 14

A^G is GRPO's credit. A rollout that was truncated is a failure. The penalty of an invalid action enters through A^G
only; the invalid action is an action like any other. The equation uses outcomes 0 and 1 even where the environment pays
10, because σ_min is in that unit. ``depth=K`` applies Eq. 7 K times to the discounted outcomes instead (Eq. 6 and 10);
``depth=0`` is close to GiGPO. Anchors of the paper include more than the observation: ``anchor="augmented"``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.methods.checks import check_unit
from agentgym_hindsight.baselines.methods.credit import (
    Scale,
    Statistics,
    as_float32,
    check_credit,
    group_advantages,
)
from agentgym_hindsight.baselines.methods.rows import Array, Rows
from agentgym_hindsight.baselines.methods.step_graph import SUCCESS, StepGraph
from agentgym_hindsight.baselines.settings import check_range
from agentgym_hindsight.errors import UsageError

__all__ = ["METHOD", "BellmanClosure", "action_values"]


@dataclass(frozen=True, slots=True)
class BellmanClosure:
    """``w_group`` times GRPO's advantage plus ``w_step`` times that of the action's value among those of its state.

    ``depth=None`` solves the equation; a number is K of the finite family.
    """

    penalty: float = 0.1
    beta: float = 0.98
    w_group: float = 1.0
    w_step: float = 5.0
    sigma_min: float = 0.1
    depth: int | None = None
    scale: Scale = "std"
    statistics: Statistics = "rows"

    def __post_init__(self) -> None:
        check_credit(self)
        check_range(self, "w_group", "w_step")
        check_unit("beta", self.beta, example=0.98)
        if not self.sigma_min > 0:
            raise UsageError(f"Expected sigma_min above 0, got {self.sigma_min}; try 0.1.")
        if self.depth is not None and self.depth < 0:
            raise UsageError(f"Expected a depth of 0 or more, got {self.depth}; try 1, or None for the solution.")

    def __call__(self, rows: Rows) -> Array:
        graph = StepGraph(rows)
        episode = group_advantages(rows, self.penalty, self.statistics, self.scale)
        steps = graph.in_batch_order(self.step_advantages(graph))
        return as_float32(self.w_group * episode + self.w_step * steps)

    def step_advantages(self, graph: StepGraph) -> Array:
        """A^S of Eq. 13, one value per turn of the graph."""
        values, of_pairs = action_values(graph, self.beta, self.depth)
        deviation = of_pairs[graph.action] - values[graph.state]
        deviation_std = np.sqrt(graph.mean_of_state(np.square(deviation)))
        return np.where(_has_choice(graph), deviation / np.maximum(deviation_std, self.sigma_min)[graph.state], 0.0)


def action_values(graph: StepGraph, beta: float, depth: int | None = None) -> tuple[Array, Array]:
    """V of every visited state, and Q of every pair (state, action)."""
    if depth is None:
        values = np.zeros(graph.visited)
        # Groups have no state in common: one small system each instead of a large one.
        by_group = np.argsort(graph.group, kind="stable")
        for members in np.split(by_group, np.flatnonzero(np.diff(graph.group[by_group])) + 1):
            _solve(graph, members, beta, values)
        return values, _backup(graph, beta, values)
    outcome = (graph.successor == SUCCESS).astype(np.float64)
    length = np.bincount(graph.trajectory)
    place = np.arange(len(graph)) - (np.cumsum(length) - length)[graph.trajectory]
    left = (length[graph.trajectory] - place).astype(np.float64)
    discounted = beta**left * np.bincount(graph.trajectory, outcome)[graph.trajectory]
    values = graph.mean_of_state(discounted)
    pairs = _mean_of_pair(graph, discounted)
    for _ in range(depth):
        pairs = _backup(graph, beta, values)
        values = graph.mean_of_state(pairs[graph.action])
    return values, pairs


def _solve(graph: StepGraph, members: Array, beta: float, values: Array) -> None:
    """Eq. 8 and 9 for the turns of one group: sets the values of its states."""
    states, own = np.unique(graph.state[members], return_inverse=True)
    successor = graph.successor[members]
    inner = successor >= 0
    visits = np.bincount(own)
    moves = np.zeros((len(states), len(states)))
    np.add.at(moves, (own[inner], np.searchsorted(states, successor[inner])), 1.0)
    wins = np.bincount(own, (successor == SUCCESS).astype(np.float64))
    values[states] = np.linalg.solve(np.eye(len(states)) - beta * moves / visits[:, None], beta * wins / visits)


def _backup(graph: StepGraph, beta: float, values: Array) -> Array:
    """Eq. 7: Q of every pair from the values of its successors."""
    known = np.where(graph.successor >= 0, values[np.maximum(graph.successor, 0)], 0.0)
    return beta * _mean_of_pair(graph, np.where(graph.successor == SUCCESS, 1.0, known))


def _mean_of_pair(graph: StepGraph, values: Array) -> Array:
    return np.bincount(graph.action, values) / np.bincount(graph.action)


def _has_choice(graph: StepGraph) -> Array:
    """Whether two different actions were taken in the turn's state."""
    first = np.unique(graph.action, return_index=True)[1]
    return (np.bincount(graph.state[first], minlength=graph.visited) >= 2)[graph.state]


PAPER = "arXiv 2609.35082"
EVIDENCE = "paper"
METHOD = Method("crbc", BellmanClosure(), kl=0.01, entropy=0.0)
