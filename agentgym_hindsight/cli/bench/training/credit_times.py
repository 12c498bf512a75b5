"""The time of every credit that needs no model, on as many rows as a large update has, beside the time of an update."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

import numpy as np

from agentgym_hindsight.baselines.methods import RECIPES, recipe
from agentgym_hindsight.baselines.methods.recorded import rows_of_rollouts
from agentgym_hindsight.baselines.methods.rows import Rows
from agentgym_hindsight.baselines.rollout import Episode
from agentgym_hindsight.baselines.training.training_rows import group_episodes
from agentgym_hindsight.cli.bench.figures import Row
from agentgym_hindsight.cli.bench.training.step_times import StepTime, clock
from agentgym_hindsight.hindsight.trajectory import Trajectory

__all__ = ["GOAL", "ROWS", "credit_rows", "random_walks"]

#: The rows of a large update: 256 rollouts of 50 turns.
ROWS = 12_800
#: The project's goal for the time of a credit, as a share of the update of these rows.
GOAL = 0.01


def credit_rows(episodes: Sequence[Episode], update: StepTime, repeats: int, count: int = ROWS) -> list[Row]:
    """Milliseconds of the columns and of every credit, and their share of an update of ``count`` rows.

    ``update`` is a measured update. The time of one of ``count`` rows is estimated as proportional to the rows.
    """
    groups = [[episode.trajectory for episode in members] for members in group_episodes(episodes)]
    seconds = update.total * count / max(1.0, update.turns)
    estimate = f"{seconds:,.1f} s, from {update.total:.3f} s of {update.turns:,.0f} rows"
    rows = [Row(f"an update of {count:,} rows, estimated", estimate)]
    if not groups:
        return rows
    methods = {name: method for name in RECIPES if not (method := recipe(name)).needs_model}
    played = _repeated(groups, count)
    built: dict[str, Rows] = {}
    columns: dict[str, float] = {}
    for anchor in sorted({method.anchor for method in methods.values()}):
        built[anchor] = rows_of_rollouts(played, anchor)
        columns[anchor] = _seconds(partial(rows_of_rollouts, played, anchor), repeats)
    for anchor, took in columns.items():
        rows.append(Row(f"columns of {len(built[anchor]):,} played rows, anchor={anchor}", _share(took, seconds)))
    walks = random_walks(count)
    for name, method in methods.items():
        took = _seconds(partial(method.credit, built[method.anchor]), repeats)
        worst = _seconds(partial(method.credit, walks), repeats)
        rows += [
            Row(f"{name}: credit of the played rows", _share(took, seconds)),
            Row(f"  with the columns (goal: ≤ {GOAL:.0%})", _share(took + columns[method.anchor], seconds)),
            Row(f"  credit of {len(walks):,} rows of random walks", _share(worst, seconds)),
        ]
    return rows


def random_walks(count: int) -> Rows:
    """Rollouts of 50 turns, eight to a task, at random among 200 states of the task: graphs with many loops."""
    draw = np.random.default_rng(0)
    turns, siblings = 50, 8
    rollouts = -(-count // turns)
    trajectory = np.repeat(np.arange(rollouts), turns)[:count]
    won = (draw.random(rollouts) < 0.5)[trajectory]
    states = draw.integers(0, 200, (rollouts, turns + 1))
    place = np.arange(rollouts * turns)[:count] % turns
    last = np.append(np.diff(trajectory) != 0, True)
    return Rows(
        group=trajectory // siblings,
        trajectory=trajectory,
        place=place,
        returns=10.0 * won,
        rewards=10.0 * (won & last),
        invalid=draw.random(count) < 0.1,
        anchors=tuple(f"state {number}" for number in states[:, :-1].ravel()[:count].tolist()),
        actions=tuple(f"action {number}" for number in draw.integers(0, 10, count).tolist()),
        next_anchors=tuple(f"state {number}" for number in states[:, 1:].ravel()[:count].tolist()),
        won=won,
    )


def _repeated(groups: Sequence[Sequence[Trajectory]], count: int) -> list[Sequence[Trajectory]]:
    """The groups again and again, each time as groups of their own, until they have ``count`` rows."""
    repeated: list[Sequence[Trajectory]] = []
    rows = 0
    while rows < count:
        members = groups[len(repeated) % len(groups)]
        repeated.append(members)
        rows += sum(len(trajectory) for trajectory in members)
    return repeated


def _seconds(work: Callable[[], object], repeats: int) -> float:
    """The median over the repeats, after one call that is not counted."""
    times = []
    for _ in range(repeats + 1):
        started = clock()
        work()
        times.append(clock() - started)
    return median(times[1:])


def _share(seconds: float, update: float) -> str:
    return f"{1000 * seconds:,.1f} ms, {seconds / update:.3%} of the update"
