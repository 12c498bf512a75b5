"""HGPO (arXiv 2602.22817): turns are compared among equals of ever longer history.

For k = 1 … K+1, K = ``history``: the group of a turn are all turns of its task whose last k anchors are the same;
groups of one are dropped. With the population deviation::

    A_k = (R_t − mean) / (std + 1e-6)
    A   = Σ_k w_k A_k,   w_k = (k + offset)^α / Σ_{k': A_k' ≠ 0} (k' + offset)^α

The paper counts k from 0 and weighs 1, 2, 3; the released code counts from 1 and still adds one: 2, 3, 4. The code is
the default; ``weight_offset=0`` is the paper's. There is no episode term unless ``base_group=True`` adds it as k = 0. A
turn without any group has advantage 0. ``scale="none"`` is the WebShop script.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from agentgym_hindsight.baselines.method import Method

if TYPE_CHECKING:
    from torch import Tensor

    from agentgym_hindsight.baselines.advantages import Rows

__all__ = ["METHOD", "HistoryGroups"]


@dataclass(frozen=True, slots=True)
class HistoryGroups:
    """The credit of HGPO."""

    penalty: float = 0.1
    gamma: float = 0.95
    history: int = 2
    alpha: float = 1.0
    weight_offset: int = 1
    base_group: bool = False
    scale: Literal["std", "none"] = "std"

    def __call__(self, rows: Rows) -> Tensor:
        from agentgym_hindsight.baselines.advantages import hgpo

        return hgpo(
            rows,
            penalty=self.penalty,
            gamma=self.gamma,
            history=self.history,
            alpha=self.alpha,
            weight_offset=self.weight_offset,
            base_group=self.base_group,
            scale=self.scale,
        )


METHOD = Method("hgpo", HistoryGroups())
