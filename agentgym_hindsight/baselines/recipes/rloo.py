"""RLOO: a rollout is compared with the mean of the others, and nothing is divided by a deviation.

With n scores of a group (of rows, as in verl-agent; of rollouts with ``statistics="trajectories"``)::

    A = (score − mean) · n / (n − 1)

Scores and loss are GRPO's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from agentgym_hindsight.baselines.method import Method

if TYPE_CHECKING:
    from torch import Tensor

    from agentgym_hindsight.baselines.advantages import Rows

__all__ = ["METHOD", "LeaveOneOut"]


@dataclass(frozen=True, slots=True)
class LeaveOneOut:
    """The credit of RLOO."""

    penalty: float = 0.1
    statistics: Literal["rows", "trajectories"] = "rows"

    def __call__(self, rows: Rows) -> Tensor:
        from agentgym_hindsight.baselines.advantages import rloo

        return rloo(rows, penalty=self.penalty, statistics=self.statistics)


METHOD = Method("rloo", LeaveOneOut())
