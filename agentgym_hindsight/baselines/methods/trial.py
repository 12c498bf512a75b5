"""TRIAL (arXiv 2608.07371): a dense loss on tokens, weighted by how much the outcome changes a turn's probability.

A frozen copy of the initial policy scores every response twice: with its ordinary prompt, and with a view of the
outcome in the prompt. With Δ the difference, clipped to ±c, s_k the mean ``|Δ|`` of turn k and n_k its tokens::

    w_k   = s_k / (Σ n_k s_k / Σ n_k)                        over the turns of the rollout
    dense = − mean over tokens of w_k · Δ_t · log π_θ
    L     = L_GRPO + λ · dense, where |λ · dense| ≤ |L_GRPO|  λ = 0.005, c = 2, from update 25 on

The bound scales the dense term and keeps the direction of its gradient (ours; the note on the paper says "clamped").
Both sides are computed once per update, where the ratio is 1: L_GRPO is minus the mean advantage over tokens.
The view of the outcome is the future of the rollout (ours: ``what="future"``).
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from agentgym_hindsight.baselines.methods.base import Method, Tokens
from agentgym_hindsight.baselines.methods.credit import GroupRelative, rows_in_order
from agentgym_hindsight.baselines.methods.evidence import Evidence
from agentgym_hindsight.baselines.methods.rows import Array, Rows
from agentgym_hindsight.baselines.methods.schedules import Constant, Window
from agentgym_hindsight.baselines.methods.teachers import TeacherSpec
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.spec import ContextSpec

if TYPE_CHECKING:  # methods can be listed without torch
    from torch import Tensor

    from agentgym_hindsight.baselines.methods.batch import Batch, Scores

__all__ = ["METHOD", "Trial", "trial_weights"]


@dataclass(frozen=True)
class Trial(Method):
    """GRPO plus a dense loss of the gap between two views of a frozen teacher. ``gap_clip`` is c."""

    gap_clip: float = 2.0

    scores_zero_advantages: ClassVar[bool] = True
    whole_batch: ClassVar[bool] = True
    compares_teacher: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.gap_clip > 0:
            raise UsageError(f"Expected gap_clip above 0, got {self.gap_clip}; try 2.")

    def token_advantages(self, batch: Batch, student: Scores, teacher: Scores | None) -> Tensor:
        return batch.advantages

    def update_signals(
        self, rows: Rows, advantages: Array, evidence: Evidence, lam: float, memory: MutableMapping[str, Any]
    ) -> list[Array | None]:
        """``w_k · Δ_t`` of every token, scaled so that the dense loss is at most the policy loss."""
        gaps = [None if gap is None else np.clip(gap, -self.gap_clip, self.gap_clip) for gap in evidence.gaps]
        result: list[Array | None] = [None] * len(rows)
        turns: dict[int, list[int]] = {}
        for trajectory, _, row in rows_in_order(rows):
            if gaps[row] is not None and len(gaps[row]):  # type: ignore[arg-type]
                turns.setdefault(trajectory, []).append(row)
        for members in turns.values():
            own = [gap for row in members if (gap := gaps[row]) is not None]
            weights = trial_weights([np.abs(gap).mean() for gap in own], [len(gap) for gap in own])
            for row, gap, weight in zip(members, own, weights.tolist(), strict=True):
                result[row] = weight * gap
        return self._bounded(result, advantages, evidence, lam)

    def _bounded(
        self, signals: list[Array | None], advantages: Array, evidence: Evidence, lam: float
    ) -> list[Array | None]:
        dense = lam * sum(
            float(signal @ logps) for signal, logps in zip(signals, evidence.logps, strict=True) if signal is not None
        )
        policy = float(advantages @ np.asarray(evidence.lengths, np.float64))
        scale = min(1.0, abs(policy) / abs(dense)) if dense else 1.0
        return [None if signal is None else scale * signal for signal in signals]

    def extra_loss(self, batch: Batch, student: Scores, teacher: Scores | None) -> Tensor | None:
        if batch.signals is None:
            return None
        return -batch.lam * batch.token_mean(batch.signals * student.logps)


def trial_weights(scores: Any, counts: Any) -> Array:
    """The weight of each turn of a rollout: its score divided by the token-weighted mean score of the rollout.

    ``scores`` has the mean ``|Δ|`` of each turn and ``counts`` its number of tokens, so ``Σ count·weight = Σ count``.
    All weights are 1 if all scores are 0.

    >>> trial_weights([0.1, 0.2, 0.3], [10, 20, 10]).round(4).tolist()
    [0.5, 1.0, 1.5]
    """
    score, count = np.asarray(scores, np.float64), np.asarray(counts, np.float64)
    if score.shape != count.shape:
        raise UsageError(f"Expected one count per score, got {score.shape} and {count.shape}; try equal lengths.")
    mean = float((score * count).sum() / max(count.sum(), 1.0))
    return score / mean if mean > 0 else np.ones_like(score)


PAPER = "arXiv 2608.07371"
EVIDENCE = "notes"
METHOD = Trial(
    "trial",
    GroupRelative(),
    what=ContextSpec.parse("future"),
    who=TeacherSpec("frozen"),
    tokens=Tokens("response"),
    when=Window(Constant(0.005), 25, 10**9),
)
