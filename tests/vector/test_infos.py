"""The keys and types of the batch never change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from agentgym_hindsight.envs.base import INFO_KEYS, Extra
from agentgym_hindsight.errors import ConformanceError
from agentgym_hindsight.hindsight.sources import Hindsight
from agentgym_hindsight.vector import HindsightVectorEnv, unstack
from agentgym_hindsight.vector.infos import InfoTable, object_array
from tests.toy import CorridorEnv
from tests.vector.simulated import SimulatedTransport
from tests.vector.worlds import Fickle, Late, StormyEnv

DTYPES = {bool: np.dtype(bool), float: np.dtype(float), int: np.dtype(int)}


def shape(infos: dict[str, Any]) -> dict[str, np.dtype[Any]]:
    return {key: array.dtype for key, array in infos.items()}


@pytest.mark.parametrize("workers", [0, 2])
def test_keys_and_dtypes_are_constant_also_after_failures(
    shared_env: Callable[..., HindsightVectorEnv], workers: int
) -> None:
    venv = shared_env(StormyEnv, 2, workers=workers)
    _, infos = venv.reset(seed=0)
    expected = shape(infos)
    for key, kind in {**INFO_KEYS, "extra": Extra, "broken": str}.items():
        assert expected[key] == DTYPES.get(kind, np.dtype(object))
        assert expected[f"_{key}"] == np.dtype(bool)
        assert infos[key].shape == infos[f"_{key}"].shape == (2,)
        assert all(isinstance(value, kind) for value in infos[key].tolist())
    for actions in (["east", "fly"], ["quit", "east"], [None, "quit"]):
        infos = venv.step(actions)[4]
        assert shape(infos) == expected
    assert infos["broken"][1] == "SystemExit: the simulator gave up"
    assert list(infos["_broken"]) == [False, True]
    assert infos["hindsight"][1] == Hindsight()
    assert shape(venv.reset()[1]) == expected


def test_tuples_of_equal_length_stay_tuples() -> None:
    array = object_array([("a", "b"), ("c", "d")])
    assert array.shape == (2,)
    assert array[1] == ("c", "d")


def test_unstack_gives_one_info_an_env() -> None:
    venv = HindsightVectorEnv(CorridorEnv, 3)
    env = CorridorEnv()
    _, infos = venv.reset(seed=0)
    _, info = env.reset(options={"task_id": infos["task_id"][1]})
    row = unstack(infos)[1]
    assert row == {**info, "broken": ""}
    assert [type(value) for value in row.values()] == [type(value) for value in info.values()] + [str]
    assert unstack({}) == []


def test_the_key_of_a_wrapper_has_its_own_type_and_mask() -> None:
    venv = HindsightVectorEnv(StormyEnv, 2, wrappers=[Late])
    _, infos = venv.reset(seed=0)
    assert "length" not in infos
    infos = venv.step(["fly", "quit"])[4]
    assert infos["length"].dtype == np.float64
    assert list(infos["length"]) == [3, 0]
    assert list(infos["_length"]) == [True, False]
    _, infos = venv.reset()
    assert list(infos["_length"]) == [False, False]
    assert infos["length"].dtype == np.float64


@pytest.mark.parametrize("workers", [0, 2])
def test_a_changed_type_breaks_the_rollout_and_not_the_batch(workers: int) -> None:
    transport = SimulatedTransport() if workers else None
    venv = HindsightVectorEnv(StormyEnv, 2, wrappers=[Fickle], workers=workers, transport=transport)
    venv.reset(seed=0)
    _, _, _, truncations, infos = venv.step(["west", "east"])
    assert infos["broken"][0].startswith("ConformanceError: Expected info['bonus'] of type int")
    assert infos["bonus"].dtype == np.dtype(int)
    assert list(truncations) == [True, False]
    venv.step([None, "east"])
    venv.close()


def test_the_first_value_sets_the_type_of_a_key() -> None:
    table = InfoTable(2)
    blank = {key: table[0][key] for key in table[0]}
    more = {
        "flag": np.bool_(True),
        "count": np.int64(3),
        "share": np.float32(0.5),
        "name": "x",
        "pair": (1, 2),
        "box": {},
    }
    table.store(0, {**blank, **more})
    batch = table.batch(np.array([True, True]), ["", ""])
    assert [batch[key].dtype.kind for key in more] == ["b", "i", "f", "O", "O", "O"]
    assert [batch[key].tolist()[1] for key in more] == [False, 0, 0.0, "", (), None]
    assert not batch["_flag"][1]
    table.store(1, {**blank, **more, "share": 1})
    assert table.batch(np.array([True, True]), ["", ""])["_flag"].all()
    for key, value in (("flag", 1), ("count", True), ("count", 0.5), ("share", None), ("won", None)):
        with pytest.raises(ConformanceError, match=key):
            table.store(1, {**blank, **more, key: value})
