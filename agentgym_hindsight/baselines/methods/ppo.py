"""PPO as verl-agent trains agents: a critic, and generalised advantage estimation over the tokens of one turn.

Every row is an episode of its own: the return of the whole rollout, less the penalty of an invalid action, is the
reward of the row's last token, and nothing is bootstrapped across turns::

    A_t = Σ_{u≥t} (γλ)^(u−t) (r_u + γ V_{u+1} − V_u)        γ = λ = 1: A_t = R − V_t

Advantages are whitened over all response tokens of the batch (variance unbiased, 1e-8 under the root). The critic is a
copy of the policy with a linear head, trained towards A + V (before whitening) with PPO's clipped value loss
(clip 0.5) and a learning rate of 1e-5.

In the released code the position after the last token keeps a value in rows shorter than the longest: it enters the
recursion and is trained towards 0. It cancels for λ = 1. ``after_end=True`` is the release; the default sets it to 0.

The papers play 128 tasks once: ``--set plan.tasks=128 --set plan.siblings=1``. The credit compares nothing within a
group.
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
from agentgym_hindsight.baselines.methods.critics import CriticCredit, Estimate, token_gae, token_values, whitened
from agentgym_hindsight.baselines.methods.rows import Array, Rows
from agentgym_hindsight.baselines.settings import check_range

__all__ = ["METHOD", "RowAdvantage"]


@dataclass(frozen=True, slots=True)
class RowAdvantage(CriticCredit):
    """GAE over the tokens of each row, whitened over the batch."""

    penalty: float = 0.1
    gamma: float = 1.0
    lam: float = 1.0
    whiten: bool = True
    after_end: bool = False
    #: Whitening uses the tokens of all processes.
    whole_batch: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_credit(self)
        check_range(self, "lam", least=0, most=1)

    def estimate(self, rows: Rows) -> Estimate:
        """Advantages, and the targets of the critic."""
        values = token_values(rows)
        scores = penalised(rows.returns, rows, self.penalty)
        advantages, targets = token_gae(rows, values, scores, gamma=self.gamma, lam=self.lam, across_turns=False)
        if self.after_end and rows.values is not None and rows.values.after is not None:
            self._add_value_after_end(advantages, rows.values.after)
            targets = [a + np.asarray(v, np.float64) for a, v in zip(advantages, values, strict=True)]
        shown = whitened(advantages) if self.whiten else advantages
        return Estimate([row.astype(np.float32) for row in shown], None, targets, self.after_end)

    def _add_value_after_end(self, advantages: list[Array], after: Array) -> None:
        # One more position with reward 0 and value V': its δ is −V', and the last token's next value is V' and not 0.
        for row, value in zip(advantages, after.tolist(), strict=True):
            powers = (self.gamma * self.lam) ** np.arange(len(row) - 1, -1, -1.0)
            row += powers * self.gamma * (1 - self.lam) * value


PAPER = "arXiv 1707.06347"
EVIDENCE = "code"
METHOD = Method("ppo", RowAdvantage(), critic=CriticSpec(), entropy=0.0, kl=0.01)
