"""PGPO (arXiv 2609.02236): GiGPO's step credit, plus that of the change of a potential along the turn.

With R_t the discounted return from a turn, and Φ(s) its mean over the visits of the anchor s in the group::

    R_t = Σ_{k≥t} η^(k−t) r_k                                               Eq. 1, η = 0.95
    A^S = (R_t − mean over G_s) / (std over G_s + ε)                        Eq. 3, as GiGPO
    δ_t = γ Φ(s_{t+1}) − Φ(s_t)      last turn: γ r_final − Φ(s_t)          Eq. 7, γ = 1
    A^φ = (δ_t − mean over G_s) / (std over G_s + ε)                        Eq. 8
    w   = β (1 − p)^α                p: share of rollouts with r_final > 0  Eq. 9, 10; α = 2, β = 1
    A   = A^S + w · A^φ                                                     Eq. 11, without an episode term

r_final is the last turn's reward, and 0 if the rollout did not win. Where no rollout succeeds, Φ is 0 and so is A^φ.
Φ is computed from returns without penalties (ours; the paper's derivation has none): the penalty of an invalid action
is subtracted from its own R_t in A^S, as in GiGPO. ``episode=1`` adds GRPO's credit, as in the paper's ablation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agentgym_hindsight.baselines.methods.anchor_groups import compared_in_state
from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.methods.checks import check_unit
from agentgym_hindsight.baselines.methods.credit import (
    Scale,
    as_float32,
    check_credit,
    group_advantages,
    penalised,
    step_returns,
)
from agentgym_hindsight.baselines.methods.rows import Array, Rows
from agentgym_hindsight.baselines.methods.step_graph import StepGraph
from agentgym_hindsight.baselines.settings import check_range
from agentgym_hindsight.errors import UsageError

__all__ = ["METHOD", "Potential"]


@dataclass(frozen=True, slots=True)
class Potential:
    """The step return's advantage at an anchor plus w times that of the potential's change."""

    penalty: float = 0.1
    gamma: float = 0.95
    potential_gamma: float = 1.0
    alpha: float = 2.0
    beta: float = 1.0
    episode: float = 0.0
    scale: Scale = "std"

    def __post_init__(self) -> None:
        check_credit(self)
        check_range(self, "beta", "episode")
        check_unit("potential_gamma", self.potential_gamma, example=1.0)
        if self.alpha < 0:
            raise UsageError(f"Expected alpha of 0 or more, got {self.alpha}; try 2.")

    def __call__(self, rows: Rows) -> Array:
        graph = StepGraph(rows)
        returns = step_returns(rows, self.gamma)
        advantage = compared_in_state(penalised(returns, rows, self.penalty), graph, self.scale)
        change, weight = self.changes(rows, graph, returns)
        advantage += weight * compared_in_state(change, graph, self.scale)
        if self.episode:
            advantage += self.episode * group_advantages(rows, self.penalty, "rows", self.scale)
        return as_float32(advantage)

    def changes(self, rows: Rows, graph: StepGraph, returns: Array) -> tuple[Array, Array]:
        """δ of Eq. 7 and w of Eq. 9, one value per row."""
        potential = graph.mean_of_state(returns[graph.rows])
        final = np.where(graph.won, rows.rewards[graph.rows], 0.0)
        inner = graph.successor >= 0
        after = np.where(inner, potential[np.maximum(graph.successor, 0)], final)
        change = self.potential_gamma * after - potential[graph.state]
        ends = graph.last
        rollouts = np.bincount(graph.group[ends])
        succeeded = np.bincount(graph.group[ends], (final[ends] > 0).astype(np.float64)) / rollouts
        weight = self.beta * (1.0 - succeeded[graph.group]) ** self.alpha
        return graph.in_batch_order(change), graph.in_batch_order(weight)


PAPER = "arXiv 2609.02236"
EVIDENCE = "paper"
METHOD = Method("pgpo", Potential(), kl=0.01, entropy=0.0)
