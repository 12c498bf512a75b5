"""Divergences between two next-token distributions, as losses: the gradient flows only to the student."""

from __future__ import annotations

from math import log

from agentgym_hindsight.baselines.requirements import require_torch

require_torch("computing divergences")

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from agentgym_hindsight.baselines.methods.checks import check_unit  # noqa: E402
from agentgym_hindsight.baselines.methods.tensor_checks import check_shapes, detached, float_type  # noqa: E402
from agentgym_hindsight.errors import UsageError  # noqa: E402

__all__ = ["divergence", "k3"]


_FLOOR = -1e4  # minimum of log-probabilities: e^-10000 is 0 and 0 · -10000 is 0, but 0 · -inf is NaN


def divergence(
    teacher_logits: Tensor,
    student_logits: Tensor,
    *,
    alpha: float,
    top_k: int | None = None,
    floor: float | None = None,
    ceiling: float | None = None,
) -> Tensor:
    """The divergence of teacher and student per token: (…, vocabulary) to (…).

    * ``alpha=0`` is KL(T‖S) and ``alpha=1`` is KL(S‖T). Values between are SDPO's generalised Jensen–Shannon divergence
      ``(1 − α)·KL(S‖M) + α·KL(T‖M)`` with ``M = (1 − α)·S + α·T``; it tends to 0 at both ends, not to either KL.
    * ``top_k`` keeps the student's k most probable tokens and merges all others into one bucket. If k is at least the
      size of the vocabulary, the divergence is exact.

    * ``floor`` and ``ceiling`` bound the ratio of teacher to student (Resd): teacher probabilities below ``floor``
      times the student's are raised to that, and those above ``ceiling`` times lowered. They need not sum to 1 then,
      and the divergence may be negative.

    The inputs are logits or log-probabilities.

    >>> student, teacher = torch.tensor([[0.7, 0.2, 0.1]]).log(), torch.tensor([[0.5, 0.4, 0.1]]).log()
    >>> [round(divergence(teacher, student, alpha=alpha).item(), 4) for alpha in (0.0, 0.5, 1.0)]
    [0.109, 0.0254, 0.0969]
    """
    check_shapes("teacher_logits and student_logits", teacher_logits, student_logits)
    check_unit("alpha", alpha)
    if top_k is not None and top_k < 1:
        raise UsageError(f"Expected top_k of 1 or more, got {top_k}; try 100, or None for the whole vocabulary.")
    teacher = detached(teacher_logits).log_softmax(-1)
    student = student_logits.to(float_type(student_logits)).log_softmax(-1)
    if top_k is not None and top_k < student.shape[-1]:
        best = student.detach().topk(top_k, dim=-1).indices
        teacher, student = _with_tail(teacher.gather(-1, best)), _with_tail(student.gather(-1, best))
    teacher, student = teacher.clamp(min=_FLOOR), student.clamp(min=_FLOOR)
    if floor is not None:
        teacher = torch.maximum(teacher, student.detach() + log(floor))
    if ceiling is not None:
        teacher = torch.minimum(teacher, student.detach() + log(ceiling))
    if alpha == 0:
        return _kl(teacher, student)
    if alpha == 1:
        return _kl(student, teacher)
    mixture = torch.logaddexp(student + log(1 - alpha), teacher + log(alpha))
    return (1 - alpha) * _kl(student, mixture) + alpha * _kl(teacher, mixture)


def k3(logratio: Tensor) -> Tensor:
    """``e^(−ℓ) − 1 + ℓ`` with ``ℓ = log π_θ − log π_T``: Skill-SD's loss, which is ≥ 0. The gradient flows through ℓ.

    >>> [round(value, 4) for value in k3(torch.tensor([-0.5, 0.0, 0.5])).tolist()]
    [0.1487, 0.0, 0.1065]
    """
    wide = logratio.to(float_type(logratio))
    return torch.expm1(-wide) + wide


def _kl(p: Tensor, q: Tensor) -> Tensor:
    return (p.exp() * (p - q)).sum(-1)


def _with_tail(best: Tensor) -> Tensor:
    """The log-probabilities of some tokens, followed by that of all other tokens together."""
    # log(1 − Σp). Rounding may make Σp ≥ 1; the tail is then set to about the machine epsilon, which is practically 0.
    covered = best.logsumexp(-1, keepdim=True).clamp(max=-torch.finfo(best.dtype).eps)
    return torch.cat([best, (-torch.expm1(covered)).log()], dim=-1)
