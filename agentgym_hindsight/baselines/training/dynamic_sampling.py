"""Dynamic sampling, as in DAPO (arXiv 2503.14476): more tasks are played until enough groups have a gradient.

Group-relative credit is 0 in a group whose rollouts all have the same return. With ``plan.rounds`` above 1, an update
plays ``plan.tasks`` further tasks as long as fewer than ``plan.tasks`` groups vary, and trains on the groups that vary.
DAPO cuts the batch to its nominal size; here all groups that vary are kept, because their turns have been paid for.
"""

from __future__ import annotations

from collections.abc import Sequence

from agentgym_hindsight.baselines.rollout import Episode
from agentgym_hindsight.baselines.training.collectives import Processes

__all__ = ["groups_that_vary", "trained_episodes"]


def groups_that_vary(episodes: Sequence[Episode]) -> set[str]:
    """The ids of the tasks whose complete rollouts have more than one return."""
    returns: dict[str, set[float]] = {}
    for trajectory, _ in episodes:
        if not trajectory.broken:
            returns.setdefault(trajectory.task_id, set()).add(trajectory.total_reward)
    return {task_id for task_id, values in returns.items() if len(values) > 1}


def trained_episodes(episodes: Sequence[Episode], processes: Processes) -> list[Episode]:
    """The episodes of the groups that vary; all episodes if none of any process does, so that an update has rows."""
    varying = groups_that_vary(episodes)
    if not processes.total(len(varying)):
        return list(episodes)
    return [episode for episode in episodes if episode.trajectory.task_id in varying]
