"""Figures that are collected over the passes and the optimizer steps of an update."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from agentgym_hindsight.baselines.training.sequences import Sequences

__all__ = ["Means", "TokenCounts", "TokenMean"]


class Means:
    """The mean of each named figure over the optimizer steps of an update."""

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = {}

    def add(self, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self._values.setdefault(name, []).append(value)

    def result(self) -> dict[str, float]:
        """The means; the next update starts without figures."""
        means = {name: sum(values) / len(values) for name, values in self._values.items()}
        self._values = {}
        return means


class TokenMean:
    """The mean of a value over the response tokens of an update. Independent of how rows are packed and distributed."""

    def __init__(self) -> None:
        self._sums = torch.zeros(2, dtype=torch.float64)  # of the values, of the tokens

    def add(self, values: torch.Tensor, mask: torch.Tensor) -> None:
        """Add the values (B, T) of a micro-batch."""
        self._sums += torch.stack([(values * mask).sum(), mask.sum()]).double().cpu()

    def result(self, gather: Callable[[list[Any]], list[Any]]) -> float:
        """The mean over all processes. Resets the sums to zero."""
        values, tokens = torch.tensor(gather([self._sums.tolist()]), dtype=torch.float64).sum(0)
        self._sums.zero_()
        return float(values / tokens.clamp(min=1))


class TokenCounts:
    """The tokens of the forward passes of an update, student's and teacher's."""

    def __init__(self) -> None:
        self._counts = [0, 0, 0]

    def add(self, sequences: Sequences) -> None:
        """Add one forward pass."""
        useful = sequences.useful
        self.count(useful, sequences.computed, sequences.row_tokens - useful)

    def count(self, useful: int, computed: int, saved: int) -> None:
        """Add the tokens of a pass without and with padding, and those that it did not compute again."""
        for place, count in enumerate((useful, computed, saved)):
            self._counts[place] += count

    def result(self, gather: Callable[[list[Any]], list[Any]]) -> dict[str, float]:
        """The figures of all processes. Resets the counts to zero.

        * ``tokens_computed``: tokens of all passes, padding included.
        * ``token_efficiency``: the share of them that is not padding.
        * ``tokens_saved``: tokens that were not computed again, because their row begins another row.
        """
        useful, computed, saved = (sum(counts) for counts in zip(*gather([self._counts]), strict=True))
        self._counts = [0, 0, 0]
        return {
            "token_efficiency": useful / computed if computed else 0.0,
            "tokens_computed": float(computed),
            "tokens_saved": float(saved),
        }
