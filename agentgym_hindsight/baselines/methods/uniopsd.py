"""UniOPSD (arXiv 2609.34810): a teacher's evidence about turns, fused with GiGPO's step credit by their precision.

A^E and A^S are the episode and the step part of GiGPO without division by the std. The teacher sees a successful
rollout, and only turns of failed rollouts are taught. With δ̄ the mean gap of a turn's tokens, and statistics over the
turns T that are taught, E whose anchor group has returns of different size, and B = E ∩ T::

    d   = δ̄ − mean over the anchor group      A^T = s · d,  s = std_T(A^S) / std_T(d)         Eq. 4
    p^S = n / v^R    p^T = 1 / (s² v^δ / L)    z = p / median over B                            Eq. 5
    ρ̂  = max(0, ρ̄ − κ/√(H n)),  q = min(ρ̂², u(1−η)),  c̄ = u(u−q) / (u² − 2uq + q)              Eq. 6, 7
    c   = a z^S / (a z^S + z^T) on B, a = c̄/(1−c̄);  c̄ on T without E;  1 elsewhere              Eq. 8
    F   = c A^S + (1−c) A^T
    Â   = A^E + F · [ (1−λ) + λ clip(exp(sgn(F)·Δ), 0.8, 1.2) ]                                 Eq. 9, 10

v^R is the variance of the discounted returns of the anchor group, v^δ that of the turn's gaps, L its number of tokens.
ρ̄ is a running mean (decay 0.9) of the correlation of A^S and A^T over B. It is updated after its use, and stored with
the checkpoints; before the first measurement c = 1. While λ = 0, after 100 updates, there is no teacher pass and the
method is GiGPO. λ scales the token weights only: ``always_fuse=True`` keeps the teacher and the fusion of Eq. 8.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from agentgym_hindsight.baselines.methods.anchor_groups import GroupInGroup
from agentgym_hindsight.baselines.methods.base import Method, Tokens
from agentgym_hindsight.baselines.methods.credit import (
    group_advantages,
    penalised,
    spread,
    step_returns,
)
from agentgym_hindsight.baselines.methods.evidence import Evidence
from agentgym_hindsight.baselines.methods.rows import Array, Rows
from agentgym_hindsight.baselines.methods.schedules import LinearDecay
from agentgym_hindsight.baselines.methods.step_graph import StepGraph
from agentgym_hindsight.baselines.methods.teachers import TeacherSpec
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.spec import ContextSpec

__all__ = ["METHOD", "Fusion", "UniOPSD", "fuse", "prior_weight"]

_EPSILON = 1e-6


@dataclass(frozen=True)
class UniOPSD(Method):
    """Step credit fused with the teacher's evidence. ``kappa``, ``horizon`` and ``prior`` are κ, H and u of Eq. 6."""

    kappa: float = 2.33
    horizon: float = 10.0
    prior: float = 0.5
    decay: float = 0.9
    weight_clip: float = 0.2
    return_gamma: float = 0.95
    always_fuse: bool = False

    weights_updates: ClassVar[bool] = True
    scores_zero_advantages: ClassVar[bool] = True
    whole_batch: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.credit, GroupInGroup):
            raise UsageError(
                f"Expected GiGPO's credit for {self.name}, which fuses its step part, got "
                f"{type(self.credit).__name__}; try uniopsd without --credit."
            )
        if not (0 < self.prior < 1 and 0 <= self.decay < 1 and self.horizon > 0 and 0 < self.weight_clip < 1):
            raise UsageError(
                f"Expected 0 < prior < 1, 0 ≤ decay < 1, horizon > 0 and 0 < weight_clip < 1, got {self.prior}, "
                f"{self.decay}, {self.horizon} and {self.weight_clip}; try 0.5, 0.9, 10 and 0.2."
            )

    def needs_teacher(self, update: int) -> bool:
        """The fusion needs the teacher also if λ is 0, with ``always_fuse``."""
        return self.has_teacher and (self.always_fuse or self.when(update) > 0)

    def update_advantages(
        self, rows: Rows, advantages: Array, evidence: Evidence, lam: float, memory: MutableMapping[str, Any]
    ) -> list[Array | None]:
        gaps = evidence.gaps
        penalty = getattr(self.credit, "penalty", 0.0)
        episode = group_advantages(
            rows, penalty, getattr(self.credit, "statistics", "rows"), getattr(self.credit, "scale", "none")
        )
        graph = StepGraph(rows)
        returns = penalised(step_returns(rows, self.return_gamma), rows, penalty)
        fusion = fuse(
            advantages - episode,
            returns,
            graph.in_batch_order(graph.state),
            gaps,
            None if "correlation" not in memory else self._weight(memory),
        )
        if fusion.correlation is not None:
            before = memory.get("correlation", fusion.correlation)
            memory["correlation"] = self.decay * before + (1 - self.decay) * fusion.correlation
            memory["rows"] = fusion.rows
        result: list[Array | None] = []
        for base, fused, gap in zip(episode, fusion.values, gaps, strict=True):
            if gap is None:
                result.append(None)
                continue
            weights = np.clip(
                np.exp(np.sign(fused) * np.clip(gap, -20, 20)), 1 - self.weight_clip, 1 + self.weight_clip
            )
            result.append(base + fused * (1 + lam * (weights - 1)))
        return result

    def _weight(self, memory: MutableMapping[str, Any]) -> float:
        return prior_weight(memory["correlation"], memory["rows"], self.prior, self.kappa, self.horizon)


@dataclass(frozen=True, slots=True)
class Fusion:
    """F of every turn, the weight c of the step credit, and the correlation over the ``rows`` turns of B, if any."""

    values: Array
    weights: Array
    taught: Array
    correlation: float | None
    rows: int


def prior_weight(
    correlation: float, rows: int, prior: float = 0.5, kappa: float = 2.33, horizon: float = 10.0
) -> float:
    """c̄ of Eq. 7 from the running correlation and the number of turns that it was measured on.

    >>> round(prior_weight(0.4, 100), 6)
    0.787032
    """
    lower = max(0.0, correlation - kappa / np.sqrt(horizon * max(rows, 1)))
    q = min(lower * lower, prior * (1 - _EPSILON))
    denominator = prior * prior - 2 * prior * q + q
    return 1.0 if denominator <= 0 else float(np.clip(prior * (prior - q) / denominator, 0.0, 1.0))


def fuse(steps: Array, returns: Array, labels: Array, gaps: Sequence[Array | None], weight: float | None) -> Fusion:
    """Eq. 4 to 8. ``weight`` is c̄, or ``None`` before the first measurement."""
    mean_gap = np.array([0.0 if gap is None else np.mean(gap, dtype=np.float64) for gap in gaps])
    taught = np.array([gap is not None and bool(np.abs(gap).sum() > 0) for gap in gaps], bool)
    deviation, _, _ = spread(mean_gap, labels, correction=1)
    _, std, count = spread(returns, labels, correction=1)
    variance = np.square(std)
    spread_out = (count >= 2) & (variance > 0)
    both = spread_out & taught
    scale = _ratio_of_stds(steps[taught], deviation[taught])
    evidence = scale * deviation
    correlation = _pearson(steps[both], evidence[both])
    values = steps.copy()
    weights = np.ones(len(steps))
    if weight is not None and weight < 1 - _EPSILON:
        tokens = np.array([1.0 if gap is None else len(gap) for gap in gaps])
        noise = np.array([0.0 if gap is None else np.var(gap, dtype=np.float64) for gap in gaps])
        own = _relative(np.where(spread_out, count / np.maximum(variance, _EPSILON), 0.0), spread_out, both)
        other = _relative(np.where(taught, 1 / np.maximum(scale**2 * noise / tokens, _EPSILON), 0.0), taught, both)
        odds = weight / (1 - weight) * own
        weights = np.where(both, odds / np.maximum(odds + other, np.finfo(float).tiny), np.where(taught, weight, 1.0))
        values = weights * steps + (1 - weights) * evidence
    return Fusion(values, weights, taught, correlation, int(both.sum()))


def _ratio_of_stds(steps: Array, deviations: Array) -> float:
    """s of Eq. 4: 0 if fewer than two turns are taught, or if their evidence does not differ."""
    if len(steps) < 2 or (spread_of := float(deviations.std(ddof=1))) <= _EPSILON:
        return 0.0
    return float(steps.std(ddof=1)) / (spread_of + _EPSILON)


def _relative(precision: Array, population: Array, both: Array) -> Array:
    """Precisions divided by their lower median over B, or over their own population if B is empty."""
    chosen = precision[both] if both.any() else precision[population]
    if not len(chosen):
        return precision
    return np.where(population, precision / max(float(np.sort(chosen)[(len(chosen) - 1) // 2]), _EPSILON), 0.0)


def _pearson(first: Array, second: Array) -> float | None:
    """The correlation, or ``None`` for fewer than two turns or without variance."""
    if len(first) < 2 or first.std() <= _EPSILON or second.std() <= _EPSILON:
        return None
    return float(np.corrcoef(first, second)[0, 1])


PAPER = "arXiv 2609.34810"
EVIDENCE = "code"
METHOD = UniOPSD(
    "uniopsd",
    GroupInGroup(scale="none"),
    what=ContextSpec.parse("success"),
    who=TeacherSpec("current"),
    tokens=Tokens("response", "failed"),
    when=LinearDecay(0.5, 100),
    kl=0.01,
)
