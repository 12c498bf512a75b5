"""Envs in workers: sends requests in parallel, watches timeouts, replaces lost workers and closes all."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from agentgym_hindsight.errors import UsageError, WorkerError
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.vector.delta_encoding import OutcomeDecoder
from agentgym_hindsight.vector.host import Broken, Description, Job, Outcome, reason
from agentgym_hindsight.vector.transport import Link, Transport
from agentgym_hindsight.vector.worker import Failed, WorkerSetup

__all__ = ["WorkerEnvs"]

_START_S = 120.0  # imports and the first env, on a loaded machine
_CLOSE_S = 3.0


class WorkerEnvs:
    """Each worker has some consecutive envs. If a worker is lost, only its own rollouts break."""

    def __init__(
        self, factory: Callable[[], Any], num_envs: int, workers: int, timeout_s: float, transport: Transport
    ) -> None:
        # A dependency of Gymnasium. It can also pickle lambdas and classes of the main script.
        import cloudpickle  # type: ignore[import-untyped]

        self._timeout_s, self._transport, self._pid = timeout_s, transport, os.getpid()
        ends = [num_envs * place // workers for place in range(workers + 1)]
        self._shares = [range(start, end) for start, end in pairwise(ends)]
        self._owner = {index: place for place, share in enumerate(self._shares) for index in share}
        try:
            self._setups = [cloudpickle.dumps(WorkerSetup(factory, share)) for share in self._shares]
        except Exception as error:
            raise UsageError(
                f"Expected an env and wrappers that can be sent to a worker process, got {reason(error)}; "
                "try workers=0, or open files and connections inside the factory."
            ) from error
        self._workers: list[Link | None] = [None] * workers
        self._decoders = [OutcomeDecoder() for _ in range(num_envs)]
        try:
            for place in range(workers):
                self._start(place)
        except BaseException:
            self.close()
            raise

    def describe(self) -> Description:
        worker = self._start(0)
        try:
            while worker.description is None:
                if not self._transport.ready([worker], _START_S):
                    raise WorkerError(
                        f"Expected a worker process to start within {_START_S:g} s; try workers=0 to debug."
                    )
                worker.read()
        except EOFError:
            raise WorkerError(f"Expected a worker process to start, but it {self._stop(0)}; try workers=0.") from None
        return worker.description

    def reset(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Outcome]]:
        for place, worker in enumerate(self._workers):
            if worker is not None and not self._alive(worker):  # no rollout is running, so none breaks
                self._replace(place)
        for job in jobs:
            self._decoders[job.env].reset()
        return self._outcomes("reset", [(job.env, job) for job in jobs])

    def step(self, actions: Sequence[tuple[int, str]]) -> Iterator[tuple[int, Outcome]]:
        return self._outcomes("step", actions)

    def trajectory(self, index: int) -> Trajectory | None:
        return self._decoders[index].trajectory()

    def render(self) -> tuple[Any, ...]:
        pictures = dict(self._exchange("render", [(index, None) for index in self._owner]))
        for picture in pictures.values():
            if isinstance(picture, Failed):
                raise picture.error
        return tuple(None if isinstance(pictures[index], Broken) else pictures[index] for index in self._owner)

    def close(self) -> None:
        """Request every worker to close, then end it. Does nothing in a fork of the parent process."""
        if os.getpid() != self._pid:
            return
        workers = [worker for worker in self._workers if worker is not None]
        self._workers = [None] * len(self._workers)
        for worker in workers:
            worker.request_close()
        deadline = time.monotonic() + _CLOSE_S
        for worker in workers:
            with contextlib.suppress(Exception):
                while self._transport.ready([worker], max(0.0, deadline - time.monotonic())):
                    worker.read()  # until EOFError: the worker has exited
            worker.terminate()

    # -- internal ------------------------------------------------------------------------------------------------

    def _start(self, place: int) -> Link:
        worker = self._workers[place]
        if worker is None:
            worker = self._workers[place] = self._transport.start(self._setups[place], self._timeout_s)
        return worker

    def _alive(self, worker: Link) -> bool:
        """Whether a worker is alive. Only valid while no answer is due."""
        try:
            while self._transport.ready([worker], 0):
                worker.read()
        except Exception:
            return False
        return True

    def _stop(self, place: int) -> str:
        worker, self._workers[place] = self._workers[place], None
        return "" if worker is None else worker.terminate()

    def _replace(self, place: int) -> str:
        how = self._stop(place)
        self._start(place)  # starts now, while the other workers play
        return how

    def _outcomes(self, verb: str, requests: Sequence[tuple[int, Any]]) -> Iterator[tuple[int, Outcome]]:
        errors: list[Exception] = []
        for index, answer in self._exchange(verb, requests):
            if isinstance(answer, Failed):
                errors.append(answer.error)
            else:
                yield index, answer if isinstance(answer, Broken) else self._decoders[index].decode(answer)
        if errors:
            raise errors[0]

    def _exchange(self, verb: str, requests: Sequence[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
        """Send every worker its share and yield the answers as they arrive. A worker lost meanwhile is replaced."""
        shares: dict[int, list[tuple[int, Any]]] = {}
        for index, request in requests:
            shares.setdefault(self._owner[index], []).append((index, request))
        due = {place: len(share) for place, share in shares.items()}
        # If a worker is found dead before it started a rollout, retry once: it may have died before the request.
        again = set(shares) if verb == "reset" else set()
        try:
            deadlines = {place: self._send(place, verb, share) for place, share in shares.items()}
            while due:
                for place in self._ready({place: deadlines[place] for place in due}):
                    try:
                        answers = self._receive(place)
                    except EOFError:
                        how = self._replace(place)
                        if place in again:
                            again.discard(place)
                            deadlines[place] = self._send(place, verb, shares[place])
                            continue
                        answers = self._broken_outcomes(
                            place, WorkerError(f"the worker process {how}, and this rollout with it")
                        )
                        due[place] = 0
                    except Exception as error:
                        self._replace(place)
                        answers = self._broken_outcomes(place, error)
                        due[place] = 0
                    else:
                        due[place] -= len(answers)
                        deadlines[place] = self._deadline(place)
                    if answers:
                        again.discard(place)
                    if due[place] <= 0:
                        del due[place]
                    yield from answers
        except BaseException:  # for example Ctrl-C: nobody will read the outstanding answers
            for place in range(len(self._workers)):
                self._stop(place)
            raise

    def _send(self, place: int, verb: str, share: list[tuple[int, Any]]) -> float:
        self._start(place).send(verb, share)
        return self._deadline(place)

    def _deadline(self, place: int) -> float:
        """The time limit of the next answer. It applies to one answer and not to the whole share."""
        starting = _START_S if self._start(place).description is None else 0.0
        return time.monotonic() + self._timeout_s + starting

    def _ready(self, deadlines: dict[int, float]) -> list[int]:
        """The workers that have sent something or exceeded their time limit."""
        places = {self._start(place): place for place in deadlines}
        ready = self._transport.ready(list(places), max(0.0, min(deadlines.values()) - time.monotonic()))
        now = time.monotonic()
        late = [place for place, deadline in deadlines.items() if deadline <= now]
        return list(dict.fromkeys([places[worker] for worker in ready] + late))

    def _receive(self, place: int) -> list[tuple[int, Any]]:
        worker = self._start(place)
        if self._transport.ready([worker], 0):
            return worker.read()
        raise WorkerError(
            f"the worker process gave no answer within {self._timeout_s:g} s and was replaced; try a larger timeout_s"
        )

    def _broken_outcomes(self, place: int, error: Exception) -> list[tuple[int, Any]]:
        """All envs of the worker are lost, including those that had answered already."""
        return [(index, Broken(reason(error))) for index in self._shares[place]]
