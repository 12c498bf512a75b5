"""Checks and casts of the credit functions and the token signals."""

from __future__ import annotations

from agentgym_hindsight.baselines.requirements import require_torch

require_torch("computing token weights")

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from agentgym_hindsight.errors import UsageError  # noqa: E402

__all__ = ["check_mask", "check_rows", "check_shapes", "detached", "float_type"]


def float_type(values: Tensor) -> torch.dtype:
    """The type to compute in: float32 for 16-bit inputs, otherwise the type of the input."""
    return torch.promote_types(values.dtype, torch.float32)


def detached(values: Tensor) -> Tensor:
    """The values without their gradient, in :func:`float_type`."""
    return values.detach().to(float_type(values))


def check_rows(advantages: Tensor, gaps: Tensor, mask: Tensor, clip: float) -> None:
    """Raise if the shapes are not (B,) or (B, T), (B, T), (B, T), or if the clip is outside of [0, 1)."""
    if gaps.dim() != 2 or advantages.shape not in (gaps.shape[:1], gaps.shape):
        raise UsageError(
            f"Expected advantages (B,) and gaps (B, T), got {tuple(advantages.shape)} and {tuple(gaps.shape)}; "
            "try one advantage per row."
        )
    check_mask(mask, gaps)
    # With clip ≥ 1 a weight could be 0 or negative.
    if not 0 <= clip < 1:
        raise UsageError(f"Expected clip of 0 or more and below 1, got {clip}; try 0.2.")


def check_mask(mask: Tensor, like: Tensor) -> None:
    """Raise if the mask has another shape or is not boolean."""
    if mask.shape != like.shape:
        raise UsageError(
            f"Expected a mask of shape {tuple(like.shape)}, got a mask of shape {tuple(mask.shape)}; "
            "try one value per token."
        )
    if mask.dtype != torch.bool:
        raise UsageError(f"Expected a boolean mask, got {mask.dtype}; try mask.bool().")


def check_shapes(names: str, first: Tensor, second: Tensor) -> None:
    """Raise if the shapes differ."""
    if first.shape != second.shape:
        raise UsageError(
            f"Expected {names} of one shape, got {tuple(first.shape)} and {tuple(second.shape)}; "
            "try the same tokens for both."
        )
