"""Reflexion's evaluation: several trials of every task; after each, the failed tasks get a reflection.

The outcome of a trial is known before the next one, as published. A solved task is not played again. So success after
trial k is that of a policy that may try k times and is told whether it has solved the task: it is not comparable with
the success of a policy that plays once, except after trial 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from agentgym_hindsight.baselines.evaluation.intervals import t_interval, wilson
from agentgym_hindsight.baselines.policies.reflexion import ReflexionPolicy, reflection_of
from agentgym_hindsight.baselines.rollout import rollout
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.tasks import Task

__all__ = ["AfterTrial", "after_trials", "last_trials", "play_trials"]

#: Task id and trial.
Place = tuple[str, int]


def play_trials(
    policy: ReflexionPolicy,
    stage: Stage,
    panel: Sequence[Task],
    trials: int = 3,
    *,
    num_envs: int = 64,
    seed: int = 0,
    stored: Mapping[Place, Trajectory] | None = None,
    progress: Callable[[int], object] | None = None,
) -> Iterator[Trajectory]:
    """Play a panel and yield every rollout; its ``sibling`` is the trial, from 0.

    A failed rollout is yielded a second time, with its reflection in ``analyses``, when its trial has ended. ``stored``
    are rollouts of an earlier run, which are not played again; a missing reflection of theirs is written now.
    """
    if trials < 1 or num_envs < 1:
        raise UsageError(f"Expected trials ≥ 1 and num_envs ≥ 1, got {trials} and {num_envs}; try 3 and 64.")
    known = dict(stored or {})
    unsolved = list(panel)
    if not unsolved:
        return
    env_options: dict[str, Any] = {"expert": True} if policy.needs_expert else {}
    venv = None
    try:
        for trial in range(trials):
            todo = [(task, trial) for task in unsolved if (task.id, trial) not in known]
            if todo and venv is None:
                venv = stage.vector(min(num_envs, len(todo)), **env_options)
            if todo and venv is not None:
                for played in rollout(venv, policy, todo, seed=seed, on_turns=progress):
                    known[played.task_id, trial] = played
                    yield played
            unsolved = [task for task in unsolved if not known[task.id, trial].won]
            if not unsolved or trial + 1 == trials:
                return
            failed = [known[task.id, trial] for task in unsolved]
            silent = [each for each in failed if not reflection_of(each)]
            for reflected in policy.reflect(silent):
                known[reflected.task_id, trial] = reflected
                if reflection_of(reflected):
                    yield reflected
            policy.remember([known[task.id, trial] for task in unsolved])
    finally:
        if venv is not None:
            venv.close()


def last_trials(rollouts: Sequence[Trajectory]) -> list[Trajectory]:
    """The last trial of every task, in the order of the tasks."""
    last: dict[str, Trajectory] = {}
    for each in rollouts:
        if each.task_id not in last or each.sibling >= last[each.task_id].sibling:
            last[each.task_id] = each
    return list(last.values())


class AfterTrial(NamedTuple):
    """The share of tasks that were solved in the first ``trial`` trials, with its 95 % interval over the tasks."""

    trial: int
    success: float
    low: float
    high: float
    tasks: int

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "trial": self.trial,
            "success": self.success,
            "interval": [self.low, self.high],
            "tasks": self.tasks,
        }


def after_trials(seeds: Sequence[Sequence[Trajectory]], trials: int) -> list[AfterTrial]:
    """Success after trial 1, 2, …, from all rollouts of one seed or of several.

    One seed: Wilson's interval. Several: Student's t over the tasks' mean success.

    >>> rollouts = [Trajectory("1f"), Trajectory("1f", sibling=1, won=True), Trajectory("2e")]
    >>> [each.success for each in after_trials([rollouts], 2)]
    [0.0, 0.5]
    """
    solved: dict[str, list[int | None]] = {}
    for number, rollouts in enumerate(seeds):
        for each in rollouts:
            first = solved.setdefault(each.task_id, [None] * len(seeds))
            earlier = first[number]
            if each.won and (earlier is None or each.sibling < earlier):
                first[number] = each.sibling
    result = []
    for trial in range(trials):
        shares = [fmean(at is not None and at <= trial for at in first) for first in solved.values()]
        if len(seeds) == 1 or len(shares) < 2:
            low, high = wilson(round(sum(shares)), len(shares))
        else:
            half = t_interval(shares).half
            low, high = max(fmean(shares) - half, 0.0), min(fmean(shares) + half, 1.0)
        result.append(AfterTrial(trial + 1, fmean(shares) if shares else 0.0, low, high, len(shares)))
    return result
