"""AgentOPSD (arXiv 2608.05987): weights of the turns of a rollout from the belief that it succeeds.

A teacher that sees a solution gives evidence for each turn, the sum of its gaps over the turn's tokens. A belief is
updated with the evidence; the change of the belief, compared within the rollout, weights the turn::

    e_k  = Σ_t Δ_kt                    Δ = log π_T − log π_θ of the sampled tokens
    c_k  = γ c_{k−1} + e_k             B_k = σ(logit(B_0) + c_k)              B_0: success rate of the group
    z_k  = (B_k − B_{k−1} − mean) / (std + 1e-6)                             std of the population, over the rollout
    w_k  = clip(1 + b · sgn(A) · z_k, 1 − b, 1 + b)                          b = 0.2
    Â_k  = A · [ (1−λ) + λ w_k ]                                              λ = 0.5, constant

A rollout of one turn keeps A. The defaults are the paper's. The released code differs: γ = 1, and B_0 is the mean
return, which with a reward of 10 is clipped to 0.9999 as soon as one rollout succeeds.

The paper's context is the text of a skill bank. Here it is a successful rollout of the same task.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from agentgym_hindsight.baselines.methods.base import Method, Tokens
from agentgym_hindsight.baselines.methods.checks import check_unit
from agentgym_hindsight.baselines.methods.credit import GroupRelative, rows_in_order
from agentgym_hindsight.baselines.methods.evidence import Evidence
from agentgym_hindsight.baselines.methods.rows import Array, Rows
from agentgym_hindsight.baselines.methods.schedules import Constant
from agentgym_hindsight.baselines.methods.teachers import TeacherSpec
from agentgym_hindsight.hindsight.spec import ContextSpec

__all__ = ["METHOD", "AgentOPSD", "belief_changes"]

_LEAST = 1e-6  # a prior of exactly 0 or 1 would ignore all evidence


@dataclass(frozen=True)
class AgentOPSD(Method):
    """Weights of turns from changes of belief. ``belief_decay`` is γ, ``band`` is b."""

    belief_decay: float = 0.95
    band: float = 0.2

    weights_updates: ClassVar[bool] = True
    scores_zero_advantages: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_unit("belief_decay", self.belief_decay, example=0.95)
        check_unit("band", self.band, example=0.2)

    def update_advantages(
        self, rows: Rows, advantages: Array, evidence: Evidence, lam: float, memory: MutableMapping[str, Any]
    ) -> list[Array | None]:
        gaps = evidence.gaps
        assert rows.won is not None
        groups: dict[int, dict[int, bool]] = {}
        for group, trajectory, won in zip(
            rows.group.tolist(), rows.trajectory.tolist(), rows.won.tolist(), strict=True
        ):
            groups.setdefault(group, {})[trajectory] = won
        prior = {trajectory: np.mean([*members.values()]) for members in groups.values() for trajectory in members}
        turns: dict[int, list[int]] = {}
        for trajectory, _, row in rows_in_order(rows):
            turns.setdefault(trajectory, []).append(row)
        result: list[Array | None] = [None] * len(rows)
        for trajectory, members in turns.items():
            sums = [0.0 if (gap := gaps[row]) is None else float(np.sum(gap, dtype=np.float64)) for row in members]
            if len(members) < 2 or all(gaps[row] is None for row in members):
                continue
            z = _standardised(belief_changes(sums, float(prior[trajectory]), self.belief_decay))
            for row, value in zip(members, z.tolist(), strict=True):
                if (gap := gaps[row]) is not None:
                    weight = np.clip(1 + self.band * np.sign(advantages[row]) * value, 1 - self.band, 1 + self.band)
                    result[row] = np.full(len(gap), advantages[row] * (1 + lam * (weight - 1)))
        return result


def belief_changes(evidence: Sequence[float], prior: float, decay: float) -> Array:
    """``B_k − B_{k−1}`` for every turn of a rollout.

    >>> [round(change, 6) for change in belief_changes([0.4, -0.2, 1.0], 0.25, 0.95).tolist()]
    [0.08212, -0.046879, 0.232848]
    """
    prior = min(max(prior, _LEAST), 1 - _LEAST)
    logit, total, beliefs = np.log(prior / (1 - prior)), 0.0, [prior]
    for value in evidence:
        total = decay * total + value
        beliefs.append(float(1 / (1 + np.exp(-np.clip(logit + total, -500.0, 500.0)))))
    return np.diff(beliefs)


def _standardised(values: Array) -> Array:
    standard: Array = (values - values.mean()) / (values.std() + 1e-6)
    return standard


PAPER = "arXiv 2608.05987"
EVIDENCE = "code"
METHOD = AgentOPSD(
    "agentopsd",
    GroupRelative(),
    what=ContextSpec.parse("success"),
    who=TeacherSpec("current"),
    tokens=Tokens("response"),
    when=Constant(0.5),
    kl=0.01,
)
