"""Lends worlds: each to one episode at a time, fresh ones where they broke, none to two processes."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Sequence
from types import TracebackType

from agentgym_hindsight.envs.appworld.official.slots import Slot, ServerUnreachableError
from agentgym_hindsight.envs.appworld.official.world_interface import TaskStart, OfficialWorld
from agentgym_hindsight.errors import WorkerError

__all__ = ["Lease", "WorldPool"]

_LOOK_AGAIN = 0.5  # seconds, where another process holds what is wanted
_pools: weakref.WeakSet[WorldPool] = weakref.WeakSet()


class Lease:
    """A world on loan. Give it back, or say that it is broken; both end the lease."""

    def __init__(self, pool: WorldPool, slot: Slot, world: OfficialWorld) -> None:
        self._pool: WorldPool | None = pool
        self._slot, self._world = slot, world

    @property
    def world(self) -> OfficialWorld:
        """The world, as long as the lease lasts."""
        if self._pool is None or not self._pool.owns(self):
            raise WorkerError(
                "Expected a world on loan, got one given back or of another process; try start(task) again."
            )
        return self._world

    def give_back(self, *, broken: bool = False) -> None:
        """End the lease. A world that cannot even be closed counts as broken."""
        pool, self._pool = self._pool, None
        if pool is None or not pool.owns(self):
            return
        if not broken:
            try:
                self._world.close()
            except Exception:
                broken = True
        pool.take_back(self, self._slot, broken)

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.give_back(broken=kind is not None)


class WorldPool:
    """Some slots, lent one by one; ``wait`` is how many seconds a lease may take to be had.

    Safe to use from threads. In the child of a fork it starts over with nothing, for the worlds are the parent's.
    """

    def __init__(self, slots: Sequence[Slot], *, wait: float = 300.0) -> None:
        self._slots = list(slots)
        self._wait = wait
        self._condition = threading.Condition()
        self._free: list[Slot] = list(slots)
        self._leases: set[Lease] = set()
        _pools.add(self)

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def leased(self) -> int:
        """How many worlds are on loan."""
        return len(self._leases)

    def lease(self) -> Lease:
        """A world that answers; waits while all are on loan."""
        deadline = time.monotonic() + self._wait
        absent: dict[int, ServerUnreachableError] = {}
        while True:
            slot = self._take(deadline, absent)
            try:
                lease = Lease(self, slot, slot.open())
            except ServerUnreachableError as error:
                absent[id(slot)] = error
                self._put(slot)
            except BaseException:
                self._put(slot)
                raise
            else:
                with self._condition:
                    self._leases.add(lease)
                return lease

    def opened(self, task_id: str) -> tuple[Lease, TaskStart]:
        """A world in which a task is open. A server that is dead or odd is exchanged once for a fresh one."""
        for last in (False, True):
            lease = self.lease()
            try:
                return lease, lease.world.initialize(task_id)
            except WorkerError:
                lease.give_back(broken=True)
                if last:
                    raise
            except BaseException:
                lease.give_back(broken=True)
                raise
        raise AssertionError("unreachable")

    def owns(self, lease: Lease) -> bool:
        """Whether a lease is of this pool and of this process."""
        return lease in self._leases

    def take_back(self, lease: Lease, slot: Slot, broken: bool) -> None:
        """What :meth:`Lease.give_back` calls."""
        self._leases.discard(lease)
        if broken:
            slot.discard()
        self._put(slot)

    def close(self) -> None:
        """End every server. Leases that are still out are over; the pool can be used again."""
        with self._condition:
            slots = list(self._slots)
            self._leases.clear()
            self._free = slots
            self._condition.notify_all()
        for slot in slots:
            slot.discard()
            slot.release()

    def _take(self, deadline: float, absent: dict[int, ServerUnreachableError]) -> Slot:
        with self._condition:
            while True:
                hopeful = sorted(
                    (slot for slot in self._free if id(slot) not in absent), key=lambda slot: not slot.warm
                )
                for slot in hopeful:
                    if slot.reserve():
                        self._free.remove(slot)
                        return slot
                if len(absent) == len(self._slots):
                    raise next(iter(absent.values()))
                left = deadline - time.monotonic()
                if left <= 0:
                    raise WorkerError(
                        f"Expected a free world within {self._wait:g} s, got none: all {len(self._slots)} are in use; "
                        "try more servers=…, or close() envs that are done."
                    )
                # A lock file of another process wakes nobody.
                self._condition.wait(min(left, _LOOK_AGAIN) if hopeful else left)

    def _put(self, slot: Slot) -> None:
        slot.release()
        with self._condition:
            if slot not in self._free:
                self._free.append(slot)
            self._condition.notify_all()

    def _after_fork(self) -> None:
        for slot in self._slots:
            slot.forget()
        self._condition = threading.Condition()  # another thread of the parent may have held the old one
        self._free, self._leases = list(self._slots), set()


def _forget_all() -> None:
    for pool in list(_pools):
        pool._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
