"""VETTA (arXiv 2610.08402): a shallow critic with a head for turns and a head for tokens, fused into one advantage.

The critic is the embedding and the first two blocks of the policy, with two linear heads::

    δ_i = r_i + γ_b V(next) − V(i),  A_i = δ_i + γ_b λ_b A_next           for each branch b
    turn branch:   turns of the rollout, γ = λ = 0.95
    token branch:  response tokens through all turns of the rollout, γ = λ = 1, reward on the last token of a turn
    Ã_{k,j} = A^tok_{k,j} − mean_j A^tok_k                                 Eq. 5
    A       = A^turn_k + α · Ã_{k,j}                                       Eq. 6, α = 1 (ALFWorld) or 3 (WebShop)

Both heads are trained towards their own A + V with the clipped value loss, a mean over turns plus a mean over tokens
(Eq. 7 to 10). With γ = λ = 1 the residual Ã is the mean of the token values minus the value: the rewards cancel.
Whitening is not mentioned in the paper; ``whiten=True`` whitens the fused advantage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.methods.credit import (
    check_credit,
    penalised,
)
from agentgym_hindsight.baselines.methods.critic_spec import CriticSpec
from agentgym_hindsight.baselines.methods.critics import (
    CriticCredit,
    Estimate,
    token_gae,
    token_values,
    turn_gae,
    turn_values,
    whitened,
)
from agentgym_hindsight.baselines.methods.rows import Rows
from agentgym_hindsight.baselines.settings import check_range

__all__ = ["METHOD", "FusedAdvantage"]


@dataclass(frozen=True, slots=True)
class FusedAdvantage(CriticCredit):
    """The turn's advantage plus ``alpha`` times the centred advantage of its tokens."""

    penalty: float = 0.1
    gamma: float = 0.95
    lam: float = 0.95
    token_gamma: float = 1.0
    token_lam: float = 1.0
    alpha: float = 1.0
    whiten: bool = False
    #: Whitening uses the rows of all processes.
    whole_batch: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_credit(self)
        check_range(self, "lam", "token_gamma", "token_lam", least=0, most=1)
        check_range(self, "alpha")

    def estimate(self, rows: Rows) -> Estimate:
        """Advantages, and the targets of both heads."""
        rewards = penalised(rows.rewards, rows, self.penalty)
        turns, turn_targets = turn_gae(rows, turn_values(rows), rewards, gamma=self.gamma, lam=self.lam)
        tokens, token_targets = token_gae(
            rows, token_values(rows), rewards, gamma=self.token_gamma, lam=self.token_lam, across_turns=True
        )
        fused = [
            turn + self.alpha * (token - token.mean() if len(token) else token)
            for turn, token in zip(turns.tolist(), tokens, strict=True)
        ]
        shown = whitened(fused) if self.whiten else fused
        return Estimate([row.astype(np.float32) for row in shown], turn_targets, token_targets)


PAPER = "arXiv 2610.08402"
EVIDENCE = "paper"
METHOD = Method("vetta", FusedAdvantage(), critic=CriticSpec(2, ("turn", "token")), entropy=0.0, kl=0.01)
