"""The vector env through Gymnasium's API."""

from __future__ import annotations

import importlib.util
import pickle
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers.vector import RecordEpisodeStatistics

from agentgym_hindsight import vector
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.registration import ENVS
from agentgym_hindsight.spaces import UnicodeText
from agentgym_hindsight.vector import HindsightVectorEnv, unstack
from tests.toy import CorridorEnv
from tests.vector.worlds import Judged, same

ID = "Test/Corridor-Vector-v0"
ENTRY = "agentgym_hindsight.vector:make_Test_Corridor_Vector_v0"


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    gym.register(ID, "tests.toy:CorridorEnv", vector_entry_point=ENTRY, order_enforce=False, kwargs={"max_steps": 7})
    yield
    del gym.registry[ID]


@pytest.mark.parametrize("workers", [0, 2])
def test_make_vec(workers: int) -> None:
    venv: Any = gym.make_vec(ID, num_envs=4, workers=workers, group_size=2, split="valid")
    assert isinstance(venv, HindsightVectorEnv)
    assert (venv.num_envs, venv.group_size, venv.workers, venv.spec.id) == (4, 2, workers, ID)
    _, infos = venv.reset(seed=0)
    for _ in range(7):
        _, _, _, truncations, infos = venv.step(["fly"] * 4)
    assert truncations.all()
    assert {t.env_id for t in venv.trajectories()} == {ID}
    assert {t.split for t in venv.trajectories()} == {"valid"}
    assert len(infos["hindsight"][0].episode) == 7
    venv.close()


def test_an_id_can_name_the_module_to_import() -> None:
    venv = HindsightVectorEnv(f"tests.toy:{ID}", 2, wrappers=[Judged])
    assert venv.spec is not None
    _, infos = venv.reset(seed=0)
    assert "penalty" in infos
    with pytest.raises(gym.error.Error, match="doesn't exist"):
        HindsightVectorEnv("Test/No-Such-v0", 2)


def test_only_registered_names_can_be_made() -> None:
    with pytest.raises(AttributeError, match="make_nothing"):
        _ = vector.make_nothing
    with pytest.raises(AttributeError, match="other"):
        _ = vector.other
    for entry in ENVS:
        assert callable(getattr(vector, str(gym.spec(entry.id).vector_entry_point).partition(":")[2]))


def test_spaces_are_batched() -> None:
    venv = HindsightVectorEnv(ID, 3)
    assert isinstance(venv.single_observation_space, UnicodeText)
    assert isinstance(venv.observation_space, gym.spaces.Tuple)
    observations, _ = venv.reset(seed=0)
    assert observations in venv.observation_space
    assert venv.action_space.contains(("east", "fly", "ä"))
    venv.action_space.seed(0)
    assert all(isinstance(action, str) for action in venv.action_space.sample())


@pytest.mark.parametrize("workers", [0, 2])
def test_render(workers: int) -> None:
    silent = HindsightVectorEnv(ID, 2)
    assert silent.render() is None
    venv = HindsightVectorEnv(ID, 2, render_mode="ansi", workers=workers)
    assert venv.render_mode == "ansi"
    venv.reset(seed=0)
    pictures = venv.render()
    assert pictures is not None
    assert "turn 0/7" in pictures[1]
    venv.close()


def test_vector_wrappers_work() -> None:
    venv: Any = RecordEpisodeStatistics(HindsightVectorEnv(CorridorEnv, 2))
    tasks = [CorridorEnv().backend.task("valid", index).id for index in (0, 1)]
    _, infos = venv.reset(options={"tasks": tasks})
    assert list(infos["task_id"]) == tasks
    venv.step(["east", "east"])
    venv.close()


def test_async_vector_env_with_shared_memory_is_refused() -> None:
    with pytest.raises(UsageError, match=r"AsyncVectorEnv with shared memory.*try gym\.make_vec"):
        gym.vector.AsyncVectorEnv([CorridorEnv])


def test_sync_vector_env_gives_the_same_results() -> None:
    gymnasium_env = gym.vector.SyncVectorEnv([CorridorEnv] * 3)
    our_env = HindsightVectorEnv(CorridorEnv, 3)
    _, infos = our_env.reset(seed=0)
    ids = [info["task_id"] for info in unstack(infos) if info]
    for env, task_id in zip(gymnasium_env.envs, ids, strict=True):
        env.reset(options={"task_id": task_id})
    gymnasium_env._autoreset_envs = np.zeros(3, dtype=bool)
    actions = ["east", "fly", "east"]
    our_result, gymnasium_result = our_env.step(actions), gymnasium_env.step(actions)
    assert our_result[0] == gymnasium_result[0]
    for value, expected in zip(our_result[1:4], gymnasium_result[1:4], strict=True):
        assert same(value, expected)
    for key, column in gymnasium_result[4].items():
        if key != "extra":
            assert list(our_result[4][key]) == list(column), key
    gymnasium_env.close()


def test_the_spec_can_be_pickled() -> None:
    spec = gym.spec(ID)
    assert pickle.loads(pickle.dumps(spec)) == spec


@pytest.mark.parametrize(
    ("kwargs", "cause"),
    [
        ({"num_envs": 0}, "num_envs ≥ 1"),
        ({"workers": -1}, "workers ≥ 0"),
        ({"group_size": 3}, "divides num_envs=4"),
        ({"group_size": 0}, "divides num_envs=4"),
        ({"timeout_s": 0}, "timeout_s > 0"),
    ],
)
def test_invalid_settings_are_refused(kwargs: dict[str, Any], cause: str) -> None:
    with pytest.raises(UsageError, match=cause):
        HindsightVectorEnv(CorridorEnv, **{"num_envs": 4, **kwargs})


@pytest.mark.skipif(
    importlib.util.find_spec("agentgym_hindsight.envs.alfworld.env") is None, reason="the env is not there yet"
)
@pytest.mark.parametrize("workers", [0, 2])
def test_alfworld(workers: int) -> None:
    venv: Any = gym.make_vec(
        "ALFWorld-Hindsight-v0", num_envs=4, group_size=2, workers=workers, data="embedded", expert=True
    )
    _, infos = venv.reset(seed=0)
    while venv.active.any():
        *_, infos = venv.step(list(infos["expert_action"]))
    assert all(trajectory.won for trajectory in venv.trajectories())
    assert len(infos["hindsight"][0].episode) == len(venv.trajectories()[0])
    venv.close()
