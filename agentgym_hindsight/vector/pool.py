"""Runs envs in workers: sends requests in parallel, applies time limits, replaces lost workers, closes all workers.

Each worker has a slot: a number that its replacement takes over.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import chain, pairwise
from typing import Any

from agentgym_hindsight.envs.snapshot_value import Snapshot
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
    """Each worker has some consecutive envs. If a worker is lost, only the rollouts of its envs break."""

    def __init__(
        self, factory: Callable[[], Any], num_envs: int, workers: int, timeout_s: float, transport: Transport
    ) -> None:
        # A dependency of Gymnasium. Unlike pickle it can pickle lambdas and classes of the main script.
        import cloudpickle  # type: ignore[import-untyped]

        self._timeout_s, self._transport, self._pid = timeout_s, transport, os.getpid()
        ends = [num_envs * slot // workers for slot in range(workers + 1)]
        self._shares = [range(start, end) for start, end in pairwise(ends)]
        self._slot_of = {index: slot for slot, share in enumerate(self._shares) for index in share}
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
            for slot in range(workers):
                self._start(slot)
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
        """Start rollouts. If a worker is lost, the rollouts of its other envs break."""
        return self._begin("reset", [(job.env, job) for job in jobs])

    def restore(self, values: Sequence[tuple[int, Snapshot]]) -> Iterator[tuple[int, Outcome]]:
        """Continue from snapshots, as :meth:`reset` starts rollouts."""
        return self._begin("restore", values)

    def snapshots(self, envs: Sequence[int]) -> list[Snapshot]:
        """The present moment of some envs."""
        answers = dict(self._exchange("snapshot", [(index, None) for index in envs]))
        for answer in answers.values():
            if isinstance(answer, Failed):
                raise answer.error
            if isinstance(answer, Broken):
                raise WorkerError(f"Expected a snapshot from a worker, but {answer.why}; try reset().")
        return [answers[index] for index in envs]

    def _begin(self, verb: str, requests: Sequence[tuple[int, Any]]) -> Iterator[tuple[int, Outcome]]:
        starting = {index for index, _ in requests}
        lost: list[tuple[int, Outcome]] = []
        for slot, worker in enumerate(self._workers):
            if worker is not None and not self._alive(worker):
                lost += self._lost_with_worker(slot, self._replace(slot), without=starting)
        for index, _ in requests:
            self._decoders[index].reset()
        return chain(lost, self._outcomes(verb, requests))

    def step(self, actions: Sequence[tuple[int, str]]) -> Iterator[tuple[int, Outcome]]:
        return self._outcomes("step", actions)

    def trajectory(self, index: int) -> Trajectory | None:
        return self._decoders[index].trajectory()

    def render(self) -> tuple[Any, ...]:
        pictures = dict(self._exchange("render", [(index, None) for index in self._slot_of]))
        for picture in pictures.values():
            if isinstance(picture, Failed):
                raise picture.error
        return tuple(None if isinstance(pictures[index], Broken) else pictures[index] for index in self._slot_of)

    def close(self) -> None:
        """Send every worker a close request, then kill it. Does nothing in a fork of the parent process."""
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

    def _start(self, slot: int) -> Link:
        worker = self._workers[slot]
        if worker is None:
            worker = self._workers[slot] = self._transport.start(self._setups[slot], self._timeout_s)
        return worker

    def _alive(self, worker: Link) -> bool:
        """Whether a worker is alive. Only valid while no answer is due."""
        try:
            while self._transport.ready([worker], 0):
                worker.read()
        except Exception:
            return False
        return True

    def _stop(self, slot: int) -> str:
        worker, self._workers[slot] = self._workers[slot], None
        return "" if worker is None else worker.terminate()

    def _replace(self, slot: int) -> str:
        ending = self._stop(slot)
        self._start(slot)  # it starts while the other workers play
        return ending

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
        """Send every worker its requests and yield the answers as they arrive. A worker lost meanwhile is replaced."""
        shares: dict[int, list[tuple[int, Any]]] = {}
        for index, request in requests:
            shares.setdefault(self._slot_of[index], []).append((index, request))
        due = {slot: len(share) for slot, share in shares.items()}
        # If a worker is dead before it started a rollout, retry once: it may have died before the request.
        retry_slots = set(shares) if verb in ("reset", "restore") else set()
        try:
            deadlines = {slot: self._send(slot, verb, share) for slot, share in shares.items()}
            while due:
                for slot in self._ready({slot: deadlines[slot] for slot in due}):
                    try:
                        answers = self._receive(slot)
                    except EOFError:
                        ending = self._replace(slot)
                        if slot in retry_slots:
                            retry_slots.discard(slot)
                            deadlines[slot] = self._send(slot, verb, shares[slot])
                            yield from self._lost_with_worker(slot, ending, without={env for env, _ in shares[slot]})
                            continue
                        answers = self._lost_with_worker(slot, ending)
                        due[slot] = 0
                    except Exception as error:
                        self._replace(slot)
                        answers = self._broken_outcomes(slot, error)
                        due[slot] = 0
                    else:
                        due[slot] -= len(answers)
                        deadlines[slot] = self._deadline(slot)
                    if answers:
                        retry_slots.discard(slot)
                    if due[slot] <= 0:
                        del due[slot]
                    yield from answers
        except BaseException:  # for example Ctrl-C: the answers that are still due will not be read
            for slot in range(len(self._workers)):
                self._stop(slot)
            raise

    def _send(self, slot: int, verb: str, share: list[tuple[int, Any]]) -> float:
        self._start(slot).send(verb, share)
        return self._deadline(slot)

    def _deadline(self, slot: int) -> float:
        """The time limit of the next answer. It applies to one answer and not to the whole share."""
        starting = _START_S if self._start(slot).description is None else 0.0
        return time.monotonic() + self._timeout_s + starting

    def _ready(self, deadlines: dict[int, float]) -> list[int]:
        """The workers that have sent something or exceeded their time limit."""
        slots = {self._start(slot): slot for slot in deadlines}
        ready = self._transport.ready(list(slots), max(0.0, min(deadlines.values()) - time.monotonic()))
        now = time.monotonic()
        late = [slot for slot, deadline in deadlines.items() if deadline <= now]
        return list(dict.fromkeys([slots[worker] for worker in ready] + late))

    def _receive(self, slot: int) -> list[tuple[int, Any]]:
        worker = self._start(slot)
        if self._transport.ready([worker], 0):
            return worker.read()
        raise WorkerError(
            f"the worker process gave no answer within {self._timeout_s:g} s and was replaced; try a larger timeout_s"
        )

    def _lost_with_worker(self, slot: int, ending: str, *, without: Collection[int] = ()) -> list[tuple[int, Any]]:
        error = WorkerError(f"the worker process {ending}, and this rollout with it")
        return [outcome for outcome in self._broken_outcomes(slot, error) if outcome[0] not in without]

    def _broken_outcomes(self, slot: int, error: Exception) -> list[tuple[int, Any]]:
        """A broken outcome for every env of the worker, including those that have answered already."""
        return [(index, Broken(reason(error))) for index in self._shares[slot]]
