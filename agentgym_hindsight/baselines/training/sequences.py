"""The sequences of a forward pass, and the place of every row's response in them.

A row is a prompt and its response. A row whose tokens begin another row, such as an earlier turn of a conversation, has
the same numbers in the sequence of that row, because the model is causal: it is computed there and not once more. All
sequences are padded on the left, so the responses are near the right end, and a pass is as wide as its longest row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from agentgym_hindsight.baselines.padding import pad_left

__all__ = ["Sequences", "chains", "tokens_of"]

#: A prompt and its response.
Tokens = tuple[tuple[int, ...], tuple[int, ...]]
#: The logits of single positions are chosen only if this share of the last positions is enough.
_WORTH_CHOOSING = 0.9


def chains(rows: Sequence[tuple[int, ...]]) -> list[list[int]]:
    """The rows by number, grouped so that the tokens of all rows of a group begin its longest row.

    Groups are in the order of their first rows, and rows keep their order.

    >>> chains([(1, 2), (5,), (1, 2, 3, 4), (1, 2)])
    [[0, 2, 3], [1]]
    """
    order = sorted(range(len(rows)), key=rows.__getitem__)
    groups: list[list[int]] = []
    for place in range(len(order) - 1, -1, -1):
        # Sorted, the rows that a row begins follow it directly.
        row = rows[order[place]]
        if place + 1 < len(order) and rows[order[place + 1]][: len(row)] == row:
            groups[-1].append(order[place])
        else:
            groups.append([order[place]])
    return sorted(map(sorted, groups))


@dataclass(frozen=True, slots=True)
class Sequences:
    """S sequences of L tokens for B rows whose longest response has T tokens.

    * ``ids``, ``mask`` (S, L): the tokens, padded on the left. ``width``: the last tokens that have all responses.
    * ``index`` (B, 1), ``places`` (B, T): the sequence of each row, and the columns of its response tokens.
    * ``present`` (B, T) bool: whether there is a token; other columns repeat a place of the row.
    * ``keep``: the columns whose logits predict a response token, where these are clearly fewer than the last ones.
    * ``row_tokens``: the tokens of all rows, each row computed by itself, without padding.
    """

    ids: Tensor
    mask: Tensor
    width: int
    index: Tensor
    places: Tensor
    present: Tensor
    keep: Tensor | None = None
    row_tokens: int = 0

    @classmethod
    def of_rows(cls, rows: Sequence[Tokens], pad: int) -> Sequences:
        """The sequences of these prompts and responses."""
        whole = [(*prompt, *response) for prompt, response in rows]
        groups = chains(whole)
        longest = [max((whole[row] for row in group), key=len) for group in groups]
        ids, mask = pad_left(longest, pad)
        length = ids.size(1)
        index = torch.zeros((len(rows), 1), dtype=torch.long)
        first = [0] * len(rows)
        for number, group in enumerate(groups):
            for row in group:
                index[row] = number
                first[row] = length - len(longest[number]) + len(rows[row][0])
        sizes = torch.tensor([[len(response)] for _, response in rows])
        steps = torch.arange(int(sizes.max()))[None]
        present = steps < sizes
        places = torch.tensor(first)[:, None] + steps.where(present, 0)
        width = length - min(first)
        keep = torch.unique(places[present] - 1)
        return cls(
            ids,
            mask,
            width,
            index,
            places,
            present,
            keep if len(keep) < _WORTH_CHOOSING * width else None,
            sum(map(len, whole)),
        )

    @classmethod
    def of_tensors(cls, inputs: dict[str, Any]) -> Sequences:
        """One sequence a row, from padded prompts and responses."""
        ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1)
        mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], 1)
        present = inputs["completion_mask"].bool()
        width = present.size(1)
        index = torch.arange(len(ids), device=ids.device)[:, None]
        places = torch.arange(ids.size(1) - width, ids.size(1), device=ids.device)[None].expand(present.shape)
        return cls(ids, mask, width, index, places, present, None, int(mask.sum()))

    def to(self, device: Any) -> Sequences:
        """The same on a device."""
        return replace(
            self,
            ids=self.ids.to(device),
            mask=self.mask.to(device),
            index=self.index.to(device),
            places=self.places.to(device),
            present=self.present.to(device),
            keep=None if self.keep is None else self.keep.to(device),
        )

    @property
    def useful(self) -> int:
        """The number of tokens without padding."""
        return int(self.mask.sum())

    @property
    def computed(self) -> int:
        """The number of tokens with padding."""
        return self.mask.numel()

    @property
    def kept_ids(self) -> Tensor:
        """The tokens (S, K) that the kept logits predict."""
        return self.ids[:, -self.width :] if self.keep is None else self.ids[:, self.keep + 1]

    def of_kept(self, values: Tensor) -> Tensor:
        """The values (B, T, …) of the response tokens from those (S, K, …) of the kept positions."""
        if self.keep is None:
            return self.of_last(values)
        return self._rows(values, torch.searchsorted(self.keep, (self.places - 1).contiguous()))

    def of_last(self, values: Tensor) -> Tensor:
        """The values (B, T, …) of the response tokens from those (S, width, …) of the last tokens."""
        return self._rows(values, self.places - (self.ids.size(1) - self.width))

    def before(self, values: Tensor) -> Tensor:
        """The values (B, T, …) of the positions that predict the response tokens, from those (S, L, …) of all."""
        return self._rows(values, self.places - 1)

    def after(self, values: Tensor) -> Tensor:
        """The values (B, …) of each row's last token, from those (S, L, …) of all positions."""
        last = self.places.gather(1, (self.present.sum(-1, keepdim=True) - 1).clamp(min=0))
        return self._rows(values, last)[:, 0]

    def _rows(self, values: Tensor, columns: Tensor) -> Tensor:
        flat = (self.index * values.size(1) + columns).flatten()
        joined = values.flatten(0, 1)
        # On a CPU only index_select adds the gradients of equal rows in a fixed order.
        picked = joined.index_select(0, flat) if values.device.type == "cpu" else joined[flat]
        return picked.view(*columns.shape, *picked.shape[1:])


def tokens_of(rows: Sequence[Any], teacher: bool = False) -> list[Tokens]:
    """The prompts of rows (with ``teacher``, the teacher's where there is one) and their responses."""
    return [((teacher and row.teacher_ids) or row.prompt_ids, row.response_ids) for row in rows]
