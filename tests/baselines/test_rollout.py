"""Rollouts of a policy in a vector env over a panel."""

from __future__ import annotations

from contextlib import closing

import pytest

from agentgym_hindsight.baselines.policies import RandomPolicy, TurnView
from agentgym_hindsight.baselines.rollout import assignments, rollout
from agentgym_hindsight.errors import BackendError, UsageError
from agentgym_hindsight.hindsight.trajectory import Trajectory, group_by_task
from agentgym_hindsight.tasks import Task
from agentgym_hindsight.vector import HindsightVectorEnv
from tests.toy import CorridorBackend, CorridorEnv

TASKS = [CorridorBackend().task("train", index) for index in range(5)]


def play(width: int, workers: int = 0, tasks: list[Task] = TASKS) -> list[Trajectory]:
    with closing(HindsightVectorEnv(CorridorEnv, width, workers=workers)) as venv:
        return list(rollout(venv, RandomPolicy(1), assignments(tasks, siblings=3)))


def test_rollouts_do_not_depend_on_the_number_of_envs_and_workers() -> None:
    one = play(1)
    assert len(one) == 15
    assert play(4) == one
    assert play(7, workers=2) == one
    groups = group_by_task(one)
    assert [len(group) for group in groups] == [3] * 5
    assert [t.sibling for t in groups[0]] == [0, 1, 2]
    assert {t.policy for t in one} == {"random"}


def test_finished_rollouts_are_not_played_again() -> None:
    todo = assignments(TASKS, siblings=2, done={(TASKS[0].id, 0), (TASKS[4].id, 1)})
    assert len(todo) == 8
    assert todo[0] == (TASKS[0], 1)


class Crashing:
    """Goes east, and crashes one env."""

    name = "crashing"

    def act(self, turns: list[TurnView]) -> list[str]:
        return ["crash" if t.task_id == TASKS[2].id and t.step == 1 else "east" for t in turns]


def test_a_broken_rollout_is_data() -> None:
    with closing(HindsightVectorEnv(CorridorEnv, 5)) as venv:
        played = list(rollout(venv, Crashing(), assignments(TASKS)))
    assert [bool(t.broken) for t in played] == [False, False, True, False, False]
    assert "collapsed" in played[2].broken
    assert len(played[2]) == 1, "the turn before the crash is kept"
    assert [t.won for t in played] == [True, True, False, True, True]


class Leaving:
    """Goes east, crashes one env, and is gone at the fifth turn, when the shortest corridors are behind it."""

    name = "leaving"

    def act(self, turns: list[TurnView]) -> list[str]:
        if turns[0].step == 4:
            raise BackendError("Expected answers, got none; try starting the server.")
        return ["crash" if t.task_id == TASKS[2].id else "east" for t in turns]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_policy_that_is_gone_leaves_finished_and_broken_rollouts(workers: int) -> None:
    played: list[Trajectory] = []
    with closing(HindsightVectorEnv(CorridorEnv, 5, workers=workers)) as venv:
        with pytest.raises(BackendError, match="starting the server"):
            played.extend(rollout(venv, Leaving(), assignments(TASKS)))
        again = list(rollout(venv, RandomPolicy(1), assignments(TASKS)))
    assert not any(trajectory.broken for trajectory in again), "the envs can be used again"
    assert [trajectory.task_id for trajectory in played] == [task.id for task in TASKS]
    assert [trajectory.won for trajectory in played] == [True, False, False, True, False]
    assert [trajectory.broken.partition(",")[0] for trajectory in played[:2]] == ["", "Expected answers"]
    assert "collapsed" in played[2].broken, "an env that broke keeps its own reason"
    assert [len(trajectory) for trajectory in played] == [4, 4, 0, 4, 4], "the turns that were played are kept"


class Silent:
    name = "silent"

    def act(self, turns: list[TurnView]) -> list[str]:
        return []


def test_errors() -> None:
    with (
        closing(HindsightVectorEnv(CorridorEnv, 4, group_size=2)) as venv,
        pytest.raises(UsageError, match="group_size"),
    ):
        next(rollout(venv, RandomPolicy(), assignments(TASKS)))
    with closing(HindsightVectorEnv(CorridorEnv, 2)) as venv, pytest.raises(UsageError, match="2 answers"):
        next(rollout(venv, Silent(), assignments(TASKS)))
    with pytest.raises(UsageError, match="siblings=0"):
        assignments(TASKS, siblings=0)
