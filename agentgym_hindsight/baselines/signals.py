"""What a teacher who knows more says of single tokens: reweighted advantages, gates, divergences. Tensors in and out.

What weighs a loss carries no gradient; :func:`divergence` and :func:`k3` are losses and do, towards the student alone.
16-bit inputs are reckoned, and answered, in float32.
"""

from __future__ import annotations

from math import isfinite, log

from agentgym_hindsight.errors import MissingExtraError, UsageError

try:
    import torch
    from torch import Tensor
except ImportError as error:
    raise MissingExtraError("torch", "train", "Reckoning a teacher's signals") from error

__all__ = [
    "antisd_phi",
    "divergence",
    "factor_weights",
    "gap",
    "k3",
    "reweight",
    "sdar_gate",
    "trial_weights",
    "weights",
]

_EXPONENT = 20.0  # SERL's bound before the exponential
_FLOOR = -1e4  # for log-probabilities: e^-10000 is 0, and 0 · -10000 is 0 where 0 · -inf is not a number


def gap(teacher_logps: Tensor, student_logps: Tensor) -> Tensor:
    """``log π_T − log π_θ`` of the tokens that were sampled, detached: above 0 the teacher likes a token better.

    >>> gap(torch.tensor([[-1.0]]), torch.tensor([[-1.5]])).tolist()
    [[0.5]]
    """
    _check_shapes("teacher_logps and student_logps", teacher_logps, student_logps)
    return _real(teacher_logps) - _real(student_logps)


def weights(advantages: Tensor, gaps: Tensor, mask: Tensor, *, clip: float = 0.2) -> Tensor:
    """``clip(exp(sgn(A)·Δ), 1 − clip, 1 + clip)`` on the mask and 1 outside: SERL's and RLSD's weights, (B, T).

    Where the teacher agrees with what was sampled, a good turn is praised more and a bad one blamed less.

    >>> gaps, mask = torch.tensor([[0.1, -0.5, 0.1]]), torch.tensor([[True, True, False]])
    >>> [[round(weight, 4) for weight in weights(A, gaps, mask)[0].tolist()] for A in torch.tensor([[1.5], [-1.5]])]
    [[1.1052, 0.8, 1.0], [0.9048, 1.2, 1.0]]
    """
    _check_rows(advantages, gaps, mask, clip)
    # The gap is clamped before the sign and not after it: the same, and 0 · inf does not arise.
    agreement = _real(advantages).sign()[:, None] * _real(gaps).clamp(-_EXPONENT, _EXPONENT)
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
    _check_rows(advantages, gaps, mask, clip)
    _check_unit("lam", lam)
    base = _real(advantages)[:, None].expand(gaps.shape)
    if lam == 0:
        return base.contiguous()
    # 1 + λ(w − 1) is the same, and exactly 1 where w is, whatever λ.
    factors = (1 + lam * (weights(advantages, gaps, mask, clip=clip) - 1)).to(base.dtype)
    if mean_one:
        count = mask.sum(-1, keepdim=True)
        mean = factors.masked_fill(~mask, 0.0).sum(-1, keepdim=True) / count.clamp(min=1)
        factors = factors / mean.masked_fill(count == 0, 1.0)
    return torch.where(mask, base * factors, base)


def divergence(teacher_logits: Tensor, student_logits: Tensor, *, alpha: float, top_k: int | None = None) -> Tensor:
    """How far the student's next-token distribution is from the teacher's: (…, vocabulary) to (…), per token.

    * ``alpha=0`` is KL(T‖S), ``alpha=1`` KL(S‖T). Between them it is SDPO's generalised Jensen–Shannon divergence
      ``(1 − α)·KL(S‖M) + α·KL(T‖M)`` with ``M = (1 − α)·S + α·T``, which does not tend to either but to 0.
    * ``top_k`` looks at the student's k best tokens and gathers all others into one bucket. A k as large as the
      vocabulary is the whole.

    Logits and log-probabilities will both do. The gradient flows to the student alone.

    >>> student, teacher = torch.tensor([[0.7, 0.2, 0.1]]).log(), torch.tensor([[0.5, 0.4, 0.1]]).log()
    >>> [round(divergence(teacher, student, alpha=alpha).item(), 4) for alpha in (0.0, 0.5, 1.0)]
    [0.109, 0.0254, 0.0969]
    """
    _check_shapes("teacher_logits and student_logits", teacher_logits, student_logits)
    _check_unit("alpha", alpha)
    if top_k is not None and top_k < 1:
        raise UsageError(f"Expected top_k of 1 or more, got {top_k}; try 100, or None for the whole vocabulary.")
    teacher = _real(teacher_logits).log_softmax(-1)
    student = student_logits.to(_wide(student_logits)).log_softmax(-1)
    if top_k is not None and top_k < student.shape[-1]:
        best = student.detach().topk(top_k, dim=-1).indices
        teacher, student = _with_tail(teacher.gather(-1, best)), _with_tail(student.gather(-1, best))
    teacher, student = teacher.clamp(min=_FLOOR), student.clamp(min=_FLOOR)
    if alpha == 0:
        return _kl(teacher, student)
    if alpha == 1:
        return _kl(student, teacher)
    mixture = torch.logaddexp(student + log(1 - alpha), teacher + log(alpha))
    return (1 - alpha) * _kl(student, mixture) + alpha * _kl(teacher, mixture)


def k3(logratio: Tensor) -> Tensor:
    """``e^(−ℓ) − 1 + ℓ`` with ``ℓ = log π_θ − log π_T``: Skill-SD's loss, never below 0. It carries the gradient of ℓ.

    >>> [round(value, 4) for value in k3(torch.tensor([-0.5, 0.0, 0.5])).tolist()]
    [0.1487, 0.0, 0.1065]
    """
    wide = logratio.to(_wide(logratio))
    return torch.expm1(-wide) + wide


def sdar_gate(gap: Tensor, beta: float = 5.0) -> Tensor:
    """``σ(β·Δ)``, detached: SDAR learns from the teacher where it likes a token better. ``beta=0`` is GRPO+OPSD's half.

    >>> [round(gate, 4) for gate in sdar_gate(torch.tensor([-0.5, 0.0, 0.5])).tolist()]
    [0.0759, 0.5, 0.9241]
    """
    return (beta * _real(gap)).sigmoid()


def antisd_phi(u: Tensor) -> Tensor:
    """``½·(softplus(u) − log 2)``, detached: what AntiSD, times λ, *subtracts* from a token's advantage.

    Tokens that only the context explains lose without bound; others gain ``½·log 2`` at most.

    >>> [round(value, 4) for value in antisd_phi(torch.tensor([-5.0, 0.0, 5.0])).tolist()]
    [-0.3432, 0.0, 2.1568]
    """
    return (torch.nn.functional.softplus(_real(u)) - log(2)) / 2


def trial_weights(scores: Tensor, counts: Tensor) -> Tensor:
    """TRIAL's weight of each turn of a rollout: its score over the mean of the rollout, where tokens count; (…, turns).

    ``scores`` is the mean ``|Δ|`` of a turn and ``counts`` its number of tokens; ``Σ count·weight = Σ count``. A turn
    without tokens is padding. Padding, and turns of a rollout whose scores are all 0, have weight 1.

    >>> found = trial_weights(torch.tensor([0.1, 0.2, 0.3]), torch.tensor([10, 20, 10]))
    >>> [round(weight, 4) for weight in found.tolist()]
    [0.5, 1.0, 1.5]
    """
    _check_shapes("scores and counts", scores, counts)
    present, tokens = counts > 0, _real(counts)
    score = _real(scores).masked_fill(~present, 0.0)
    mean = (tokens * score).sum(-1, keepdim=True) / tokens.sum(-1, keepdim=True).clamp(min=1)
    return torch.where(present & (mean > 0), score / mean.masked_fill(mean <= 0, 1.0), 1.0)


def factor_weights(
    advantage_sign: Tensor | float,
    gaps: Tensor,
    eta: float,
    tau: float = 1.0,
    clip: float = 3.0,
    *,
    mask: Tensor | None = None,
) -> Tensor:
    """FACTOR's weights of the tokens of one action, of mean one: ``(1 − η) + η·L·softmax(sgn(A)·clip(Δ)/τ)``.

    ``gaps`` is (…, L), one action a row; ``advantage_sign`` one number or (…,), of which only the sign counts. Where
    actions differ in length, ``mask`` says which tokens are theirs, and the others have weight 1.

    >>> [round(weight, 4) for weight in factor_weights(-1, torch.tensor([0.0, 2.0, -2.0]), eta=0.42).tolist()]
    [0.7278, 0.6, 1.6722]
    """
    _check_unit("eta", eta)
    if not (tau > 0 and clip > 0 and isfinite(tau)):
        raise UsageError(f"Expected tau and clip above 0, got tau={tau}, clip={clip}; try tau=1.0, clip=3.0.")
    delta = _real(gaps)
    sign = torch.as_tensor(advantage_sign, device=delta.device).detach().sign()
    if sign.dim() and sign.shape != delta.shape[:-1]:
        raise UsageError(
            f"Expected one advantage an action, got shape {tuple(sign.shape)} for gaps of shape {tuple(delta.shape)}; "
            "try (B,) and (B, L)."
        )
    mask = torch.ones_like(delta, dtype=torch.bool) if mask is None else mask
    _check_mask(mask, delta)
    scores = (sign[..., None] * delta.clamp(-clip, clip) / tau).masked_fill(~mask, -torch.inf)
    share = scores.softmax(-1)  # not a number where an action has no token at all, and then outside the mask
    return torch.where(mask, (1 - eta) + eta * mask.sum(-1, keepdim=True) * share, 1.0)


def _kl(p: Tensor, q: Tensor) -> Tensor:
    return (p.exp() * (p - q)).sum(-1)


def _with_tail(best: Tensor) -> Tensor:
    """Log-probabilities of some tokens, and behind them that of all others together."""
    # log(1 − Σp). Rounding may bring Σp to 1 or over it: a tail of the dtype's grain is then as good as none.
    covered = best.logsumexp(-1, keepdim=True).clamp(max=-torch.finfo(best.dtype).eps)
    return torch.cat([best, (-torch.expm1(covered)).log()], dim=-1)


def _wide(values: Tensor) -> torch.dtype:
    return torch.promote_types(values.dtype, torch.float32)


def _real(values: Tensor) -> Tensor:
    return values.detach().to(_wide(values))


def _check_rows(advantages: Tensor, gaps: Tensor, mask: Tensor, clip: float) -> None:
    if gaps.dim() != 2 or advantages.shape != gaps.shape[:1]:
        raise UsageError(
            f"Expected advantages (B,) and gaps (B, T), got {tuple(advantages.shape)} and {tuple(gaps.shape)}; "
            "try one advantage a row."
        )
    _check_mask(mask, gaps)
    # From 1 on a weight could be 0 or turn a sign.
    if not 0 <= clip < 1:
        raise UsageError(f"Expected clip of 0 or more and below 1, got {clip}; try 0.2.")


def _check_mask(mask: Tensor, like: Tensor) -> None:
    if mask.shape != like.shape:
        raise UsageError(
            f"Expected a mask of shape {tuple(like.shape)}, got a mask of shape {tuple(mask.shape)}; "
            "try one value a token."
        )
    if mask.dtype != torch.bool:
        raise UsageError(f"Expected a boolean mask, got {mask.dtype}; try mask.bool().")


def _check_shapes(names: str, one: Tensor, other: Tensor) -> None:
    if one.shape != other.shape:
        raise UsageError(
            f"Expected {names} of one shape, got {tuple(one.shape)} and {tuple(other.shape)}; "
            "try the same tokens for both."
        )


def _check_unit(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise UsageError(f"Expected {name} from 0 to 1, got {name}={value}; try 0.5.")
