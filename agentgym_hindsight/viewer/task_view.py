"""The siblings of a task with what is computed from them: the five sources, anchors, credit, where two part."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.methods.recorded import credit_of
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.anchors import AnchorGroup, cluster
from agentgym_hindsight.hindsight.resolve import resolve
from agentgym_hindsight.hindsight.sources import Hindsight
from agentgym_hindsight.hindsight.trajectory import Group, Trajectory
from agentgym_hindsight.viewer.rollouts import Rollout

__all__ = ["CREDITS", "TaskView", "first_difference"]

#: Methods whose credit is shown: those of ``agh credit`` that compare the turns or rollouts of one task.
CREDITS = ("grpo", "gigpo", "crbc", "graphgpo")


class TaskView:
    """Rollouts of one task. ``kind`` says which turns share a situation."""

    def __init__(self, rollouts: Sequence[Rollout], kind: str = "state") -> None:
        self.rollouts, self.kind = tuple(rollouts), kind
        self.group = Group(rollout.trajectory for rollout in rollouts)

    def member(self, line: int) -> int:
        """The place of the rollout on a line."""
        return next((place for place, each in enumerate(self.rollouts) if each.line == line), 0)

    @cached_property
    def hindsights(self) -> tuple[tuple[Hindsight, ...], ...]:
        return resolve(self.group)

    @cached_property
    def anchors(self) -> tuple[AnchorGroup, ...]:
        """The situations, those with the most turns first."""
        found = cluster(self.group, self.kind)
        return tuple(sorted(found, key=lambda anchor: -len(anchor)))

    @cached_property
    def anchor_of(self) -> dict[tuple[int, int], int]:
        """(member, place of the turn) -> place in ``anchors``."""
        return {(row.member, row.place): number for number, anchor in enumerate(self.anchors) for row in anchor.rows}

    @cached_property
    def credits(self) -> dict[str, dict[tuple[int, int], float]]:
        """By method: the credit of every turn of the rollouts that are not broken, computed as by ``agh credit``."""
        members = [number for number, each in enumerate(self.group) if each.steps and not each.broken]
        if not members:
            return {}
        found = {}
        for name in CREDITS:
            method = recipe(name)
            method = method.changed(penalty=0.0) if hasattr(method.credit, "penalty") else method
            try:
                with np.errstate(all="ignore"):  # rewards beyond float32 have no credit
                    values = credit_of([[self.group[member] for member in members]], {name: method})[name]
            except (UsageError, OverflowError):  # a credit that cannot use these rollouts
                continue
            found[name] = {
                (member, place): float(value)
                for member, credits in zip(members, values, strict=True)
                for place, value in enumerate(credits)
            }
        return found

    @cached_property
    def parting(self) -> tuple[int, int, int] | None:
        """The first winner and the first other rollout, and the place of the turn at which they part."""
        won = next((n for n, each in enumerate(self.group) if each.won and not each.broken), None)
        other = next((n for n, each in enumerate(self.group) if not each.won), None)
        if won is None or other is None:
            return None
        place = first_difference(self.group[won], self.group[other])
        return None if place is None else (won, other, place)


def first_difference(first: Trajectory, second: Trajectory) -> int | None:
    """The place of the first turn with different actions, or with different observations before equal actions.

    ``None`` if one rollout begins with all turns of the other and no turn differs.

    >>> from agentgym_hindsight.hindsight import Step
    >>> go, look = Step(0, "a hall", "go", "", ""), Step(0, "a hall", "look", "", "")
    >>> first_difference(Trajectory("1f", steps=(go,)), Trajectory("1f", steps=(look,)))
    0
    """
    for place, (one, other) in enumerate(zip(first.steps, second.steps, strict=False)):
        if _spelled(one.action) != _spelled(other.action) or one.observation != other.observation:
            return place
    shorter = min(len(first.steps), len(second.steps))
    return None if len(first.steps) == len(second.steps) else shorter


def _spelled(action: str) -> str:
    return " ".join(action.lower().split())
