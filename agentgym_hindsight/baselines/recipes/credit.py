"""The credit that GRPO, RLSD and SERL start from. No recipe: a recipe imports no other one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from agentgym_hindsight.baselines.advantages import Rows

__all__ = ["GroupRelative"]


@dataclass(frozen=True, slots=True)
class GroupRelative:
    """GRPO's group statistics; see :mod:`~agentgym_hindsight.baselines.recipes.grpo`."""

    penalty: float = 0.1
    statistics: Literal["rows", "trajectories"] = "rows"
    scale: Literal["std", "none"] = "std"

    def __call__(self, rows: Rows) -> Tensor:
        from agentgym_hindsight.baselines.advantages import grpo

        return grpo(rows, penalty=self.penalty, statistics=self.statistics, scale=self.scale)
