"""KV caches that are kept between the turns of conversations.

The prompt of a turn begins with the tokens of the turn before, so the model has already computed their keys and values.
They are kept for each rollout, up to a number of bytes, and used only if the next prompt begins with exactly these
tokens and no weight has changed. Replies are those without kept caches, up to rounding.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from agentgym_hindsight.baselines.requirements import require_torch

require_torch("keeping a KV cache")

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

__all__ = ["Kept", "KeptCaches", "joined", "part"]

Layers = tuple[tuple[Tensor, Tensor], ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """The tokens that a model has read, and their keys and values (heads, tokens, width) in every layer."""

    ids: tuple[int, ...]
    layers: Layers

    @property
    def bytes(self) -> int:
        return sum(tensor.nbytes for layer in self.layers for tensor in layer)


class KeptCaches:
    """The caches of the rollouts in play, by task and sibling.

    ``limit``: the most bytes. When they are used up, caches of rollouts that are no longer in play are dropped, and
    then no more are kept: to drop one that is needed in the next turn for one that is needed in the next turn gains
    nothing.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        #: Number of prompt tokens that were not computed again.
        self.saved = 0
        #: The bytes in use.
        self.bytes = 0
        self._kept: dict[Hashable, Kept] = {}
        self._in_play: frozenset[Hashable] = frozenset()
        self._weights: Any = None

    def begin(self, model: Any, keys: Iterable[Hashable]) -> None:
        """Begin a turn of these rollouts. All caches are dropped if a weight has changed since the last turn.

        A change through ``.data`` is not noticed: call :meth:`clear`.
        """
        # An in-place change of a parameter, such as an optimizer's step, counts up its version.
        weights = tuple((id(parameter), parameter._version) for parameter in model.parameters())
        if weights != self._weights:
            self.clear()
            self._weights = weights
        self._in_play = frozenset(keys)

    def take(self, key: Hashable, prompt: Sequence[int]) -> Kept | None:
        """The cache of a rollout whose prompt begins with its tokens. It is no longer kept."""
        kept = self._drop(key)
        if kept is None or len(kept.ids) >= len(prompt) or tuple(prompt[: len(kept.ids)]) != kept.ids:
            return None
        self.saved += len(kept.ids)
        return kept

    def put(self, key: Hashable, kept: Kept) -> None:
        """Keep the cache of a rollout if there is room."""
        self._drop(key)
        size = kept.bytes
        if self.bytes + size > self.limit:
            for other in [each for each in self._kept if each not in self._in_play]:
                self._drop(other)
        if self.bytes + size <= self.limit:
            self._kept[key] = kept
            self.bytes += size

    def clear(self) -> None:
        """Drop all caches."""
        self._kept.clear()
        self.bytes = 0

    def _drop(self, key: Hashable) -> Kept | None:
        kept = self._kept.pop(key, None)
        self.bytes -= 0 if kept is None else kept.bytes
        return kept


def joined(kept: Sequence[Kept | None], cache: Any) -> Tensor | None:
    """Fill an empty cache with those of a batch, padded on the left; returns the mask (B, tokens), or None."""
    lengths = [0 if each is None else len(each.ids) for each in kept]
    width = max(lengths)
    if not width:
        return None
    layers = next(each.layers for each in kept if each is not None)
    for number, pair in enumerate(layers):
        sides = []
        for side, example in enumerate(pair):
            whole = example.new_zeros((len(kept), example.size(0), width, example.size(-1)))
            for row, each in enumerate(kept):
                if each is not None:
                    whole[row, :, width - lengths[row] :] = each.layers[number][side]
            sides.append(whole)
        cache.update(*sides, number)
    places = torch.arange(width, device=layers[0][0].device)[None]
    return (places >= width - torch.tensor(lengths, device=places.device)[:, None]).long()


def part(cache: Any, row: int, mask: Tensor) -> Layers:
    """The keys and values of one row of a batch, without padding."""
    places = mask.nonzero().squeeze(-1)
    return tuple(
        (layer.keys[row].index_select(1, places), layer.values[row].index_select(1, places)) for layer in cache.layers
    )
