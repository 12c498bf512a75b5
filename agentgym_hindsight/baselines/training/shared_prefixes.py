"""Scores of rows whose prompts share the earlier turns of a conversation.

The teacher's context stands in the last message of each turn, so the teacher's prompts do not extend one another: they
share the earlier turns and then differ. Computed one by one, a conversation would cost the square of its length. Here
the teacher reads a conversation once and keeps its keys and values; each turn then reads only its own message with the
context, and its response.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from agentgym_hindsight.baselines.padding import pack, pad_left
from agentgym_hindsight.baselines.policies.generation import cache_name
from agentgym_hindsight.baselines.policies.kept_cache import Kept, joined
from agentgym_hindsight.baselines.training.collectives import Processes
from agentgym_hindsight.baselines.training.running_figures import TokenCounts
from agentgym_hindsight.baselines.training.scoring import Scorer, of_logits
from agentgym_hindsight.baselines.training.sequences import chains
from agentgym_hindsight.baselines.training.training_row import TrainingRow

__all__ = ["PrefixScorer"]

#: A pass reads only the new tokens of its rows, so their prompts may have several times as many tokens as a pass that
#: reads all.
_MORE = 4
#: The most response tokens of a pass: their logits over a vocabulary of 152,000 take 1.2 GB.
_RESPONSE_TOKENS = 2048


class _Conversation(NamedTuple):
    """The earlier turns of the last row, and the rows whose earlier turns these begin with."""

    past: tuple[int, ...]
    rows: list[TrainingRow]


@dataclass
class PrefixScorer:
    """Scores the teacher's prompts of conversations, with the numbers of separate rows.

    ``counts`` gets the tokens of the passes; ``budget`` bounds the tokens of a pass.
    """

    model: Any
    scorer: Scorer
    processes: Processes
    counts: TokenCounts
    device: Any
    budget: int
    pad: int

    def score(self, rows: Sequence[TrainingRow], *, entropy: bool = False) -> Iterator[tuple[TrainingRow, Tensor]]:
        """Every row with the log-probabilities (T) of its response; with ``entropy``, these and the entropies (T, 2).

        All rows have earlier turns.
        """
        from transformers import DynamicCache

        kept: dict[int, Kept] = {}  # of the conversations of the last pass over earlier turns

        def read(batch: list[_Conversation]) -> list[tuple[TrainingRow, Tensor]]:
            kept.clear()
            ids, mask = pad_left([each.past for each in batch], self.pad)
            self.counts.count(int(mask.sum()), mask.numel(), 0)
            cache = DynamicCache()
            self._forward(ids, mask, None, cache, 1)
            for place, each in enumerate(batch):
                start = ids.size(1) - len(each.past)
                layers = tuple((layer.keys[place, :, start:], layer.values[place, :, start:]) for layer in cache.layers)
                kept.update({id(row): _first(Kept(each.past, layers), row.past_tokens) for row in each.rows})
            return []

        def score(batch: list[TrainingRow]) -> list[tuple[TrainingRow, Tensor]]:
            values = self._score(batch, [kept[id(row)] for row in batch], entropy)
            return [(row, line[: len(row.response_ids)]) for row, line in zip(batch, values, strict=True)]

        steps: list[list[Callable[[], list[tuple[TrainingRow, Tensor]]]]] = []
        for conversations in pack(self._conversations(rows), self.budget, lambda each: len(each.past)):
            steps.append([partial(read, conversations)])
            members = [row for each in conversations for row in each.rows]
            steps += [[partial(score, batch)] for batch in self._packed(members)]
        for step in self.processes.align(steps):
            if step:
                yield from step[0]()
            else:  # the passes of all processes are collective calls
                one = torch.full((1, 1), self.pad, dtype=torch.long)
                self._forward(one, torch.ones_like(one), None, DynamicCache(), 1)

    # -- private ------------------------------------------------------------------------------------------------------

    def _conversations(self, rows: Sequence[TrainingRow]) -> list[_Conversation]:
        pasts = [row.teacher_ids[: row.past_tokens] for row in rows]
        return [
            _Conversation(max((pasts[number] for number in chain), key=len), [rows[number] for number in chain])
            for chain in chains(pasts)
        ]

    def _packed(self, rows: Sequence[TrainingRow]) -> list[list[TrainingRow]]:
        batches = pack(rows, _MORE * self.budget, lambda row: len(row.teacher_ids) + len(row.response_ids))
        found = []
        for batch in batches:
            size = max(1, _RESPONSE_TOKENS // max(len(row.response_ids) for row in batch))
            found += [batch[start : start + size] for start in range(0, len(batch), size)]
        return found

    def _score(self, batch: Sequence[TrainingRow], kept: Sequence[Kept], entropy: bool) -> Tensor:
        from transformers import DynamicCache

        new = [(*row.teacher_ids[row.past_tokens :], *row.response_ids) for row in batch]
        ids, mask = pad_left(new, self.pad)
        useful = int(mask.sum())
        whole = sum(len(row.teacher_ids) + len(row.response_ids) for row in batch)
        self.counts.count(useful, mask.numel(), whole - useful)
        sizes = torch.tensor([len(row.response_ids) for row in batch])
        width = int(sizes.max())
        cache = DynamicCache()
        past_mask = joined(kept, cache)
        logits = self._forward(ids, mask, past_mask, cache, width + 1)[:, :-1].float() / self.scorer.temperature
        present = (torch.arange(width)[None] >= width - sizes[:, None]).to(self.device)
        scored = of_logits(logits, ids[:, -width:].to(self.device), present, entropy)
        # Responses end in the last column; the rows of the result begin with them.
        columns = (torch.arange(width)[None] + width - sizes[:, None]).clamp(max=width - 1).to(self.device)
        aligned = [each.gather(1, columns).float().cpu() for each in scored if each is not None]
        return torch.stack(aligned, -1) if entropy else aligned[0]

    def _forward(self, ids: Tensor, mask: Tensor, past_mask: Tensor | None, cache: Any, keep: int) -> Tensor:
        ids, mask = ids.to(self.device), mask.to(self.device)
        whole = mask if past_mask is None else torch.cat([past_mask, mask], dim=1)
        positions = (whole.cumsum(-1) - 1).clamp(min=0)[:, -ids.size(1) :]
        with self.scorer.autocast():
            logits: Tensor = self.model(
                input_ids=ids,
                attention_mask=whole,
                position_ids=positions,
                use_cache=True,
                logits_to_keep=keep,
                **{cache_name(self.model): cache},
            ).logits
        return logits


def _first(kept: Kept, count: int) -> Kept:
    """The cache of the first tokens."""
    return Kept(kept.ids[:count], tuple((keys[:, :count], values[:, :count]) for keys, values in kept.layers))
