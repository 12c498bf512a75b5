"""A group as its turns stand in a training batch: SERL's release repeats and reorders turns before it makes contexts.

The release fills a batch with copies of turns, reorders it, and reads each rollout back from the rows of the batch:
a copied turn is shown twice, and the first rollout is the one whose first row comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.anchors import Row, rows_of
from agentgym_hindsight.hindsight.trajectory import Group, Step

__all__ = ["BatchedGroup", "Positions"]

#: For each member and each of its turns, the positions of the turn in the batch.
Positions = Sequence[Sequence[Sequence[int]]]


@dataclass(frozen=True, slots=True)
class BatchedGroup:
    """The rollouts of a group as contexts show them.

    * ``rows``: the turns with their position in the batch, each as often as it is there.
    * ``order``: the members in the order of their first rows.
    * ``steps``: the turns of each member, each as often as it is in the batch.
    """

    group: Group
    rows: tuple[Row, ...]
    order: tuple[int, ...]
    steps: tuple[tuple[Step, ...], ...]
    ends: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, group: Group, positions: Positions | None = None) -> BatchedGroup:
        """The group in a batch with these positions; without them, each turn is there once, member by member.

        >>> from agentgym_hindsight.hindsight.trajectory import Trajectory
        >>> steps = tuple(Step(index, "", action, "", "") for index, action in enumerate(["look", "go"]))
        >>> batched = BatchedGroup.of(Group([Trajectory("1f", steps=steps)]), [[(7, 9), (8,)]])
        >>> [step.action for step in batched.steps[0]], [row.batch for row in batched.rows]
        (['look', 'look', 'go'], [7, 9, 8])
        """
        if positions is None:
            counts = [tuple(range(1, len(trajectory) + 1)) for trajectory in group]
            members = tuple(range(len(group)))
            return cls(group, rows_of(group), members, tuple(each.steps for each in group), tuple(counts))
        _check(group, positions)
        rows = tuple(
            row._replace(batch=position) for row in rows_of(group) for position in positions[row.member][row.place]
        )
        first = [min((position for turn in member for position in turn), default=0) for member in positions]
        return cls(
            group,
            rows,
            tuple(sorted(range(len(group)), key=first.__getitem__)),
            tuple(
                tuple(step for step, turn in zip(trajectory.steps, member, strict=True) for _ in turn)
                for trajectory, member in zip(group, positions, strict=True)
            ),
            tuple(tuple(accumulate(len(turn) for turn in member)) for member in positions),
        )

    def future(self, member: int, place: int) -> tuple[Step, ...]:
        """The turns of a member after one of its turns."""
        return self.steps[member][self.ends[member][place] :]

    @property
    def reordered(self) -> Group:
        """The members in the order of their first rows."""
        return Group(self.group[member] for member in self.order)


def _check(group: Group, positions: Positions) -> None:
    lengths = [len(member) for member in positions]
    if lengths != [len(trajectory) for trajectory in group] or not all(map(all, (map(len, m) for m in positions))):
        raise UsageError(
            f"Expected at least one position of every turn of the {len(group)} rollouts, got {lengths} turns; "
            "try positions[member][place] = (number, …)."
        )
