"""Log-probabilities of responses under a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor

from agentgym_hindsight.baselines.padding import pack
from agentgym_hindsight.baselines.training.collating import no_rows
from agentgym_hindsight.baselines.training.collectives import Processes
from agentgym_hindsight.baselines.training.sequences import Sequences, chains, tokens_of
from agentgym_hindsight.baselines.training.training_row import TrainingRow

__all__ = ["Scorer", "of_logits", "pack_rows", "score_rows", "without_dropout"]


class Scorer:
    """Forward passes that compute logits at the responses' positions only.

    ``temperature`` divides the logits, as in sampling. ``autocast`` makes the context in which the model runs.
    """

    def __init__(self, temperature: float, autocast: Callable[[], AbstractContextManager[Any]]) -> None:
        self.temperature, self.autocast = temperature, autocast

    def logits(self, model: Any, sequences: Sequences) -> Tensor:
        """Scaled logits (B, T, V) in float32 of the response tokens."""
        return sequences.of_kept(self._kept(model, sequences.ids, sequences.mask, sequences.width, sequences.keep))

    def logps_and_entropies(
        self, model: Any, ids: Tensor, mask: Tensor, width: int, entropy: bool, keep: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Log-probabilities and entropies (S, width) of the last ``width`` tokens; 0 where the mask is 0.

        ``keep`` chooses other columns: the tokens after these are scored.
        """
        targets, present = (each[:, -width:] if keep is None else each[:, keep + 1] for each in (ids, mask))
        return of_logits(self._kept(model, ids, mask, width, keep), targets, present, entropy)

    def _kept(self, model: Any, ids: Tensor, mask: Tensor, width: int, keep: Tensor | None) -> Tensor:
        with self.autocast():
            kept = width + 1 if keep is None else keep
            logits = model(input_ids=ids, attention_mask=mask, logits_to_keep=kept).logits
        scaled: Tensor = (logits[:, :-1] if keep is None else logits).float() / self.temperature
        return scaled


def of_logits(logits: Tensor, targets: Tensor, mask: Tensor, entropy: bool) -> tuple[Tensor, Tensor | None]:
    """Log-probabilities and entropies (B, T) of ``targets`` from scaled logits (B, T, V); 0 where the mask is 0."""
    scores = torch.log_softmax(logits, -1)
    chosen = scores.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    entropies = -(scores.exp() * scores).sum(-1) if entropy else None
    keep = mask.bool()
    return chosen.where(keep, 0.0), None if entropies is None else entropies.where(keep, 0.0)


def pack_rows(rows: Sequence[TrainingRow], budget: int, *, teacher: bool = False) -> list[list[TrainingRow]]:
    """Micro-batches of at most ``budget`` tokens; with ``teacher``, the teacher's prompts count.

    Rows that begin one another are computed as one sequence, so they are in the same micro-batch.
    """
    tokens = [(*prompt, *response) for prompt, response in tokens_of(rows, teacher)]
    packed = pack(chains(tokens), budget, lambda chain: max(len(tokens[number]) for number in chain))
    return [[rows[number] for chain in batch for number in chain] for batch in packed]


def score_rows(
    rows: Sequence[TrainingRow],
    score: Callable[[Sequences], Tensor],
    processes: Processes,
    *,
    budget: int,
    pad: int,
    teacher: bool = False,
) -> Iterator[tuple[TrainingRow, Tensor]]:
    """Every row with the log-probabilities (T) of its response, given its prompt or the teacher's prompt.

    ``score`` maps the sequences of a micro-batch to log-probabilities (B, T).
    """
    for batch in processes.align(pack_rows(rows, budget, teacher=teacher)):
        logps = score(
            Sequences.of_rows(tokens_of(batch, teacher), pad) if batch else Sequences.of_tensors(no_rows(pad))
        )
        for row, line in zip(batch, logps.float().cpu(), strict=False):
            yield row, line[: len(row.response_ids)]


@contextmanager
def without_dropout(model: Any) -> Iterator[None]:
    """Disable dropout, so that the two passes of a comparison use the same network."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
