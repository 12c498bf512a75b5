"""The mother of all workers: loads once what honest code imports, shuts the doors, and forks.

A fork shares the loaded modules and costs a millisecond or two. The host's memory and descriptors never come near a
worker, for the zygote was started as a program of its own. Requests come as lines of JSON over a socket pair:

    {"spawn": true}  ->  {"pid": 12} and, as a descriptor, the host's end of that worker's line;
                         {"pid": 0} and none where the system has no room for another process
    {"end": 12, "tell": true}  ->  {"status": 9}, as waitpid reports it; nothing without "tell"

One worker is always kept in reserve, so that the fork happens while nobody waits for it. The zygote ends when the host
hangs up, and then takes its workers along.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
import warnings
from typing import Any

from agentgym_hindsight.envs.appworld.sandbox.inside import confine
from agentgym_hindsight.envs.appworld.sandbox.inside.audit import refuse_the_outside
from agentgym_hindsight.envs.appworld.sandbox.inside.frozen import freeze
from agentgym_hindsight.envs.appworld.sandbox.inside.line import Line
from agentgym_hindsight.envs.appworld.sandbox.inside.modules import preload
from agentgym_hindsight.envs.appworld.sandbox.inside.seccomp import Filter
from agentgym_hindsight.envs.appworld.sandbox.inside.worker import Worker

__all__ = ["main"]

_UNCONFINED = 71


def main(descriptor: int, without: frozenset[str]) -> None:
    control = socket.socket(fileno=descriptor)
    preload()
    warnings.simplefilter("ignore")
    mapped = confine.mapped_memory()
    spaces = "namespaces" not in without and confine.enter_namespaces(descriptor)
    confine.drop_rights()
    if spaces:  # else the parent is the host, whose death is an end of the line: the kernel would count its thread's
        confine.die_with_parent()
    confine.unreadable()
    filter_ = None if "seccomp" in without else Filter()
    if filter_ is not None and not _holds(filter_):
        filter_ = None
    held = [name for name, holds in (("namespaces", spaces), ("seccomp", filter_ is not None)) if holds]
    _answer(control, {"mode": "+".join(held) or "rlimits", "pid": os.getpid()})
    gc.collect()
    gc.freeze()  # else the collector would write into every shared page
    Zygote(control, mapped, filter_, "audit" not in without).serve()


class Zygote:
    """Forks workers and ends them."""

    def __init__(self, control: socket.socket, mapped: int, filter_: Filter | None, audit: bool) -> None:
        self._control, self._mapped, self._filter, self._audit = control, mapped, filter_, audit
        self._orders = control.makefile("rb")
        self._alive: set[int] = set()

    def serve(self) -> None:
        spare = self._fork()
        while True:
            order = self._order()
            if "spawn" in order:
                self._hand_over(spare or self._fork())
                spare = self._fork()
                continue
            pid = order["end"]
            status = self._end(pid) if pid in self._alive else 0  # never a number that is not, or no longer, ours
            if order["tell"]:
                _answer(self._control, {"status": status})

    def _end(self, pid: int) -> int:
        os.kill(pid, signal.SIGKILL)  # on one that has ended by itself it has no effect, and its own status counts
        self._alive.discard(pid)
        return os.waitpid(pid, 0)[1]

    def _hand_over(self, made: tuple[int, socket.socket] | None) -> None:
        if made is None:
            _answer(self._control, {"pid": 0})
            return
        pid, line = made
        with line:
            _answer(self._control, {"pid": pid}, line.fileno())
        self._alive.add(pid)

    def _fork(self) -> tuple[int, socket.socket] | None:
        """A worker; None where the system refuses it, which must not cost those that live."""
        try:
            host, worker = socket.socketpair()
        except OSError:
            return None
        with worker:
            try:
                pid = os.fork()
            except OSError:
                host.close()
                return None
            if pid == 0:
                self._become_worker(worker.fileno())
        return pid, host

    def _become_worker(self, descriptor: int) -> None:
        """In the child: shut every door, then serve. Never returns."""
        try:
            confine.close_all_but(descriptor)
            confine.die_with_parent()
            confine.unreadable()
            line = Line(descriptor)
            worker = Worker(line)
            hello = line.read()
            limits = hello["limits"]
            worker.begin(limits, hello["names"], hello["seed"])
            if hello["now"]:
                freeze(hello["now"])
            confine.limit_resources(self._mapped + (limits["memory_mb"] << 20), limits["cpu_seconds"])
            if self._filter is not None and not self._filter.put_on():
                os._exit(_UNCONFINED)
            if self._audit:  # after the filter, which the hook would refuse
                refuse_the_outside()
            worker.serve()
        finally:
            os._exit(_UNCONFINED)

    def _order(self) -> dict[str, Any]:
        line = self._orders.readline()
        if not line.endswith(b"\n"):
            os._exit(0)
        order: dict[str, Any] = json.loads(line)
        return order


def _holds(filter_: Filter) -> bool:
    """Tried out on a child, for there is no way back: in it, opening the root must fail as the filter says."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            if filter_.put_on():
                os.open("/", os.O_RDONLY)
        except PermissionError:
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(pid, 0)[1] == 0


def _answer(control: socket.socket, answer: dict[str, Any], descriptor: int | None = None) -> None:
    data = json.dumps(answer).encode() + b"\n"
    if descriptor is None:
        control.sendall(data)
    else:
        socket.send_fds(control, [data], [descriptor])


if __name__ == "__main__":
    sys.exit("Expected to be started by the host; try agentgym_hindsight.envs.appworld.sandbox.Sandbox.")
