"""The input of a method's token-level hooks: a micro-batch of turns, and the scores of student and teacher."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from agentgym_hindsight.baselines.requirements import require_torch

require_torch("computing token weights")

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from agentgym_hindsight.errors import UsageError  # noqa: E402

__all__ = ["Batch", "Scores"]


class Scores:
    """The scores of one model for the response tokens of a micro-batch.

    ``logps`` (B, T) are the log-probabilities of the sampled tokens. ``logits`` (B, T, V) are computed when they are
    first read, from the same forward pass if the trainer kept it (:attr:`Method.uses_logits`). ``hidden`` (B, T, H) are
    the last hidden states, those from which the logits are computed, of the same pass (:attr:`Method.uses_hidden`).
    """

    def __init__(self, logps: Tensor, logits: Callable[[], Tensor], hidden: Callable[[], Tensor] | None = None) -> None:
        self.logps = logps
        self._make_logits, self._make_hidden = logits, hidden
        self._logits: Tensor | None = None
        self._hidden: Tensor | None = None

    @property
    def logits(self) -> Tensor:
        """Scaled logits (B, T, V) over the whole vocabulary."""
        if self._logits is None:
            self._logits = self._make_logits()
        return self._logits

    @property
    def hidden(self) -> Tensor:
        """Last hidden states (B, T, H) at the positions that predict the response tokens."""
        if self._make_hidden is None:
            raise UsageError("Expected a method that keeps hidden states, got one without; try uses_hidden = True.")
        if self._hidden is None:
            self._hidden = self._make_hidden()
        return self._hidden

    def detached(self) -> Scores:
        """The same scores without gradient."""
        keeps = self._make_hidden is not None
        return Scores(
            self.logps.detach(),
            lambda: self.logits.detach(),
            (lambda: self.hidden.detach()) if keeps else None,
        )


@dataclass(slots=True)
class Batch:
    """A micro-batch of B turns with T response tokens each, padding included.

    * ``advantages``: the credit, (B,), or (B, T) if it differs between tokens.
    * ``tokens``: response tokens, (B, T) bool. ``marked``: those that the method's ``tokens`` names. ``chosen``: marked
      tokens of rows that the teacher scored.
    * ``signals`` (B, T), ``row_signals`` (B,): the results of the hooks ``update_signals`` and ``row_signals``.
    * ``lam``: λ of this update; ``update``: its number.
    * ``memory``: values that a method keeps between updates. They are stored with the checkpoints, so only numbers and
      texts belong there.
    * ``all_tokens``, ``all_chosen``, ``all_marked``, ``all_turns``, ``all_marked_turns`` (turns with a marked token):
      counts over all micro-batches and processes of the optimizer step.
    * ``processes``: over which the gradient is averaged.
    """

    advantages: Tensor
    tokens: Tensor
    chosen: Tensor
    marked: Tensor | None = None
    signals: Tensor | None = None
    row_signals: Tensor | None = None
    lam: float = 0.0
    update: int = 0
    memory: MutableMapping[str, Any] = field(default_factory=dict)
    all_tokens: float = 1.0
    all_chosen: float = 1.0
    all_marked: float = 1.0
    all_turns: float = 1.0
    all_marked_turns: float = 1.0
    processes: int = 1

    def token_mean(self, values: Tensor) -> Tensor:
        """This batch's part of the mean of ``values`` (B, T) over all response tokens of the step."""
        return (values * self.tokens).sum() * self.processes / max(1.0, self.all_tokens)

    def chosen_mean(self, values: Tensor) -> Tensor:
        """This batch's part of the mean of ``values`` (B, T) over all chosen tokens of the step."""
        return (values * self.chosen).sum() * self.processes / max(1.0, self.all_chosen)

    def per_token_of(self, advantages: Tensor) -> Tensor:
        """Advantages (B,) or (B, T) as (B, T)."""
        rows = advantages if advantages.dim() == 2 else advantages[:, None]
        return rows.expand(self.tokens.shape)

    def marked_means(self) -> Tensor:
        """Factors (B, T): times them, the mean over all tokens is the mean over marked turns of marked-token means.

        Other tokens have the factor with which the mean over all tokens is the mean over the tokens that are not
        marked. The loss is then the sum of both means.
        """
        marked = self.tokens if self.marked is None else self.marked
        lengths = marked.sum(-1, keepdim=True).clamp(min=1)
        inside = self.all_tokens / (max(1.0, self.all_marked_turns) * lengths)
        outside = self.all_tokens / max(1.0, self.all_tokens - self.all_marked)
        return torch.where(marked, inside, torch.as_tensor(outside, dtype=inside.dtype, device=inside.device))

    def turn_means(self) -> Tensor:
        """Factors (B, 1): times them, the mean over all tokens of the step is the mean over turns of token means."""
        lengths = self.tokens.sum(-1, keepdim=True).clamp(min=1)
        return torch.as_tensor(max(1.0, self.all_tokens) / max(1.0, self.all_turns)) / lengths
