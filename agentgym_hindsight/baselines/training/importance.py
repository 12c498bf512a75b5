"""Truncated importance sampling, for samplers such as vLLM whose probabilities differ a little from the model's."""

from __future__ import annotations

from torch import Tensor

__all__ = ["importance_ratio"]


def importance_ratio(
    trained: Tensor, sampled: Tensor, mask: Tensor, *, mode: str, low: float | None, high: float | None
) -> Tensor:
    """π_trained / π_sampled of every token (B, T) or of whole responses (B, 1), within the bounds ``low`` and ``high``.

    ``mode`` is one of TRL's four: ``token_truncate``, ``token_mask``, ``sequence_truncate``, ``sequence_mask``.
    Truncating clamps a ratio to the bounds; masking sets a ratio outside of them to 0. Where the sampler gave no
    log-probability (NaN), the ratio is 1.

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
