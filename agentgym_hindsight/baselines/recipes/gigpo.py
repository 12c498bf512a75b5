"""GiGPO (arXiv 2505.10978): the group of the episode, and groups of turns that were taken in one situation.

With G^S the rows of a task that share an anchor state and F the unbiased deviation (``scale="std"``, the ALFWorld
script) or 1 (``scale="none"``, the WebShop script)::

    A^E = (R − mean R) / F                                    Eq. 3, GRPO's credit
    R_t = Σ_{k≥t} γ^(k−t) r_k                                 Eq. 5
    A^S = (R_t − mean over G^S) / F over G^S                  Eq. 7; 0 where a situation occurs once
    A   = A^E + ω · A^S                                       Eq. 8

The penalty of an invalid action is taken off its own row's R and R_t, and not passed on to earlier turns. Anchors are
equal observations as released; ``anchor="similar"`` is the option at ratio 0.95, ``anchor="state"`` the true state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from agentgym_hindsight.baselines.method import Method

if TYPE_CHECKING:
    from torch import Tensor

    from agentgym_hindsight.baselines.advantages import Rows

__all__ = ["METHOD", "GroupInGroup"]


@dataclass(frozen=True, slots=True)
class GroupInGroup:
    """The credit of GiGPO."""

    penalty: float = 0.1
    gamma: float = 0.95
    omega: float = 1.0
    scale: Literal["std", "none"] = "std"
    statistics: Literal["rows", "trajectories"] = "rows"

    def __call__(self, rows: Rows) -> Tensor:
        from agentgym_hindsight.baselines.advantages import gigpo

        return gigpo(
            rows,
            penalty=self.penalty,
            gamma=self.gamma,
            omega=self.omega,
            scale=self.scale,
            statistics=self.statistics,
        )


METHOD = Method("gigpo", GroupInGroup())
