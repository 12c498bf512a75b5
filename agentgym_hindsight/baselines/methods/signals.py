"""SERL"s and RLSD"s token signals: the gap between teacher and student, and the weights made from it.

Inputs and results are tensors without a gradient. 16-bit inputs are computed in float32, which is also the type of the
result.
"""

from __future__ import annotations

import torch
from torch import Tensor

from agentgym_hindsight.baselines.methods.checks import check_rows, check_shapes, check_unit, detached

__all__ = ["gap", "reweight", "weights"]


_EXPONENT = 20.0  # SERL's bound before the exponential


def gap(teacher_logps: Tensor, student_logps: Tensor) -> Tensor:
    """``log π_T − log π_θ`` of the tokens that were sampled, detached: above 0 the teacher likes a token better.

    >>> gap(torch.tensor([[-1.0]]), torch.tensor([[-1.5]])).tolist()
    [[0.5]]
    """
    check_shapes("teacher_logps and student_logps", teacher_logps, student_logps)
    return detached(teacher_logps) - detached(student_logps)


def weights(advantages: Tensor, gaps: Tensor, mask: Tensor, *, clip: float = 0.2) -> Tensor:
    """``clip(exp(sgn(A)·Δ), 1 − clip, 1 + clip)`` on the mask and 1 outside: SERL's and RLSD's weights, (B, T).

    Where the teacher agrees with what was sampled, a good turn is praised more and a bad one blamed less.

    >>> gaps, mask = torch.tensor([[0.1, -0.5, 0.1]]), torch.tensor([[True, True, False]])
    >>> [[round(weight, 4) for weight in weights(A, gaps, mask)[0].tolist()] for A in torch.tensor([[1.5], [-1.5]])]
    [[1.1052, 0.8, 1.0], [0.9048, 1.2, 1.0]]
    """
    check_rows(advantages, gaps, mask, clip)
    # The gap is clamped before the sign and not after it: the same, and 0 · inf does not arise.
    agreement = detached(advantages).sign()[:, None] * detached(gaps).clamp(-_EXPONENT, _EXPONENT)
    bounded = agreement.exp().clamp(1 - clip, 1 + clip)
    return bounded.masked_fill(~mask, 1.0)


def reweight(
    advantages: Tensor, gaps: Tensor, mask: Tensor, lam: float, *, clip: float = 0.2, mean_one: bool = False
) -> Tensor:
    """``A · [(1 − λ) + λ·w_t]`` on the mask (SERL's Eq. 10, w as in :func:`weights`), A itself outside; (B, T).

    ``advantages`` is (B,), ``gaps`` and the boolean ``mask`` are (B, T). A row without a context, or without an action
    that could be read, has an empty mask and is plain GRPO. Signs are kept, and the factor stays in [1 − λ·clip,
    1 + λ·clip]. With ``lam=0`` the answer is A broadcast, to the bit, whatever the gaps are.

    ``mean_one=True`` is an extension of ours: the factors on the mask are divided by their mean over the row, so that
    a row's total push is GRPO's and only its distribution over the tokens is the teacher's. Signs are still kept; the
    bounds no longer hold exactly.

    >>> reweight(torch.tensor([1.5]), torch.tensor([[0.5, -0.5, 9.0]]), torch.tensor([[True, True, False]]), 0.5)
    tensor([[1.6500, 1.3500, 1.5000]])
    """
    check_rows(advantages, gaps, mask, clip)
    check_unit("lam", lam)
    base = detached(advantages)[:, None].expand(gaps.shape)
    if lam == 0:
        return base.contiguous()
    # 1 + λ(w − 1) is the same, and exactly 1 where w is, whatever λ.
    factors = (1 + lam * (weights(advantages, gaps, mask, clip=clip) - 1)).to(base.dtype)
    if mean_one:
        count = mask.sum(-1, keepdim=True)
        mean = factors.masked_fill(~mask, 0.0).sum(-1, keepdim=True) / count.clamp(min=1)
        factors = factors / mean.masked_fill(count == 0, 1.0)
    return torch.where(mask, base * factors, base)
