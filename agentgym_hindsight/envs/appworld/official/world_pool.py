"""A pool of worlds: lends each world to one episode at a time and replaces broken ones."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Sequence
from types import TracebackType

from agentgym_hindsight.envs.appworld.official.slots import ServerUnreachableError, Slot
from agentgym_hindsight.envs.appworld.official.world_interface import OfficialWorld, TaskStart
from agentgym_hindsight.errors import WorkerError

__all__ = ["Lease", "WorldPool"]

_RETRY_SECONDS = 0.5  # interval between tries while another process holds a world
_pools: weakref.WeakSet[WorldPool] = weakref.WeakSet()


class Lease:
    """A world on loan. ``give_back`` ends the lease, with ``broken=True`` if the world must not be used again."""

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
        """End the lease. A world whose ``close`` fails counts as broken."""
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
    """A set of slots, each with one world. ``wait`` is the longest time in seconds that :meth:`lease` waits for one.

    The pool is thread-safe. In the child of a fork it starts empty, because the worlds belong to the parent.
    """

    def __init__(self, slots: Sequence[Slot], *, wait: float = 300.0) -> None:
        self._slots = list(slots)
        self._wait = wait
        self._condition = threading.Condition()
        self._free: list[Slot] = list(slots)
        self._leases: set[Lease] = set()
        _pools.add(self)

    @property
    def leased(self) -> int:
        """The number of worlds on loan."""
        return len(self._leases)

    def lease(self) -> Lease:
        """Lend a world that responds. Waits while all are on loan."""
        deadline = time.monotonic() + self._wait
        unreachable: dict[int, ServerUnreachableError] = {}
        while True:
            slot = self._take(deadline, unreachable)
            try:
                lease = Lease(self, slot, slot.open())
            except ServerUnreachableError as error:
                unreachable[id(slot)] = error
                self._put(slot)
            except BaseException:
                self._put(slot)
                raise
            else:
                with self._condition:
                    self._leases.add(lease)
                return lease

    def opened(self, task_id: str) -> tuple[Lease, TaskStart]:
        """Lend a world in which the task is open. If the server fails, try once more with a new one."""
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
        """Whether a lease is current and belongs to this pool and this process."""
        return lease in self._leases

    def take_back(self, lease: Lease, slot: Slot, broken: bool) -> None:
        """End a lease. Called by :meth:`Lease.give_back`."""
        self._leases.discard(lease)
        if broken:
            slot.discard()
        self._put(slot)

    def close(self) -> None:
        """End every server and every lease. The pool can be used again."""
        with self._condition:
            slots = list(self._slots)
            self._leases.clear()
            self._free = slots
            self._condition.notify_all()
        for slot in slots:
            slot.discard()
            slot.release()

    def _take(self, deadline: float, unreachable: dict[int, ServerUnreachableError]) -> Slot:
        with self._condition:
            while True:
                candidates = sorted(
                    (slot for slot in self._free if id(slot) not in unreachable), key=lambda slot: not slot.warm
                )
                for slot in candidates:
                    if slot.reserve():
                        self._free.remove(slot)
                        return slot
                if len(unreachable) == len(self._slots):
                    raise next(iter(unreachable.values()))
                left = deadline - time.monotonic()
                if left <= 0:
                    raise WorkerError(
                        f"Expected a free world within {self._wait:g} s, got none: all {len(self._slots)} are in use; "
                        "try more servers=…, or close() envs that are done."
                    )
                # If another process holds a slot's lock file, no notification comes when it is released: poll.
                self._condition.wait(min(left, _RETRY_SECONDS) if candidates else left)

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
