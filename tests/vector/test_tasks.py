"""Which env plays which task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agentgym_hindsight.errors import ConformanceError, UnknownNameError, UsageError
from agentgym_hindsight.tasks import Task
from agentgym_hindsight.vector import HindsightVectorEnv, unstack
from tests.toy import CorridorBackend, CorridorEnv
from tests.vector.worlds import StormyEnv, same

TASKS = [CorridorBackend().task("valid", index) for index in range(5)]
IDS = [task.id for task in TASKS]
SharedEnv = Callable[..., HindsightVectorEnv]


def played(venv: HindsightVectorEnv, **kwargs: Any) -> list[str]:
    _, infos = venv.reset(**kwargs)
    return [info["task_id"] for info in unstack(infos) if info is not None]


def test_the_task_of_a_group_depends_only_on_seed_and_group() -> None:
    ungrouped = HindsightVectorEnv(CorridorEnv, 4)
    groups = HindsightVectorEnv(CorridorEnv, 12, group_size=3)
    tasks = played(ungrouped, seed=5)
    assert played(groups, seed=5) == [task for task in tasks for _ in range(3)]
    assert len(set(tasks)) == 4
    assert played(ungrouped, seed=6) != tasks


def test_every_task_comes_once_before_any_is_repeated() -> None:
    venv = HindsightVectorEnv(CorridorEnv, 4)
    first, second, third = played(venv, seed=5), played(venv), played(venv)
    assert len({*first, *second, *third}) == 12
    assert played(venv) == first
    venv.reset(tasks=IDS[:1])
    assert played(venv) == second, "given tasks do not advance the order"
    assert played(venv, seed=5) == first


def test_reset_without_any_seed_draws_one() -> None:
    venv = HindsightVectorEnv(CorridorEnv, 3)
    assert len(set(played(venv))) == 3
    assert venv.np_random_seed is not None
    venv.reset(seed=11)
    assert venv.np_random_seed == 11


@pytest.mark.parametrize("workers", [0, 2])
def test_given_tasks_are_played(shared_env: SharedEnv, workers: int) -> None:
    venv = shared_env(StormyEnv, 4, workers=workers, group_size=2)
    assert played(venv, seed=0, tasks=IDS[:2]) == [IDS[0], IDS[0], IDS[1], IDS[1]]
    assert played(venv, tasks=[TASKS[2], IDS[3]]) == [IDS[2], IDS[2], IDS[3], IDS[3]]
    assert played(venv, tasks=[IDS[4], TASKS[4], IDS[1], IDS[1]]) == [IDS[4], IDS[4], IDS[1], IDS[1]]
    assert played(venv, options={"tasks": IDS[:2]}) == [IDS[0], IDS[0], IDS[1], IDS[1]]
    assert played(venv, options={"task_id": IDS[3]}) == [IDS[3]] * 4


@pytest.mark.parametrize("workers", [0, 2])
def test_without_enough_tasks_the_last_envs_are_idle(shared_env: SharedEnv, workers: int) -> None:
    venv = shared_env(StormyEnv, 4, workers=workers, group_size=2)
    venv.reset(seed=0)
    observations, infos = venv.reset(tasks=IDS[:1])
    assert list(venv.active) == [True, True, False, False]
    assert list(infos["_won"]) == list(venv.active)
    assert infos["goal"][0]
    assert infos["goal"][3] == observations[3] == ""
    while venv.active.any():
        _, rewards, terminations, truncations, infos = venv.step(["east", "east", None, None])
        assert not rewards[2:].any()
        assert not truncations.any(), "an idle env has no episode that could end"
    assert list(terminations) == [True, True, False, False]
    assert unstack(infos)[2:] == [None] * 2
    assert [trajectory.task_id for trajectory in venv.trajectories()] == IDS[:1] * 2


@pytest.mark.parametrize(
    ("kwargs", "cause"),
    [
        ({"tasks": []}, "got 0"),
        ({"tasks": IDS[:3]}, "got 3"),
        ({"tasks": IDS}, "got 5"),
        ({"tasks": IDS[0]}, "got a str"),
        ({"tasks": IDS[:4]}, "siblings 0 to 1"),
        ({"tasks": IDS[:2], "options": {"task_id": IDS[0]}}, "got both"),
        ({"tasks": IDS[:2], "options": {"tasks": IDS[:2]}}, "tasks once"),
        ({"options": {"colour": "red"}}, "Expected a known reset option"),
    ],
)
def test_wrong_tasks_are_refused(kwargs: dict[str, Any], cause: str) -> None:
    venv = HindsightVectorEnv(CorridorEnv, 4, group_size=2)
    with pytest.raises(UsageError, match=cause):
        venv.reset(**kwargs)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_unknown_task_raises_and_breaks_no_rollout(shared_env: SharedEnv, workers: int) -> None:
    venv = shared_env(StormyEnv, 2, workers=workers)
    venv.reset(seed=1)
    with pytest.raises(UnknownNameError, match="task id"):
        venv.reset(tasks=[IDS[0], "no such task"])
    assert not venv.active.any()
    assert played(venv, tasks=IDS[:2]) == IDS[:2]


class Arbitrary(CorridorEnv):
    """Ignores seed and options."""

    count = 0

    def _choose(self, seed: int | None, options: Any) -> Task:
        Arbitrary.count += 1
        return TASKS[Arbitrary.count % 5]


def test_the_members_of_a_group_have_to_play_one_task() -> None:
    with pytest.raises(ConformanceError, match="one task in group 0"):
        HindsightVectorEnv(Arbitrary, 2, group_size=2).reset(seed=0)
    with pytest.raises(ConformanceError, match="one task in group 0"):
        HindsightVectorEnv(Arbitrary, 1).reset(tasks=[TASKS[(Arbitrary.count + 2) % 5]])


def test_one_env_has_the_task_order_of_the_bare_env() -> None:
    env, venv = CorridorEnv(), HindsightVectorEnv(CorridorEnv, 1)
    ungrouped = [env.reset(seed=9)[1]["task_id"], env.reset()[1]["task_id"]]
    assert same([played(venv, seed=9)[0], played(venv)[0]], ungrouped)
