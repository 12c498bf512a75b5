"""A transport whose workers run in this process: the whole protocol without processes, on a simulated clock."""

from __future__ import annotations

import math
import pickle
from collections.abc import Sequence
from typing import Any

from agentgym_hindsight.vector.transport import Link
from agentgym_hindsight.vector.worker import EnvServer

#: Seconds of simulated time that an answer to these actions takes. Other actions take none.
DELAYS = {"slow": 0.4, "never": math.inf}


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


class SimulatedLink(Link):
    """A worker in this process, whose answers arrive after the simulated time of their actions."""

    def __init__(self, clock: Clock, setup: bytes) -> None:
        super().__init__()
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

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock, self.started = clock or Clock(), 0

    def start(self, setup: bytes, timeout_s: float) -> Link:
        self.started += 1
        return SimulatedLink(self.clock, setup)

    def ready(self, links: Sequence[SimulatedLink], timeout_s: float) -> list[SimulatedLink]:
        first = min(link.next_arrival() for link in links)
        self.clock.now = max(self.clock.now, min(first, self.clock.now + timeout_s))
        return [link for link in links if link.next_arrival() <= self.clock.now]
