"""RLOO: compare a rollout with the mean of the others, without dividing by a standard deviation.

With n scores in a group (of rows, as in verl-agent; of rollouts with ``statistics="trajectories"``)::

    A = (score − mean) · n / (n − 1)

Scores and loss are those of GRPO.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.methods.credit import Statistics, as_float32, check_credit, compared_scores
from agentgym_hindsight.baselines.methods.rows import Array, Rows

__all__ = ["METHOD", "LeaveOneOut"]


@dataclass(frozen=True, slots=True)
class LeaveOneOut:
    """``(score − mean) · n / (n − 1)``, which is the score minus the mean of the n − 1 other scores.

    The only score of a group is returned unchanged.
    """

    penalty: float = 0.1
    statistics: Statistics = "rows"

    def __post_init__(self) -> None:
        check_credit(self)

    def __call__(self, rows: Rows) -> Array:
        scores, deviation, _, count = compared_scores(rows, self.penalty, self.statistics)
        others = np.maximum(count - 1, 1)
        return as_float32(np.where(count > 1, deviation * count / others, scores))


PAPER = "arXiv 2402.14740"
EVIDENCE = "code"
METHOD = Method("rloo", LeaveOneOut())
