"""Advantages from a value function: generalised advantage estimation (GAE) over turns and over tokens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np

from agentgym_hindsight.baselines.methods.checks import check_unit
from agentgym_hindsight.baselines.methods.credit import rows_in_order
from agentgym_hindsight.baselines.methods.rows import Array, Rows
from agentgym_hindsight.errors import UsageError

__all__ = ["CriticCredit", "Estimate", "gae", "token_gae", "token_values", "turn_gae", "turn_values", "whitened"]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Estimate:
    """The result of a credit that uses a critic.

    * ``advantages``: (B,), or one array per row with a value per token.
    * ``turn_targets`` (B,), ``token_targets`` (one array per row): what the heads of the critic are trained towards.
    * ``after_targets``: with them, whether the value after the last token of a row is trained towards 0.
    """

    advantages: Array | list[Array]
    turn_targets: Array | None = None
    token_targets: list[Array] | None = None
    after_targets: bool = False


class CriticCredit(ABC):
    """A credit that needs ``rows.values``: a subclass defines ``estimate``."""

    __slots__ = ()

    @abstractmethod
    def estimate(self, rows: Rows) -> Estimate:
        """The advantages, and what the heads of the critic are trained towards."""

    def __call__(self, rows: Rows) -> Array | list[Array]:
        return self.estimate(rows).advantages


def gae(rewards: Array, values: Array, dones: Array, *, gamma: float, lam: float) -> tuple[Array, Array]:
    """Generalised advantage estimation over (B, T): the advantages, and the targets of the value function (A + V).

    ``dones`` marks the last step of an episode. Later columns (padding or another episode) do not affect the steps up
    to it. The last column has no next value; if an episode was cut there, add ``gamma`` times the value of the next
    state to its reward. Computed in float64, returned as float32.

    >>> advantages, targets = gae([[0.0, 1.0]], [[0.5, 0.5]], [[False, True]], gamma=1.0, lam=1.0)
    >>> advantages.tolist(), targets.tolist()
    ([[0.5, 0.5]], [[1.0, 1.0]])
    """
    reward, value, ends = np.asarray(rewards, np.float64), np.asarray(values, np.float64), np.asarray(dones)
    if reward.ndim != 2 or not reward.shape == value.shape == ends.shape:
        raise UsageError(
            f"Expected rewards, values and dones of one shape (B, T), got {reward.shape}, {value.shape} and "
            f"{ends.shape}; try a value and an end for every reward."
        )
    advantages = np.zeros_like(reward)
    for row in range(len(reward)):
        # One episode after the other: nothing crosses an end.
        cuts = [0, *(np.flatnonzero(ends[row]) + 1).tolist(), reward.shape[1]]
        for begin, end in pairwise(cuts):
            advantages[row, begin:end] = _gae(reward[row, begin:end], value[row, begin:end], gamma, lam)
    return advantages.astype(np.float32), (advantages + value).astype(np.float32)


def turn_gae(rows: Rows, values: Array, rewards: Array, *, gamma: float, lam: float) -> tuple[Array, Array]:
    """GAE over the turns of every rollout. ``values`` (B,) are those of the states before the responses.

    The value after the last turn is 0, also at the time limit.
    """
    advantages = np.zeros(len(rows))
    for members in _rollouts(rows):
        advantages[members] = _gae(rewards[members], values[members], gamma, lam)
    return advantages, advantages + values


def token_gae(
    rows: Rows, values: Sequence[Array], rewards: Array, *, gamma: float, lam: float, across_turns: bool
) -> tuple[list[Array], list[Array]]:
    """GAE over response tokens. ``values`` has one array per row, the values before each of its tokens.

    The reward of a row (B,) is that of its last token. With ``across_turns`` the first token of the next turn follows
    the last token of a turn; otherwise every row is an episode of its own.
    """
    advantages: list[Array] = [np.zeros(len(value)) for value in values]
    for members in _rollouts(rows) if across_turns else [[row] for row in range(len(rows))]:
        lengths = [len(values[row]) for row in members]
        if not sum(lengths):
            continue
        reward = np.zeros(sum(lengths))
        ends = np.cumsum(lengths) - 1
        for row, length, end in zip(members, lengths, ends.tolist(), strict=True):
            if length:
                reward[end] = rewards[row]
        joined = _gae(reward, np.concatenate([values[row] for row in members]), gamma, lam)
        for row, part in zip(members, np.split(joined, np.cumsum(lengths)[:-1]), strict=True):
            advantages[row] = part
    return advantages, [a + np.asarray(v, np.float64) for a, v in zip(advantages, values, strict=True)]


def turn_values(rows: Rows) -> Array:
    """The values (B,) of the critic's head for turns; a batch without them raises."""
    return _values(rows, "turn", None if rows.values is None else rows.values.turn)


def token_values(rows: Rows) -> Sequence[Array]:
    """The values of the critic's head for tokens, one array per row; a batch without them raises."""
    return _values(rows, "token", None if rows.values is None else rows.values.tokens)


def _values(rows: Rows, head: str, values: _T | None) -> _T:
    if values is None:
        got = "rows without the values of a critic" if rows.values is None else "one without it"
        raise UsageError(f"Expected a critic with a head for {head}s, got {got}; try critic=2:{head}.")
    return values


def whitened(values: Sequence[Array]) -> list[Array]:
    """Values with mean 0 and variance 1 over all tokens: unbiased variance, 1e-8 under the root."""
    joined = np.concatenate([np.asarray(value, np.float64) for value in values]) if len(values) else np.zeros(0)
    if len(joined) < 2:
        return [np.zeros_like(value) for value in values]
    mean, variance = joined.mean(), joined.var(ddof=1)
    return [(value - mean) / np.sqrt(variance + 1e-8) for value in values]


def _gae(rewards: Array, values: Array, gamma: float, lam: float) -> Array:
    """GAE of one episode (T,) whose next value after the end is 0; float64."""
    check_unit("gamma", gamma, example=0.95)
    check_unit("lam", lam, example=0.95)
    after = np.append(np.asarray(values, np.float64)[1:], 0.0)[: len(values)]
    deltas = np.asarray(rewards, np.float64) + gamma * after - values
    advantages, following = np.zeros(len(deltas)), 0.0
    for t in range(len(deltas) - 1, -1, -1):
        advantages[t] = following = deltas[t] + gamma * lam * following
    return advantages


def _rollouts(rows: Rows) -> list[list[int]]:
    """The rows of every rollout, in the order of its turns."""
    members: dict[int, list[int]] = {}
    for trajectory, _, row in rows_in_order(rows):
        members.setdefault(trajectory, []).append(row)
    return list(members.values())
