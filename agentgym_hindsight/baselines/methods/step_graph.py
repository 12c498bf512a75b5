"""The graph of states that the rollouts of a batch visited: the input of every credit that compares turns of one state.

A node is an anchor of a group; an edge is a turn, from the anchor in which it was taken to the next anchor of its
rollout. The last turn of a rollout leads to ``SUCCESS`` if the rollout won, else to the anchor of its last state, which
may be one that no turn was taken in. Groups have no node in common.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from agentgym_hindsight.baselines.methods.credit import labels_of, rows_in_order
from agentgym_hindsight.baselines.methods.rows import Array, Rows
from agentgym_hindsight.errors import UsageError

__all__ = ["FAILURE", "SUCCESS", "StepGraph"]

#: The number of the end of a rollout that won, in place of the number of a state; and that of the end of another one.
SUCCESS = -1
FAILURE = -2


class StepGraph:
    """The turns of a batch as edges. Arrays (B,) have one value per turn, sorted by rollout and turn.

    * ``rows``: the turn's row in the batch. ``values[graph.rows]`` sorts a column of the batch.
    * ``group``, ``trajectory``: numbers from 0 without gaps.
    * ``state``: the number of the state in which the turn was taken, from 0; there are ``visited`` of them.
    * ``action``: the number of the pair (state, action); equal pairs are one.
    * ``successor``: the number of the next state, or at the last turn of a rollout ``SUCCESS`` or ``FAILURE``.
    * ``next_state``: the same, but at the last turn of a failed rollout the number of the state after it. States in
      which no turn was taken have the numbers from ``visited`` on.

    >>> rows = Rows(
    ...     group=[0, 0, 0], trajectory=[0, 0, 1], place=[0, 1, 0], returns=[10.0, 10.0, 0.0], rewards=[0.0, 10.0, 0.0],
    ...     invalid=[False] * 3, anchors=("hall", "room", "hall"), actions=("north", "take", "south"),
    ...     next_anchors=("room", "end", "yard"), won=[True, True, False],
    ... )
    >>> graph = StepGraph(rows)
    >>> graph.state.tolist(), graph.action.tolist(), graph.successor.tolist(), graph.next_state.tolist()
    ([0, 1, 0], [0, 1, 2], [1, -1, -2], [1, -1, 2])
    """

    def __init__(self, rows: Rows) -> None:
        order = rows_in_order(rows)
        self._columns = rows
        self.rows: Array = np.array([row for _, _, row in order], np.int64)
        groups = rows.group[self.rows].tolist()
        self.group = labels_of(groups)
        self.trajectory = labels_of(trajectory for trajectory, _, _ in order)
        anchors = [rows.anchors[row] for _, _, row in order]
        self._states: dict[tuple[int, str], int] = {}
        self.state = np.array(
            [self._states.setdefault(key, len(self._states)) for key in zip(groups, anchors, strict=True)], np.int64
        )
        self.visited = len(self._states)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def copies(self) -> Array | None:
        """How often every turn is in the batch, (B,); ``None`` if each is there once."""
        copies = self._columns.copies
        return None if copies is None else copies[self.rows]

    @cached_property
    def last(self) -> Array:
        """Whether a turn is the last one of its rollout, (B,)."""
        return np.append(np.diff(self.trajectory) != 0, True)[: len(self)]

    @cached_property
    def first(self) -> Array:
        """Whether a turn is the first one of its rollout, (B,)."""
        return np.insert(np.diff(self.trajectory) != 0, 0, True)[: len(self)]

    @cached_property
    def visits(self) -> Array:
        """The number of turns in every state, (visited,)."""
        return np.bincount(self.state, minlength=self.visited)

    @cached_property
    def group_of_state(self) -> Array:
        """The group of every visited state, (visited,)."""
        groups = np.zeros(self.visited, np.int64)
        groups[self.state] = self.group
        return groups

    @cached_property
    def action(self) -> Array:
        actions = self._texts("actions")
        return labels_of(zip(self.state.tolist(), (actions[row] for row in self.rows.tolist()), strict=True))

    @cached_property
    def won(self) -> Array:
        """Whether the turn's rollout won, (B,)."""
        if self._columns.won is None:
            raise _missing("won")
        won: Array = self._columns.won[self.rows]
        return won

    @cached_property
    def successor(self) -> Array:
        after = np.append(self.state[1:], 0)[: len(self)]
        return np.where(self.last, np.where(self.won, SUCCESS, FAILURE), after)

    @cached_property
    def next_state(self) -> Array:
        texts, states, groups = self._texts("next_anchors"), dict(self._states), self._columns.group.tolist()
        after: Array = self.successor.copy()
        for turn in np.flatnonzero(after == FAILURE).tolist():
            row = int(self.rows[turn])
            after[turn] = states.setdefault((groups[row], texts[row]), len(states))
        return after

    def mean_of_state(self, values: Array) -> Array:
        """The mean over the turns of every state, (B,) to (visited,)."""
        mean: Array = np.bincount(self.state, values, self.visited) / self.visits
        return mean

    def in_batch_order(self, values: Array) -> Array:
        """One value per turn, (B,), from the order of this graph to that of the batch."""
        ordered = np.empty_like(values)
        ordered[self.rows] = values
        return ordered

    def _texts(self, name: str) -> tuple[str, ...]:
        texts: tuple[str, ...] | None = getattr(self._columns, name)
        if texts is None:
            raise _missing(name)
        return texts


def _missing(name: str) -> UsageError:
    return UsageError(f"Expected rows with {name} for a credit from the graph of states, got none; try {name}=….")
