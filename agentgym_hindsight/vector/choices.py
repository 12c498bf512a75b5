"""What the caller of ``reset`` chooses: the envs that start, and their tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.tasks import Task

__all__ = ["checked_seed", "chosen_envs", "task_id", "tasks_per_env"]


def chosen_envs(mask: object, num_envs: int, group_size: int) -> list[int]:
    """The envs that ``options["reset_mask"]`` names: Gymnasium's rules, and whole groups."""
    if not isinstance(mask, np.ndarray) or mask.shape != (num_envs,) or mask.dtype != np.bool_:
        got = f"{mask.dtype} of shape {mask.shape}" if isinstance(mask, np.ndarray) else type(mask).__name__
        raise UsageError(
            f"Expected options['reset_mask'] as a NumPy array of {num_envs} bools, got {got}; "
            "try np.logical_or(terminations, truncations)."
        )
    if not mask.any():
        raise UsageError("Expected options['reset_mask'] with an env to reset, got none; try to leave out the reset.")
    groups = mask.reshape(-1, group_size)
    if (groups.any(axis=1) != groups.all(axis=1)).any():
        raise UsageError(
            f"Expected options['reset_mask'] to name whole groups of {group_size}, whose envs share a task, got a part "
            "of one; try resetting a group when all its envs have ended, or group_size=1."
        )
    return [int(index) for index in mask.nonzero()[0]]


def tasks_per_env(tasks: Sequence[Task | str], num_envs: int, group_size: int, *, all_play: bool) -> list[Task | str]:
    """The task of each of ``num_envs`` envs. The envs of a group have the same task.

    There may be fewer tasks than groups: then the first envs play. ``all_play``: there must be a task for every env.
    """
    if isinstance(tasks, str):
        raise UsageError("Expected a list of tasks, got a str; try tasks=[id].")
    task_list, groups = list(tasks), num_envs // group_size
    for task in task_list:
        if not isinstance(task, (Task, str)):
            raise UsageError(f"Expected tasks or task ids, got {task!r}; try tasks=[…] without gaps.")
    if (groups if all_play else 1) <= len(task_list) <= groups:
        return [task for task in task_list for _ in range(group_size)]
    if len(task_list) != num_envs:
        if all_play:
            raise UsageError(
                f"Expected a task for each of the {num_envs} envs in the reset_mask ({groups} groups), got "
                f"{len(task_list)} tasks; try a mask with fewer envs."
            )
        raise UsageError(
            f"Expected {num_envs} tasks (one per env) or 1 to {groups} (one per group), got {len(task_list)}; "
            "try slices of a long panel."
        )
    for start in range(0, num_envs, group_size):
        ids = {task_id(task) for task in task_list[start : start + group_size]}
        if len(ids) > 1:
            raise UsageError(
                f"Expected one task for the siblings {start} to {start + group_size - 1}, got {len(ids)}; "
                f"try one task per group ({groups} of them)."
            )
    return task_list


def task_id(task: Task | str) -> str:
    """The id of a task that is given as a task or as its id."""
    return task.id if isinstance(task, Task) else task


def checked_seed(seed: Any) -> int | None:
    """The seed of a reset. Gymnasium's vector envs also take one seed per env, which has no meaning here."""
    if seed is None or (isinstance(seed, (int, np.integer)) and not isinstance(seed, bool)):
        return None if seed is None else int(seed)
    raise UsageError(
        f"Expected one seed, which draws the order of the tasks of all envs, got {seed!r}; try seed=0, or tasks=[…]."
    )
