"""Micro-batches of token rows: grouping by length under a token budget, and padding. No row is dropped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from agentgym_hindsight.baselines.requirements import require_torch

require_torch("padding token rows")

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

__all__ = ["pack", "pad_left", "pad_right"]

T = TypeVar("T")


def pack(items: Sequence[T], budget: int, size: Callable[[T], tuple[int, int]]) -> list[list[T]]:
    """Batches of items of similar length, each of at most ``budget`` tokens, padding included.

    An item longer than the budget is a batch by itself. ``size`` gives an item's prompt length and response length.
    Prompts are padded on the left and responses on the right, so a batch is as wide as its longest prompt plus its
    longest response. The batches depend on the items only.

    >>> pack([5, 1, 4, 1], budget=8, size=lambda n: (n, 0))
    [[1, 1], [4], [5]]
    """
    order = sorted(range(len(items)), key=lambda i: (sum(size(items[i])), i))
    batches: list[list[T]] = []
    left = right = 0
    for i in order:
        lengths = size(items[i])
        width = max(left, lengths[0]) + max(right, lengths[1])
        if batches and width * (len(batches[-1]) + 1) <= budget:
            batches[-1].append(items[i])
            left, right = max(left, lengths[0]), max(right, lengths[1])
        else:
            batches.append([items[i]])
            left, right = lengths
    return batches


def pad_left(rows: Sequence[Sequence[int]], value: int) -> tuple[Tensor, Tensor]:
    """Token ids (B, T) and their mask, padded on the left, so that all prompts end in the same column."""
    width = max(map(len, rows))
    ids = torch.full((len(rows), width), value, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for index, row in enumerate(rows):
        ids[index, width - len(row) :] = torch.tensor(row, dtype=torch.long)
        mask[index, width - len(row) :] = 1
    return ids, mask


def pad_right(rows: Sequence[Any], value: float, dtype: torch.dtype) -> Tensor:
    """Values (B, T) of rows of different lengths, padded on the right."""
    width = max(map(len, rows))
    padded = torch.full((len(rows), width), value, dtype=dtype)
    for index, row in enumerate(rows):
        padded[index, : len(row)] = torch.as_tensor(row, dtype=dtype)
    return padded
