"""The time limit of a worker, with a simulated clock and with real processes that do not answer."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from agentgym_hindsight.vector import HindsightVectorEnv, pool
from agentgym_hindsight.vector.pool import WorkerEnvs
from tests.toy import CorridorEnv
from tests.vector.simulated import Clock, SimulatedTransport
from tests.vector.worlds import StormyEnv


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pool, "time", clock)
    return clock


def test_the_time_limit_applies_to_one_answer(clock: Clock) -> None:
    transport = SimulatedTransport(clock)
    venv = HindsightVectorEnv(CorridorEnv, 4, workers=2, timeout_s=0.7, transport=transport)
    venv.reset(seed=0)
    _, _, _, truncations, _ = venv.step(["slow"] * 4)
    assert clock.now == pytest.approx(0.8), "two answers of one worker together exceed the limit"
    assert not truncations.any()
    _, _, _, truncations, infos = venv.step(["east", "east", "never", "east"])
    assert clock.now == pytest.approx(0.8 + 0.7)
    assert list(truncations) == [False, False, True, True]
    assert "no answer within 0.7 s and was replaced; try a larger timeout_s" in infos["broken"][2]
    assert transport.started == 3
    assert [len(trajectory) for trajectory in venv.trajectories()] == [2, 2, 1, 1]
    venv.step(["east", "east", None, None])
    venv.reset()
    assert venv.active.all()
    venv.close()


def give_up_at_once(monkeypatch: pytest.MonkeyPatch, venv: HindsightVectorEnv, lost: int) -> WorkerEnvs:
    """Shorten the time limit of one worker. The others keep theirs, so a loaded machine cannot break them."""
    envs = venv._pool
    assert isinstance(envs, WorkerEnvs)
    limit = envs._deadline
    monkeypatch.setattr(envs, "_deadline", lambda place: time.monotonic() + 0.1 if place == lost else limit(place))
    return envs


def test_a_hanging_process_is_replaced(
    shared_env: Callable[..., HindsightVectorEnv], monkeypatch: pytest.MonkeyPatch
) -> None:
    venv = shared_env(StormyEnv, 4, workers=2, group_size=2)
    venv.reset(seed=0)
    with monkeypatch.context() as patch:
        give_up_at_once(patch, venv, 1)
        _, _, _, truncations, infos = venv.step(["east", "east", "hang", "east"])
    assert list(truncations) == [False, False, True, True]
    assert "and was replaced" in infos["broken"][2]
    venv.step(["east", "east", None, None])
    assert not any(venv.reset()[1]["broken"])
    assert venv.active.all()


def test_a_stopped_process_is_replaced(
    shared_env: Callable[..., HindsightVectorEnv], monkeypatch: pytest.MonkeyPatch
) -> None:
    venv = shared_env(StormyEnv, 4, workers=2, group_size=2)
    venv.reset(seed=0)
    with monkeypatch.context() as patch:
        stopped = give_up_at_once(patch, venv, 0)._workers[0]
        patch.setattr(stopped, "_send_s", 0.1)  # its socket does not take the whole message
        os.kill(stopped.process.pid, signal.SIGSTOP)  # type: ignore[union-attr]
        _, _, _, truncations, _ = venv.step(["x" * 1_000_000, "east", "east", "east"])
    assert list(truncations) == [True, True, False, False]
    assert not any(venv.reset()[1]["broken"])
