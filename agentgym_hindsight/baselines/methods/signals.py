"""The token signals of SERL and RLSD: the gap between teacher and student, and the weights computed from it.

Results have no gradient. 16-bit inputs are computed in float32, which is then the type of the result.
"""

from __future__ import annotations

from agentgym_hindsight.baselines.requirements import require_torch

require_torch("computing token weights")

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from agentgym_hindsight.baselines.methods.checks import check_unit  # noqa: E402
from agentgym_hindsight.baselines.methods.tensor_checks import check_rows, check_shapes, detached  # noqa: E402

__all__ = ["gap", "reweight", "weights"]

_EXPONENT = 20.0  # SERL's bound before the exponential


def gap(teacher_logps: Tensor, student_logps: Tensor) -> Tensor:
    """``log π_T − log π_θ`` of the sampled tokens, detached. Above 0: more probable for the teacher.

    >>> gap(torch.tensor([[-1.0]]), torch.tensor([[-1.5]])).tolist()
    [[0.5]]
    """
    check_shapes("teacher_logps and student_logps", teacher_logps, student_logps)
    return detached(teacher_logps) - detached(student_logps)


def weights(advantages: Tensor, gaps: Tensor, mask: Tensor, *, clip: float = 0.2) -> Tensor:
    """``clip(exp(sgn(A)·Δ), 1 − clip, 1 + clip)`` on the mask and 1 elsewhere: the weights of SERL and RLSD, (B, T).

    A sampled token that is more probable for the teacher (Δ > 0) has a weight > 1 if A > 0, and < 1 if A < 0.

    >>> gaps, mask = torch.tensor([[0.1, -0.5, 0.1]]), torch.tensor([[True, True, False]])
    >>> [[round(weight, 4) for weight in weights(A, gaps, mask)[0].tolist()] for A in torch.tensor([[1.5], [-1.5]])]
    [[1.1052, 0.8, 1.0], [0.9048, 1.2, 1.0]]
    """
    check_rows(advantages, gaps, mask, clip)
    # Clamping the gap before multiplying by the sign gives the same result and avoids 0 · inf.
    agreement = _per_token(advantages, gaps).sign() * detached(gaps).clamp(-_EXPONENT, _EXPONENT)
    bounded = agreement.exp().clamp(1 - clip, 1 + clip)
    return bounded.masked_fill(~mask, 1.0)


def reweight(
    advantages: Tensor, gaps: Tensor, mask: Tensor, lam: float, *, clip: float = 0.2, mean_one: bool = False
) -> Tensor:
    """``A · [(1 − λ) + λ·w_t]`` on the mask (SERL's Eq. 10, w as in :func:`weights`) and A elsewhere; (B, T).

    ``advantages`` is (B,), or (B, T) for a credit of tokens; ``gaps`` and the boolean ``mask`` are (B, T). A row
    without a context or without a parsed action has an empty mask and keeps its advantage. The sign of A is kept, and
    the factor is in [1 − λ·clip, 1 + λ·clip]. With ``lam=0`` the result is exactly A for any gaps.

    ``mean_one=True`` (ours) divides the factors on the mask by their mean over the row. The sum over a row is then
    GRPO's, and the teacher only distributes it over the tokens. Signs are still kept; the bounds may be exceeded.

    >>> reweight(torch.tensor([1.5]), torch.tensor([[0.5, -0.5, 9.0]]), torch.tensor([[True, True, False]]), 0.5)
    tensor([[1.6500, 1.3500, 1.5000]])
    """
    check_rows(advantages, gaps, mask, clip)
    check_unit("lam", lam)
    base = _per_token(advantages, gaps)
    if lam == 0:
        return base.contiguous()
    # Equal to (1 − λ) + λ·w, but exactly 1 if w is 1.
    factors = (1 + lam * (weights(advantages, gaps, mask, clip=clip) - 1)).to(base.dtype)
    if mean_one:
        count = mask.sum(-1, keepdim=True)
        mean = factors.masked_fill(~mask, 0.0).sum(-1, keepdim=True) / count.clamp(min=1)
        factors = factors / mean.masked_fill(count == 0, 1.0)
    return torch.where(mask, base * factors, base)


def _per_token(advantages: Tensor, gaps: Tensor) -> Tensor:
    """The advantages as (B, T), detached."""
    base = detached(advantages)
    return (base if base.dim() == 2 else base[:, None]).expand(gaps.shape)
