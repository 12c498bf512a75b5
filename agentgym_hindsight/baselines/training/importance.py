"""Truncated importance sampling: a sampler such as vLLM is not quite the model that is trained."""

from __future__ import annotations

from torch import Tensor

__all__ = ["importance_ratio"]


def importance_ratio(
    trained: Tensor, sampled: Tensor, mask: Tensor, *, mode: str, low: float | None, high: float | None
) -> Tensor:
    """π_trained / π_sampled, of every token (B, T) or of whole responses (B, 1), kept within bounds.

    ``mode`` is one of TRL's four: ``token_truncate``, ``token_mask``, ``sequence_truncate``, ``sequence_mask``. To
    truncate is to clamp; to mask is to take out what lies outside. A sampler that gave no number counts as agreeing.

    >>> import torch
    >>> trained, sampled = torch.log(torch.tensor([[0.5, 0.8]])), torch.log(torch.tensor([[0.5, 0.1]]))
    >>> keep = torch.ones(1, 2)
    >>> importance_ratio(trained, sampled, keep, mode="token_truncate", low=None, high=2.0).round().tolist()
    [[1.0, 2.0]]
    >>> importance_ratio(trained, sampled, keep, mode="token_mask", low=None, high=2.0).round().tolist()
    [[1.0, 0.0]]
    """
    difference = ((trained - sampled) * mask).nan_to_num(nan=0.0)
    if mode.startswith("sequence"):
        difference = difference.sum(-1, keepdim=True)
    ratio = difference.exp()
    if mode.endswith("truncate"):
        return ratio.clamp(min=low, max=high) if low is not None or high is not None else ratio
    outside = ratio.isnan()
    if low is not None:
        outside |= ratio < low
    if high is not None:
        outside |= ratio > high
    return ratio.masked_fill(outside, 0.0)
