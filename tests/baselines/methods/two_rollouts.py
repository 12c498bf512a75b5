"""Two rollouts of one task with a loop.

The first: s0 -a-> s1 -b-> s2 -c-> success. The second: s0 -a-> s1 -d-> s0 -e-> s3 -f-> failure in s4.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from agentgym_hindsight.baselines.methods.rows import Rows

__all__ = ["random_rows", "reordered", "two_rollouts"]


def two_rollouts(**changes: Any) -> Rows:
    rows = Rows(
        group=[0] * 7,
        trajectory=[0] * 3 + [1] * 4,
        place=[0, 1, 2, 0, 1, 2, 3],
        returns=[10.0] * 3 + [0.0] * 4,
        rewards=[0.0, 0.0, 10.0, 0.0, 0.0, 0.0, 0.0],
        invalid=[False] * 7,
        anchors=("s0", "s1", "s2", "s0", "s1", "s0", "s3"),
        actions=tuple("abcadef"),
        next_anchors=("s1", "s2", "end", "s1", "s0", "s3", "s4"),
        won=[True] * 3 + [False] * 4,
    )
    return replace(rows, **changes) if changes else rows


def random_rows(seed: int, outcomes: str = "mixed") -> Rows:
    """Three groups of rollouts with loops and revisited states. ``outcomes``: ``mixed``, ``won`` or ``lost``."""
    draw = np.random.default_rng(seed)
    table: list[tuple[Any, ...]] = []
    trajectory = 0
    for group in range(3):
        for _ in range(draw.integers(1, 7)):
            turns = int(draw.integers(1, 9))
            won = {"won": True, "lost": False}.get(outcomes, bool(draw.integers(2)))
            states = ["sabcd"[draw.integers(5)] for _ in range(turns + 1)]
            for place in range(turns):
                reward = 10.0 * (won and place + 1 == turns)
                action = "xyz"[draw.integers(3)]
                invalid = bool(draw.random() < 0.2)
                total = 10.0 * won
                table.append(
                    (group, trajectory, place, total, reward, invalid, states[place], action, states[place + 1], won)
                )
            trajectory += 1
    columns = list(zip(*table, strict=True))
    return Rows(*columns[:6], *(tuple(column) for column in columns[6:9]), columns[9])


def reordered(rows: Rows, order: Any) -> Rows:
    """The rows in another order, or some of them."""
    picks = np.asarray(order).tolist()
    assert rows.actions is not None
    assert rows.next_anchors is not None
    assert rows.won is not None
    return Rows(
        *(getattr(rows, name)[picks] for name in ("group", "trajectory", "place", "returns", "rewards", "invalid")),
        *(tuple(column[i] for i in picks) for column in (rows.anchors, rows.actions, rows.next_anchors)),
        rows.won[picks],
    )
