"""Hypothesis strategies: batches of turns, values of a critic, gaps of a teacher."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from agentgym_hindsight.baselines.methods.rows import Array, Rows, Values

__all__ = ["batches", "batches_with_gaps", "batches_with_values", "numbers", "property_test", "reordered"]

#: The same examples in every run, and no files.
property_test = settings(derandomize=True, database=None, deadline=None, max_examples=30)


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    """Finite floats of this range."""
    return st.floats(low, high, allow_nan=False)


#: State, action, and whether the action is invalid.
_TURN = st.tuples(st.sampled_from("sabc"), st.sampled_from("xyz"), st.booleans())
_SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def batches(draw: st.DrawFn, *, won: bool | None = None, rollouts: int = 4) -> Rows:
    """One or two groups of rollouts with loops and revisited states; the rows are in mixed order.

    A rollout that wins gets 10 at its end. ``won`` fixes the outcome of all rollouts.
    """
    outcome = st.booleans() if won is None else st.just(won)
    rollout = st.tuples(st.lists(_TURN, min_size=1, max_size=6), st.sampled_from("sabcd"), outcome)
    group = st.lists(rollout, min_size=1, max_size=rollouts)
    table: list[tuple[Any, ...]] = []
    trajectory = 0
    for number, members in enumerate(draw(st.lists(group, min_size=1, max_size=2))):
        for turns, end, wins in members:
            states = [*(state for state, _, _ in turns), end]
            for place, (state, action, invalid) in enumerate(turns):
                reward = 10.0 * (wins and place + 1 == len(turns))
                after = states[place + 1]
                table.append((number, trajectory, place, 10.0 * wins, reward, invalid, state, action, after, wins))
            trajectory += 1
    order = np.random.default_rng(draw(_SEEDS)).permutation(len(table))
    columns = list(zip(*(table[i] for i in order), strict=True))
    return Rows(*columns[:6], *(tuple(column) for column in columns[6:9]), columns[9])


@st.composite
def batches_with_values(draw: st.DrawFn) -> Rows:
    """Batches with a critic's values of turns and tokens. They come from a seed: drawn one by one they take long."""
    rows, generator = draw(batches()), np.random.default_rng(draw(_SEEDS))
    tokens = tuple(generator.normal(0, 3, int(generator.integers(1, 6))) for _ in range(len(rows)))
    turns, after = generator.normal(0, 3, (2, len(rows)))
    return replace(rows, values=Values(turns, tokens, after))


@st.composite
def batches_with_gaps(
    draw: st.DrawFn, *, won: bool | None = None, missing: float = 0.3
) -> tuple[Rows, list[Array | None]]:
    """Batches and the teacher's gaps of the tokens of every row; the share ``missing`` of the rows has none."""
    rows, generator = draw(batches(won=won)), np.random.default_rng(draw(_SEEDS))
    size = draw(st.sampled_from([0.01, 0.3, 3.0]))
    gaps = [
        None if generator.random() < missing else generator.normal(0, size, int(generator.integers(1, 6)))
        for _ in range(len(rows))
    ]
    return rows, gaps


def reordered(rows: Rows, order: Any) -> Rows:
    """The rows in another order, or some of them, with the critic's values."""
    picks = np.asarray(order).tolist()
    changes: dict[str, Any] = {
        name: getattr(rows, name)[picks]
        for name in ("group", "trajectory", "place", "returns", "rewards", "invalid", "won")
    }
    for name in ("anchors", "actions", "next_anchors"):
        changes[name] = tuple(getattr(rows, name)[i] for i in picks)
    if (values := rows.values) is not None:
        assert values.turn is not None
        assert values.tokens is not None
        assert values.after is not None
        changes["values"] = Values(values.turn[picks], tuple(values.tokens[i] for i in picks), values.after[picks])
    return replace(rows, **changes)
