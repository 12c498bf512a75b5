"""FACTOR (arXiv 2608.07118): temporal differences between actions, and weights of mean one inside an action.

A critic predicts the value of the state before each turn. With b the mean return of the other rollouts of the task::

    A*_t  = r_t + Ṽ(x_{t+1}) − Ṽ(x_t)       Ṽ(x_0) = b, Ṽ(x_T) = 0: the sum over a rollout is R − b
    s_j   = sgn(A*) · clip(Δ_j, −3, 3)       Δ: the teacher's gap; the teacher saw the environment's feedback
    ω_j   = (1 − η) + η L softmax(s / τ)_j   mean one over the L tokens of an action

The loss is the mean over actions of the mean of their tokens, with A*·ω, plus the mean over the other tokens, with
A = R − b, plus λ KL(teacher ‖ policy) over the action's tokens (SERL's Eq. 14)::

    η = 0.7 · max(1 − k/50, 0) in updates 11 to 49,  λ = max(1 − k/50, 0)

While λ = η = 0 there is no teacher, and ω = 1. In the release the value head is an MLP on the policy's states; here it
is the turn head of the critic.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from agentgym_hindsight.baselines.methods.base import Method, Tokens
from agentgym_hindsight.baselines.methods.checks import check_unit
from agentgym_hindsight.baselines.methods.credit import (
    as_float32,
    check_credit,
    penalised,
    rows_in_order,
    scores_of,
    spread,
    step_returns,
)
from agentgym_hindsight.baselines.methods.critic_spec import CriticSpec
from agentgym_hindsight.baselines.methods.critics import CriticCredit, Estimate, turn_values
from agentgym_hindsight.baselines.methods.rows import Array, Rows
from agentgym_hindsight.baselines.methods.schedules import LinearDecay, Schedule, Window
from agentgym_hindsight.baselines.methods.teachers import TeacherSpec
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.spec import ContextSpec

if TYPE_CHECKING:  # methods can be listed without torch
    from torch import Tensor

    from agentgym_hindsight.baselines.methods.batch import Batch, Scores

__all__ = ["METHOD", "Factor", "TemporalDifference", "factor_weights"]


@dataclass(frozen=True, slots=True)
class TemporalDifference(CriticCredit):
    """A* of every turn. The critic is trained towards the return that is still to come, less the turn's penalty."""

    penalty: float = 0.1

    def __post_init__(self) -> None:
        check_credit(self)

    def estimate(self, rows: Rows) -> Estimate:
        """Advantages, and the targets of the critic."""
        value, rewards = turn_values(rows).copy(), penalised(rows.rewards, rows, self.penalty)
        order = rows_in_order(rows)
        baselines = self.baselines(rows)
        for index, (trajectory, _, row) in enumerate(order):
            if index == 0 or order[index - 1][0] != trajectory:
                value[row] = baselines[row]
        advantages = rewards - value
        for (trajectory, _, row), (after, _, following) in pairwise(order):
            if trajectory == after:
                advantages[row] += value[following]
        return Estimate(as_float32(advantages), penalised(step_returns(rows, 1.0), rows, self.penalty))

    def baselines(self, rows: Rows) -> Array:
        """The mean return of the other rollouts of the task, (B,); 0 for the only rollout."""
        scores, labels, index = scores_of(rows, 0.0, "trajectories")
        deviation, _, count = spread(scores, labels, correction=1)
        others = scores - deviation * count / np.maximum(count - 1, 1)
        return np.where(count > 1, others, 0.0)[index]


@dataclass(frozen=True)
class Factor(Method):
    """Action-mean PPO with TD credit, and token weights of mean one. ``eta``: the schedule of η."""

    eta: Schedule = field(default_factory=lambda: Window(LinearDecay(0.7, 50), 11, 49))
    tau: float = 1.0
    gap_clip: float = 3.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.what is None or self.tokens.turns != "all":
            raise UsageError(
                f"Expected a context and the tokens of all turns for {self.name}, got what={str(self.what or '')!r} "
                f"and tokens={self.tokens}; try what=immediate and tokens=action."
            )
        if not (self.tau > 0 and isfinite(self.tau) and self.gap_clip > 0):
            raise UsageError(f"Expected tau and gap_clip above 0, got {self.tau} and {self.gap_clip}; try 1 and 3.")

    def row_signals(self, rows: Rows) -> Array:
        """R − b of every row: the advantage of the tokens outside of actions."""
        penalty = getattr(self.credit, "penalty", 0.0)
        return penalised(rows.returns, rows, penalty) - TemporalDifference().baselines(rows)

    def token_advantages(self, batch: Batch, student: Scores, teacher: Scores | None) -> Tensor:
        import torch

        inside = batch.per_token_of(batch.advantages)
        eta = self.eta(batch.update)
        if teacher is not None and eta > 0:
            inside = inside * factor_weights(
                batch.advantages.sign(),
                teacher.logps - student.logps,
                eta,
                self.tau,
                self.gap_clip,
                mask=batch.chosen,
            )
        marked = batch.tokens if batch.marked is None else batch.marked
        outside = inside if batch.row_signals is None else batch.per_token_of(batch.row_signals)
        return torch.where(marked, inside, outside)

    def reduction_factors(self, batch: Batch) -> Tensor:
        """The mean over actions of the mean of their tokens, plus the mean over the other tokens."""
        factors, turns = batch.marked_means(), super().reduction_factors(batch)
        return factors if turns is None else factors * turns

    def needs_teacher(self, update: int) -> bool:
        """The weights ω need the teacher while η > 0, also if λ is 0."""
        return self.when(update) > 0 or self.eta(update) > 0


def factor_weights(
    advantage_sign: Tensor | float,
    gaps: Tensor,
    eta: float,
    tau: float = 1.0,
    clip: float = 3.0,
    *,
    mask: Tensor | None = None,
) -> Tensor:
    """FACTOR's weights of the tokens of an action, with mean 1: ``(1 − η) + η·L·softmax(sgn(A)·clip(Δ)/τ)``.

    ``gaps`` is (…, L), one action per row. ``advantage_sign`` is a number or has shape (…,); only its sign is used.
    ``mask`` (…, L) marks the tokens of the actions if these differ in length; other tokens have weight 1.

    >>> import torch
    >>> [round(weight, 4) for weight in factor_weights(-1, torch.tensor([0.0, 2.0, -2.0]), eta=0.42).tolist()]
    [0.7278, 0.6, 1.6722]
    """
    import torch

    from agentgym_hindsight.baselines.methods.tensor_checks import check_mask, detached

    check_unit("eta", eta)
    if not (tau > 0 and clip > 0 and isfinite(tau)):
        raise UsageError(f"Expected tau and clip above 0, got tau={tau}, clip={clip}; try tau=1.0, clip=3.0.")
    delta = detached(gaps)
    sign = torch.as_tensor(advantage_sign, device=delta.device).detach().sign()
    if sign.dim() and sign.shape != delta.shape[:-1]:
        raise UsageError(
            f"Expected one advantage per action, got shape {tuple(sign.shape)} for gaps of shape {tuple(delta.shape)}; "
            "try (B,) and (B, L)."
        )
    mask = torch.ones_like(delta, dtype=torch.bool) if mask is None else mask
    check_mask(mask, delta)
    scores = (sign[..., None] * delta.clamp(-clip, clip) / tau).masked_fill(~mask, -torch.inf)
    share = scores.softmax(-1)  # NaN for an action without tokens; the mask then excludes the whole row
    return torch.where(mask, (1 - eta) + eta * mask.sum(-1, keepdim=True) * share, 1.0)


PAPER = "arXiv 2608.07118"
EVIDENCE = "code"
METHOD = Factor(
    "factor",
    TemporalDifference(),
    what=ContextSpec.parse("immediate"),
    who=TeacherSpec("current"),
    tokens=Tokens("action"),
    when=LinearDecay(1.0, 50),
    aux_kl=1.0,
    critic=CriticSpec(2, ("turn",)),
)
