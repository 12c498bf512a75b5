"""Turn-PPO (arXiv 2512.17008): PPO whose actions are whole turns.

The critic predicts the value of the state before each response, at the last token of the prompt. GAE runs over the
turns of a rollout, with the rewards of the turns, less the penalty of an invalid action::

    δ_k = r_k + γ V_{k+1} − V_k          A_k = δ_k + γλ A_{k+1}          γ = 0.99, λ = 0.9

All tokens of a turn share its advantage. The ratio and its clip are per turn (``ratio="turn"``, the exponential of the
mean log-ratio of its tokens), and the loss is the mean over turns. A product of token ratios would leave the clip range
at once; the paper's pooling could not be confirmed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.methods.credit import (
    as_float32,
    check_credit,
    penalised,
)
from agentgym_hindsight.baselines.methods.critic_spec import CriticSpec
from agentgym_hindsight.baselines.methods.critics import CriticCredit, Estimate, turn_gae, turn_values, whitened
from agentgym_hindsight.baselines.methods.rows import Rows
from agentgym_hindsight.baselines.settings import check_range

__all__ = ["METHOD", "TurnAdvantage"]


@dataclass(frozen=True, slots=True)
class TurnAdvantage(CriticCredit):
    """GAE over the turns of each rollout; the value after the last turn is 0."""

    penalty: float = 0.1
    gamma: float = 0.99
    lam: float = 0.9
    whiten: bool = False
    #: Whitening uses the rows of all processes.
    whole_batch: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_credit(self)
        check_range(self, "lam", least=0, most=1)

    def estimate(self, rows: Rows) -> Estimate:
        """Advantages, and the targets of the critic."""
        rewards = penalised(rows.rewards, rows, self.penalty)
        advantages, targets = turn_gae(rows, turn_values(rows), rewards, gamma=self.gamma, lam=self.lam)
        shown = whitened([advantages])[0] if self.whiten else advantages
        return Estimate(as_float32(shown), targets)


PAPER = "arXiv 2512.17008"
EVIDENCE = "notes"
METHOD = Method(
    "turn-ppo",
    TurnAdvantage(),
    critic=CriticSpec(heads=("turn",)),
    ratio="turn",
    reduction="turn",
    entropy=0.0,
    kl=0.001,
)
