"""Log-probabilities of responses under a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor

from agentgym_hindsight.baselines.padding import pack
from agentgym_hindsight.baselines.training.collating import Inputs, no_rows, text_tensors
from agentgym_hindsight.baselines.training.collectives import Processes
from agentgym_hindsight.baselines.training.training_row import TrainingRow

__all__ = ["Scorer", "join", "pack_rows", "score_rows", "without_dropout"]


class Scorer:
    """Forward passes that compute logits at the response's positions only.

    ``temperature`` divides the logits, as in sampling. ``autocast`` makes the context in which the model runs.
    """

    def __init__(self, temperature: float, autocast: Callable[[], AbstractContextManager[Any]]) -> None:
        self.temperature, self._autocast = temperature, autocast

    def logits(self, model: Any, ids: Tensor, mask: Tensor, width: int) -> Tensor:
        """Scaled logits (B, width, V) in float32 for the last ``width`` tokens."""
        with self._autocast():
            logits = model(input_ids=ids, attention_mask=mask, logits_to_keep=width + 1).logits
        scaled: Tensor = logits[:, :-1].float() / self.temperature
        return scaled

    def logps_and_entropies(
        self, model: Any, ids: Tensor, mask: Tensor, width: int, entropy: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Log-probabilities and entropies (B, width) of the last ``width`` tokens; 0 where the mask is 0."""
        return self.of_logits(self.logits(model, ids, mask, width), ids, mask, width, entropy)

    @staticmethod
    def of_logits(logits: Tensor, ids: Tensor, mask: Tensor, width: int, entropy: bool) -> tuple[Tensor, Tensor | None]:
        """The same from scaled logits (B, width, V)."""
        scores = torch.log_softmax(logits, -1)
        chosen = scores.gather(-1, ids[:, -width:].unsqueeze(-1)).squeeze(-1)
        entropies = -(scores.exp() * scores).sum(-1) if entropy else None
        keep = mask[:, -width:].bool()
        return chosen.where(keep, 0.0), None if entropies is None else entropies.where(keep, 0.0)


def join(inputs: Inputs) -> tuple[Tensor, Tensor, int]:
    """Token ids and mask (B, T) of prompt and response together, and the width of the response."""
    ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1)
    mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], 1)
    return ids, mask, inputs["completion_ids"].size(1)


def pack_rows(rows: Sequence[TrainingRow], budget: int, *, teacher: bool = False) -> list[list[TrainingRow]]:
    """Micro-batches of at most ``budget`` tokens; with ``teacher``, the teacher's prompts count."""
    return pack(rows, budget, lambda row: (len(row.teacher_ids if teacher else row.prompt_ids), len(row.response_ids)))


def score_rows(
    rows: Sequence[TrainingRow],
    score: Callable[[Tensor, Tensor, int], Tensor],
    processes: Processes,
    *,
    budget: int,
    pad: int,
    teacher: bool = False,
) -> Iterator[tuple[TrainingRow, Tensor]]:
    """Every row with the log-probabilities (T) of its response, given its prompt or the teacher's prompt.

    ``score`` maps ids (B, T), mask (B, T) and the response's width to log-probabilities (B, width). Rows with equal
    tokens are scored once: siblings often give the same response in the same state.
    """
    equal: dict[tuple[tuple[int, ...], tuple[int, ...]], list[TrainingRow]] = {}
    for row in rows:
        equal.setdefault((row.teacher_ids if teacher else row.prompt_ids, row.response_ids), []).append(row)
    different = [copies[0] for copies in equal.values()]
    for batch in processes.align(pack_rows(different, budget, teacher=teacher)):
        inputs = processes.to_device(text_tensors(batch, pad, teacher=teacher) if batch else no_rows(pad))
        logps = score(*join(inputs))
        for row, line in zip(batch, logps.float().cpu(), strict=False):
            for copy in equal[row.teacher_ids if teacher else row.prompt_ids, row.response_ids]:
                yield copy, line[: len(row.response_ids)]


@contextmanager
def without_dropout(model: Any) -> Iterator[None]:
    """Disable dropout, so that the two passes of a comparison use the same network."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
