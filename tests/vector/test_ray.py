"""The same vector env over Ray, if it is installed."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.errors import MissingExtraError, UsageError
from agentgym_hindsight.installation import pip_command
from agentgym_hindsight.vector import HindsightVectorEnv, RayWorkers
from tests.vector.worlds import StormyEnv, same, words


def test_without_ray_the_error_gives_the_pip_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=re.escape(pip_command("ray"))):
        RayWorkers()


def test_a_transport_needs_workers() -> None:
    with pytest.raises(UsageError, match="workers ≥ 1"):
        HindsightVectorEnv(StormyEnv, 2, transport=object())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    if find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    import ray

    root = str(Path(__file__).parents[2])
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": {"PYTHONPATH": root}})
    yield ray
    ray.shutdown()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
class TestOverRay:
    def test_results_equal_those_of_one_process(self, ray: Any) -> None:
        transport = RayWorkers(num_cpus=0.1)
        local = HindsightVectorEnv(StormyEnv, 4, group_size=2, expert=True)
        remote = HindsightVectorEnv(StormyEnv, 4, group_size=2, expert=True, workers=2, transport=transport)
        assert same(local.reset(seed=3), remote.reset(seed=3))
        turn = 0
        while local.active.any():
            actions = words(turn, 4, ("east", "east", "crash", "fly", "east"))
            turn += 1
            local_result, remote_result = local.step(actions), remote.step(actions)
            assert same(local_result, remote_result)
            assert [h.episode for h in local_result[4]["hindsight"]] == [
                h.episode for h in remote_result[4]["hindsight"]
            ]
        assert same(local.trajectories(), remote.trajectories())
        remote.close()

    def test_lost_and_hung_actors_are_replaced(self, ray: Any) -> None:
        venv = HindsightVectorEnv(StormyEnv, 3, workers=3, timeout_s=2, transport=RayWorkers(num_cpus=0.1))
        venv.reset(seed=0)
        *_, infos = venv.step(["kill", "east", "hang"])
        assert infos["broken"][0].startswith("WorkerError: the worker process was lost")
        assert infos["broken"][1] == ""
        assert "no answer within 2 s" in infos["broken"][2]
        venv.step([None, "east", None])
        assert [len(trajectory) for trajectory in venv.trajectories()] == [0, 2, 0]
        assert not any(venv.reset(seed=0)[1]["broken"])
        venv.step(["east"] * 3)
        venv.close()
