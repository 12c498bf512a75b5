"""Batches as in SERL's release: filled with copies of rows, and reordered, before contexts and advantages are made.

The release repeats random rows until their number is a multiple of what its workers need, and then orders the rows so
that every GPU gets equally many rows and about equally many tokens. It makes contexts and advantages from that batch:
a copied turn is shown twice in its rollout and counts twice in statistics, and other rollouts come first.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agentgym_hindsight.baselines.rollout import Episode
from agentgym_hindsight.baselines.settings import SettingError, check_range
from agentgym_hindsight.baselines.training.collectives import Processes
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.tasks import seeded_int
from agentgym_hindsight.wrappers.protocols import CONVERSATION

__all__ = ["BatchOrder", "ReleasedBatching", "balanced_parts", "order_batch", "padded"]

#: A turn of an update: task, sibling, and number in its rollout.
_Turn = tuple[str, int, int]


@dataclass(frozen=True)
class ReleasedBatching:
    """How the rows of an update become a batch, as in SERL's release.

    * ``multiple``: rows are copied until their number is a multiple of this; 0: neither copies nor another order. The
      release has 256 on ALFWorld (8 GPUs, 32 rows of a micro-batch) and 64 on WebShop (8 GPUs, 8 rows).
    * ``gpus``: the number of parts with equally many rows and about equally many tokens. It need not be the number of
      processes of the run.
    """

    multiple: int = 0
    gpus: int = 8

    def __post_init__(self) -> None:
        check_range(self, "multiple", least=0)
        check_range(self, "gpus", least=1)
        if self.multiple % self.gpus:
            hint = f"{self.multiple + self.gpus - self.multiple % self.gpus}"
            raise SettingError("multiple", f"divisible by gpus ({self.gpus})", self.multiple, hint)

    def check_history(self, history: int | str | None) -> None:
        """Raise for conversations, whose turns are trained together and cannot be reordered."""
        if self.multiple and history == CONVERSATION:
            raise UsageError(
                "Expected plan.released_batching without a conversation, whose turns are trained together, got both; "
                "try stage.history=2."
            )


@dataclass(frozen=True, slots=True)
class BatchOrder:
    """The positions of every turn in the batch, by rollout; and the number of rows of each part.

    A part has the positions from k · ``part`` to (k + 1) · ``part`` − 1.
    """

    positions: Mapping[tuple[str, int], tuple[tuple[int, ...], ...]]
    part: int

    def of(self, trajectory: Trajectory) -> tuple[tuple[int, ...], ...]:
        """The positions of the turns of a rollout."""
        return self.positions[trajectory.task_id, trajectory.sibling]

    def mini_batch(self, position: int, count: int) -> int:
        """Which of ``count`` mini-batches has the row at a position: each GPU takes its part in order.

        The numbers of rows that a GPU adds to the mini-batches differ by one at most.
        """
        return position % self.part * count // self.part


def order_batch(
    groups: Sequence[Sequence[Episode]], settings: ReleasedBatching, seed: int, update: int, processes: Processes | None
) -> BatchOrder | None:
    """The order of the update's rows; ``None`` without ``multiple``, and without rows.

    It depends only on the rows, the seed and the update, and not on the number of processes.
    """
    if not settings.multiple:
        return None
    own = [
        ((trajectory.task_id, trajectory.sibling, place), len(reply.prompt_ids) + len(reply.response_ids))
        for members in groups
        for trajectory, replies in members
        for place, reply in enumerate(replies)
    ]
    turns = sorted(own if processes is None else processes.gather(own))
    if not turns:
        return None
    if len({turn for turn, _ in turns}) < len(turns):
        raise UsageError(
            "Expected every rollout of an update once, got the same task and sibling twice; try a plan.tasks of at "
            "most the number of tasks of the split."
        )
    rows = padded([turn for turn, _ in turns], settings.multiple, seed, update)
    parts = balanced_parts([turns[row][1] for row in rows], settings.gpus)
    found: dict[_Turn, list[int]] = {}
    for position, place in enumerate(place for part in parts for place in part):
        found.setdefault(turns[rows[place]][0], []).append(position)
    positions: dict[tuple[str, int], list[tuple[int, ...]]] = {}
    for task_id, sibling, _ in (turn for turn, _ in turns):  # sorted, so the turns of a rollout are in order
        turn = (task_id, sibling, len(positions.setdefault((task_id, sibling), [])))
        positions[task_id, sibling].append(tuple(found[turn]))
    return BatchOrder({key: tuple(value) for key, value in positions.items()}, len(rows) // settings.gpus)


def padded(turns: Sequence[object], multiple: int, seed: int, update: int) -> list[int]:
    """The numbers of the rows of a batch: all of them, and then copies, drawn from the seed without repetition.

    The release fails where more copies are missing than there are rows; here all rows are drawn again then.

    >>> padded("abcde", 4, seed=0, update=0), padded("abcd", 4, seed=0, update=0)
    ([0, 1, 2, 3, 4, 0, 1, 4], [0, 1, 2, 3])
    """
    numbers = list(range(len(turns)))
    drawn = sorted(numbers, key=lambda number: seeded_int("copies", seed, update, turns[number]))
    missing = -len(turns) % multiple
    return numbers + [drawn[k % len(drawn)] for k in range(missing)]


def balanced_parts(lengths: Sequence[int], parts: int) -> list[list[int]]:
    """The rows by number, in parts with equally many rows and about equally many tokens, each in ascending order.

    This is the largest differencing method of Karmarkar and Karp for parts of equal size: rows are sorted by length and
    taken ``parts`` at a time; of the partial solutions the two that are the least balanced are joined, the longest part
    of one with the shortest of the other.

    >>> balanced_parts([9, 1, 8, 2], 2)
    [[2, 3], [0, 1]]
    """
    order = sorted(range(len(lengths)), key=lambda row: (lengths[row], row))
    solutions = [
        sorted(((lengths[row], [row]) for row in order[start : start + parts]), reverse=True)
        for start in range(0, len(order), parts)
    ]
    solutions.sort(key=_imbalance)
    while len(solutions) > 1:
        first, second = solutions.pop(), solutions.pop()
        joined = [
            (tokens + more, rows + others)
            for (tokens, rows), (more, others) in zip(first, reversed(second), strict=True)
        ]
        insort(solutions, sorted(joined, reverse=True), key=_imbalance)
    return [sorted(rows) for _, rows in solutions[0]]


def _imbalance(solution: Sequence[tuple[int, list[int]]]) -> tuple[int, int, int, list[int]]:
    """How unbalanced a partial solution is. The release decides ties by the longest part: tokens, rows, numbers."""
    tokens, rows = solution[0]
    return tokens - solution[-1][0], tokens, len(rows), rows
