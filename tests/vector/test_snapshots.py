"""Snapshots in a vector env: the same results in this process and in workers."""

from __future__ import annotations

import random
from contextlib import closing
from typing import Any

import pytest

from agentgym_hindsight.envs.snapshot_value import Snapshot
from agentgym_hindsight.errors import ResetNeededError, SchemaError, UsageError
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.vector import HindsightVectorEnv, unstack
from agentgym_hindsight.wrappers import snapshot_of
from tests.forks import FixedEnv, in_words

STAGE = Stage(settings={"data": "embedded", "max_steps": 12}, protocol="brief")


def made(workers: int, **more: Any) -> HindsightVectorEnv:
    arguments = {"data": "embedded", "max_steps": 12, "workers": workers, "wrappers": STAGE.wrappers, **more}
    return HindsightVectorEnv("ALFWorld-Hindsight-v0", 4, **arguments)


def turns(venv: HindsightVectorEnv, infos: dict[str, Any], count: int, seed: int) -> list[list[str | None]]:
    """Random actions, and per turn what each env returned; None for an env that did not play."""
    rng, results = random.Random(seed), []
    legal = [list(actions) for actions in infos["admissible_actions"]]
    for _ in range(count):
        actions = [rng.choice([*listed, "fly"]) if listed else "look" for listed in legal]
        observations, rewards, terminations, truncations, infos = venv.step(actions)
        outcomes = zip(
            observations, rewards.tolist(), terminations.tolist(), truncations.tolist(), unstack(infos), strict=True
        )
        results.append([None if info is None else in_words((*rest, info)) for *rest, info in outcomes])
        legal = [list(actions) for actions in infos["admissible_actions"]]
    return results


@pytest.mark.parametrize("workers", [0, 2])
def test_what_follows_restored_moments_is_the_same(workers: int) -> None:
    with closing(made(workers)) as venv:
        _, infos = venv.reset(seed=0)
        turns(venv, infos, 3, seed=1)
        snapshots = venv.snapshots()
        observations, infos = venv.restore(range(4), snapshots)
        first = turns(venv, infos, 4, seed=2)
        stored = [Snapshot.from_bytes(each.to_bytes()) for each in snapshots]
        assert venv.restore(range(4), stored)[0] == observations
        assert turns(venv, infos, 4, seed=2) == first
        assert all(trajectory.origin.step == 3 for trajectory in venv.trajectories() if trajectory.origin)


def test_snapshots_of_workers_and_of_this_process_are_equal() -> None:
    values = []
    for workers in (0, 2):
        with closing(made(workers)) as venv:
            _, infos = venv.reset(seed=0)
            turns(venv, infos, 3, seed=1)
            values.append([each.to_json() for each in venv.snapshots()])
    assert values[0] == values[1]


@pytest.mark.parametrize("workers", [0, 2])
def test_one_rollout_is_forked_into_others_while_the_rest_goes_on(workers: int) -> None:
    with closing(made(workers)) as venv:
        _, infos = venv.reset(seed=0)
        turns(venv, infos, 2, seed=1)
        observations, infos = venv.fork(1, into=[2, 3])
        assert observations[1] == observations[2] == observations[3] != observations[0]
        assert infos["_step"].tolist() == [False, False, True, True]
        assert infos["step"].tolist() == [2] * 4
        assert infos["raw_observation"][2] == infos["raw_observation"][3]
        observations, *_ = venv.step(["look"] * 4)
        assert observations[1] == observations[2] == observations[3]
        assert [t.origin is None for t in venv.trajectories()] == [True, True, False, False]
        assert [t.task_id for t in venv.trajectories(envs=[3, 0])] == [venv.trajectories()[k].task_id for k in (3, 0)]


def test_a_snapshot_of_one_env_is_restored_into_a_vector_env_and_back() -> None:
    with closing(STAGE.vector(2)) as venv:
        env = STAGE.make()
        env.reset(seed=3)
        env.step("look")
        venv.restore(1, snapshot_of(env))
        assert venv.active.tolist() == [False, True], "env 0 is idle"
        observations, *_, infos = venv.step([None, "inventory"])
        assert in_words((observations[1], unstack(infos)[1])) == in_words(
            (lambda result: (result[0], {**result[-1], "broken": ""}))(env.step("inventory"))
        )


def test_an_ended_rollout_is_restored_as_ended() -> None:
    with closing(made(0, max_steps=1)) as venv:
        venv.reset(seed=0)
        venv.step(["look"] * 4)
        value = venv.snapshot(0)
        _, infos = venv.restore([0, 1], value)
        assert value.over
        assert not venv.active.any()
        assert infos["_step"].tolist() == [True, True, False, False]


def test_wrong_calls_change_nothing() -> None:
    with closing(made(0)) as venv:
        with pytest.raises(ResetNeededError, match="env 0"):
            venv.snapshot(0)
        venv.reset(seed=0)
        value = venv.snapshot(0)
        calls: list[tuple[Any, Any, str]] = [
            (4, value, "from 0 to 3"),
            (True, value, "number of an env"),
            ([], [], "different envs"),
            ([0, 0], value, "different envs"),
            ([0, 1], [value], "and 1 snapshots"),
            (0, ["x"], "Expected snapshots, got str"),
        ]
        for envs, values, message in calls:
            with pytest.raises(UsageError, match=message):
                venv.restore(envs, values)
        assert venv.active.all()
        venv.step(["look"] * 4)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_value_that_does_not_fit_is_an_error_and_the_others_go_on(workers: int) -> None:
    with closing(made(workers)) as venv, closing(made(0, max_steps=13)) as other:
        other.reset(seed=0)
        venv.reset(seed=0)
        with pytest.raises(UsageError, match="max_steps=12"):
            venv.restore(0, other.snapshot(0))
        assert venv.active.tolist() == [False, True, True, True]
        damaged = venv.snapshot(1).replace(world=[1], loaded=True)
        with pytest.raises(SchemaError, match="Expected a list of 5 items"):
            venv.restore(1, damaged)
        assert venv.active.tolist() == [False, False, True, True]
        venv.step([None, None, "look", "look"])


def test_the_envs_of_a_group_keep_one_task() -> None:
    with closing(made(0, group_size=2)) as venv:
        venv.reset(seed=0)
        value = venv.snapshot(0)
        with pytest.raises(UsageError, match="one task in group 1"):
            venv.restore(2, value)
        venv.restore([2, 3], value)
        venv.restore(1, value)
        assert len({trajectory.task_id for trajectory in venv.trajectories()}) == 1


def test_a_world_without_snapshots_says_so_in_a_worker_too() -> None:
    for workers in (0, 1):
        with closing(HindsightVectorEnv(FixedEnv, 2, workers=workers)) as venv:
            venv.reset(seed=0)
            with pytest.raises(UsageError, match="which cannot"):
                venv.snapshots()
            assert venv.active.all()
            venv.step(["east", "east"])


def test_idle_envs_are_not_stepped() -> None:
    with closing(made(0)) as venv:
        venv.reset(seed=0)
        venv.idle([1, 2])
        assert venv.active.tolist() == [True, False, False, True]
        assert len(venv.trajectories()) == 2
        venv.step(["look", None, None, "look"])
        venv.idle()
        assert not venv.active.any()
