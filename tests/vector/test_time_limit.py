"""The time limit of a worker, with a simulated clock and with real processes that do not answer."""

from __future__ import annotations

import math
import os
import pickle
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from agentgym_hindsight.vector import HindsightVectorEnv, pool
from agentgym_hindsight.vector.pool import WorkerEnvs
from agentgym_hindsight.vector.transport import Link
from agentgym_hindsight.vector.worker import EnvServer
from tests.toy import CorridorEnv
from tests.vector.worlds import StormyEnv

#: Seconds of simulated time that an answer to these actions takes. Other actions take none.
DELAYS = {"slow": 0.4, "never": math.inf}


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


class SimulatedLink(Link):
    """A worker in this process, whose answers arrive after the simulated time of their actions."""

    def __init__(self, clock: Clock, setup: bytes, indices: range) -> None:
        super().__init__(indices)
        self.clock, self.server = clock, EnvServer(setup)
        self.arrivals = [(clock.now, self.server.describe())]
        self.closed = False

    def send(self, verb: str, share: Sequence[tuple[int, Any]]) -> None:
        arrival = self.clock.now
        for index, request in share:
            arrival += DELAYS.get(request, 0.0) if isinstance(request, str) else 0.0
            answer = self.server.answer(verb, index, request) if arrival < math.inf else b""
            self.arrivals.append((arrival, answer))

    def request_close(self) -> None:
        self.closed = True

    def terminate(self) -> str:
        return "was ended"

    def next_arrival(self) -> float:
        return self.clock.now if self.closed else self.arrivals[0][0] if self.arrivals else math.inf

    def _messages(self) -> list[Any]:
        if self.closed:
            raise EOFError
        messages = []
        while self.arrivals and self.arrivals[0][0] <= self.clock.now:
            messages.append(pickle.loads(self.arrivals.pop(0)[1]))
        return messages


class SimulatedTransport:
    """Waiting advances the clock to the next arrival, or by the whole time limit."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.started = clock, 0

    def start(self, setup: bytes, indices: range, timeout_s: float) -> Link:
        self.started += 1
        return SimulatedLink(self.clock, setup, indices)

    def ready(self, links: Sequence[SimulatedLink], timeout_s: float) -> list[SimulatedLink]:
        first = min(link.next_arrival() for link in links)
        self.clock.now = max(self.clock.now, min(first, self.clock.now + timeout_s))
        return [link for link in links if link.next_arrival() <= self.clock.now]


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
