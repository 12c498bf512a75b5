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

#: A batch of less than this part of the budget takes more items whatever their padding: many small passes are slow.
_SMALL_BATCH = 8
#: The least share of a batch that is not padding, if another batch avoids it.
_LEAST_USEFUL = 0.9


def pack(items: Sequence[T], budget: int, size: Callable[[T], int]) -> list[list[T]]:
    """Batches of items of similar length, each of at most ``budget`` tokens, padding included.

    An item longer than the budget is a batch by itself. A batch is as wide as its longest item. A batch with an eighth
    of the budget is closed before an item whose padding would make up a tenth of the batch. The batches depend on the
    items only.

    >>> pack([5, 1, 4, 1], budget=8, size=lambda n: n)
    [[1, 1], [4], [5]]
    """
    order = sorted(range(len(items)), key=lambda i: (size(items[i]), i))
    batches: list[list[T]] = []
    tokens = 0  # of the last batch, without padding
    for i in order:
        length = size(items[i])
        padded = length * (len(batches[-1]) + 1) if batches else 0
        is_full = padded > budget or (tokens >= budget / _SMALL_BATCH and tokens + length < _LEAST_USEFUL * padded)
        if batches and not is_full:
            batches[-1].append(items[i])
            tokens += length
        else:
            batches.append([items[i]])
            tokens = length
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
