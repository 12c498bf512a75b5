"""GiGPO (arXiv 2505.10978): group-relative credit over episodes, plus that over turns taken in one state.

With G^S the rows of a task that share an anchor state, and F the unbiased standard deviation (``scale="std"``, the
ALFWorld script) or 1 (``scale="none"``, the WebShop script)::

    A^E = (R − mean R) / F                                    Eq. 3, GRPO's credit
    R_t = Σ_{k≥t} γ^(k−t) r_k                                 Eq. 5
    A^S = (R_t − mean over G^S) / F over G^S                  Eq. 7; 0 where an anchor occurs once
    A   = A^E + ω · A^S                                       Eq. 8

The penalty of an invalid action is subtracted from R and R_t of its row after discounting, so R_t of earlier turns does
not include it. Anchors are equal observations as released; ``anchor="similar"`` is the released option with ratio 0.95,
``anchor="state"`` compares true states (ours).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.methods.credit import (
    Scale,
    Statistics,
    as_float32,
    check_credit,
    group_advantages,
    labels_of,
    penalised,
    scaled,
    spread,
    step_returns,
)
from agentgym_hindsight.baselines.methods.rows import Rows
from agentgym_hindsight.baselines.settings import check_range

__all__ = ["METHOD", "GroupInGroup"]


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

    def __call__(self, rows: Rows) -> Tensor:
        episode = group_advantages(rows, self.penalty, self.statistics, self.scale)
        labels = labels_of(zip(rows.group.tolist(), rows.anchors, strict=True))
        returns = penalised(step_returns(rows, self.gamma), rows, self.penalty)
        deviation, std, _ = spread(returns, labels, correction=1)
        return as_float32(episode + self.omega * scaled(deviation, std, self.scale), rows)


METHOD = Method("gigpo", GroupInGroup())
