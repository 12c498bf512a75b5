"""The true advantage of turns by Monte Carlo: continuations of the same policy from before and from after the action.

The moment after a turn is the moment before the next one, so one set of continuations serves both turns; and the
moments that rollouts of a group share are continued once. A snapshot fixes the world's random numbers, therefore the
truth is that of the transition that happened. A finished rollout needs no continuation: its value is its outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from agentgym_hindsight.baselines.audit.estimates import Advantage, advantage
from agentgym_hindsight.baselines.audit.moments import PlayedGroup, Turn
from agentgym_hindsight.baselines.rollout import Continuation
from agentgym_hindsight.errors import UsageError

__all__ = ["FIRST_CONTINUATION", "Precision", "measure", "measure_groups"]

#: The sibling of the first continuation. Siblings determine the random numbers of a policy, and those of the rollouts
#: that are audited must not occur again: a continuation with the same ones would repeat the rollout.
FIRST_CONTINUATION = 1_000_000


class Outcome(Protocol):
    """What is needed of a trajectory."""

    @property
    def won(self) -> bool: ...
    @property
    def broken(self) -> str: ...


Continue = Callable[[Sequence[Continuation]], Iterable[Outcome]]


@dataclass(frozen=True, slots=True)
class Precision:
    """How many continuations a moment gets.

    Every moment gets ``least``. A turn whose interval contains 0 and is wider than ± ``half_width`` is undecided:
    its two moments get twice as many continuations, until it is decided or they have ``most``.
    """

    least: int = 20
    most: int = 80
    half_width: float = 0.1

    def __post_init__(self) -> None:
        if not 2 <= self.least <= self.most:
            raise UsageError(f"Expected 2 ≤ least ≤ most continuations, got {self.least} and {self.most}; try 20, 80.")
        if not 0 < self.half_width <= 1:
            raise UsageError(f"Expected a half-width above 0 and up to 1, got {self.half_width}; try 0.1.")

    def decided(self, estimate: Advantage) -> bool:
        """Whether the estimate needs no more continuations."""
        return estimate.has_sign or estimate.half_width <= self.half_width


def measure(
    group: PlayedGroup, turns: Iterable[Turn], play: Continue, precision: Precision
) -> Iterator[tuple[Turn, Advantage]]:
    """The advantage of each turn, as soon as it is decided. ``play`` plays continuations, in the order given.

    Continuation number k has the same random numbers at all moments of the group (common random numbers).
    """
    return ((turn, estimate) for _, turn, estimate in measure_groups([(group, turns)], play, precision))


def measure_groups(
    work: Iterable[tuple[PlayedGroup, Iterable[Turn]]], play: Continue, precision: Precision
) -> Iterator[tuple[PlayedGroup, Turn, Advantage]]:
    """As :func:`measure`, for several groups at once, whose continuations are played together."""
    outcomes: dict[tuple[int, str], list[bool | None]] = {}
    groups: list[PlayedGroup] = []
    waiting: list[tuple[int, Turn]] = []
    count = precision.least
    for group, turns in work:
        waiting += [(len(groups), turn) for turn in turns]
        groups.append(group)
    while waiting:
        moments = dict.fromkeys(
            (number, key)
            for number, turn in waiting
            for key in ((turn.before,) if turn.outcome is not None else (turn.before, turn.after))
        )
        starts = [(moment, k) for moment in moments for k in range(len(outcomes.setdefault(moment, [])), count)]
        played = play(
            [Continuation(groups[number].snapshots[key], FIRST_CONTINUATION + k) for (number, key), k in starts]
        )
        for (moment, _), end in zip(starts, played, strict=True):
            outcomes[moment].append(None if end.broken else end.won)
        undecided = []
        for number, turn in waiting:
            after: Sequence[bool | None] = (
                [turn.outcome] * count if turn.outcome is not None else outcomes[number, turn.after][:count]
            )
            estimate = advantage(outcomes[number, turn.before][:count], after)
            if count >= precision.most or precision.decided(estimate):
                yield groups[number], turn, estimate
            else:
                undecided.append((number, turn))
        waiting, count = undecided, min(2 * count, precision.most)
