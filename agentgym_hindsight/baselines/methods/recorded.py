"""The columns of :class:`~.rows.Rows` from recorded rollouts, and the credit of their turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.methods.rows import Array, Rows
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.anchors import anchor_keys
from agentgym_hindsight.hindsight.trajectory import Trajectory

__all__ = ["credit_of", "credit_per_turn", "rows_of_rollouts"]


def rows_of_rollouts(
    groups: Sequence[Sequence[Trajectory]],
    anchor: str,
    ratio: float = 0.95,
    *,
    released: bool = False,
    positions: Sequence[tuple[int, ...]] | None = None,
) -> Rows:
    """One row per turn, group by group and rollout by rollout. Actions are compared without case and repeated blanks.

    ``ratio`` is that of ``similar`` anchors. ``released``: anchors as in SERL's release, which compares ``similar``
    turns in batch order and puts all turns with an empty observation together. ``positions`` are those of the rows in a
    batch with copies and in another order.

    Rewards are rounded to float32, the type in which a batch of an update stores them.
    """
    members = [(number, trajectory) for number, group in enumerate(groups) for trajectory in group]
    turns = [
        (group, rollout, trajectory, step)
        for rollout, (group, trajectory) in enumerate(members)
        for step in trajectory.steps
    ]
    keys: list[tuple[str, str]] = []
    for group in groups:
        size = sum(map(len, group))
        own = None if positions is None else [min(each) for each in positions[len(keys) : len(keys) + size]]
        found = anchor_keys(group, anchor, ratio, prompts=not released, batch_order=released, first_positions=own)
        keys += [pair for rollout in found for pair in rollout]
    returns = [trajectory.total_reward for _, trajectory in members]
    return Rows(
        group=np.array([group for group, _, _, _ in turns], np.int64),
        trajectory=np.array([rollout for _, rollout, _, _ in turns], np.int64),
        place=np.array([step.index for _, _, _, step in turns], np.int64),
        returns=np.array([returns[rollout] for _, rollout, _, _ in turns], np.float32),
        rewards=np.array([step.reward for _, _, _, step in turns], np.float32),
        invalid=np.array([not step.action_valid for _, _, _, step in turns], bool),
        anchors=tuple(before for before, _ in keys),
        actions=tuple(" ".join(step.action.lower().split()) for _, _, _, step in turns),
        next_anchors=tuple(after for _, after in keys),
        won=np.array([trajectory.won for _, _, trajectory, _ in turns], bool),
        positions=None if positions is None else tuple(positions),
    )


def credit_of(
    groups: Sequence[Sequence[Trajectory]], methods: Mapping[str, Method], anchor: str | None = None
) -> dict[str, list[Array]]:
    """The credit of every turn of every rollout, by name of the method: one array per rollout, in order.

    ``anchor`` replaces the methods' own. A method needs no model if it has no teacher and no critic; others raise.

    >>> from agentgym_hindsight.baselines.methods import recipe
    >>> from agentgym_hindsight.hindsight import Step
    >>> won = Trajectory("1f", steps=(Step(0, "a hall", "north", "", "", reward=1.0),), won=True)
    >>> lost = Trajectory("1f", steps=(Step(0, "a hall", "south", "", ""),))
    >>> [f"{values[0]:.2f}" for values in credit_of([[won, lost]], {"grpo": recipe("grpo")})["grpo"]]
    ['0.71', '-0.71']
    """
    lengths = [len(trajectory) for group in groups for trajectory in group]
    columns: dict[str, Rows] = {}
    result: dict[str, list[Array]] = {}
    for name, method in methods.items():
        if method.needs_model:
            model = "teacher" if method.has_teacher else "critic"
            raise UsageError(
                f"Expected a method that needs no model, got {name}, which has a {model}; try one such as grpo or crbc."
            )
        kind = anchor or method.anchor
        if kind not in columns:
            columns[kind] = rows_of_rollouts(groups, kind)
        credit = credit_per_turn(name, method.credit(columns[kind]), len(columns[kind]))
        result[name] = np.split(credit, np.cumsum(lengths)[:-1])
    return result


def credit_per_turn(name: str, credit: Any, turns: int) -> Array:
    """A credit of one's own may return a list or a tensor, or an array of token values per turn: then their means."""
    if hasattr(credit, "detach"):
        credit = credit.detach().cpu().numpy()
    if isinstance(credit, (list, tuple)):
        credit = np.array([np.mean(value) if np.size(value) else 0.0 for value in credit], np.float32)
    values = np.asarray(credit)
    if values.shape != (turns,):
        raise UsageError(
            f"Expected one advantage per turn, ({turns},), from the credit of {name}, got {values.shape}; "
            "try returning an array of the shape of rows.returns."
        )
    return values
