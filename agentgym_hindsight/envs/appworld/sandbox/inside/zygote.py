"""The zygote: a process that loads the modules once, confines itself, and forks the workers.

A fork shares the loaded modules and takes one or two milliseconds. A worker never has the host's memory or descriptors,
because the zygote is a separate program. Requests are lines of JSON over a socket pair:

    {"spawn": true}  ->  {"pid": 12} and, as a descriptor, the host's end of that worker's channel;
                         {"pid": 0} and no descriptor if the system refuses another process
    {"end": 12, "want_status": true}  ->  {"status": 9}, as reported by waitpid; no reply without "want_status"

One worker is always kept in reserve, so that a request does not wait for the fork. When the host closes its end, the
zygote exits and its workers end with it.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import warnings
from typing import Any

from agentgym_hindsight.envs.appworld.sandbox.inside import confine
from agentgym_hindsight.envs.appworld.sandbox.inside.audit import install_audit_hook
from agentgym_hindsight.envs.appworld.sandbox.inside.fixed_clock import fix_clock
from agentgym_hindsight.envs.appworld.sandbox.inside.modules import preload
from agentgym_hindsight.envs.appworld.sandbox.inside.seccomp import Filter
from agentgym_hindsight.envs.appworld.sandbox.inside.worker import Worker
from agentgym_hindsight.envs.appworld.sandbox.inside.worker_channel import WorkerChannel

__all__ = ["main"]

_UNCONFINED_STATUS = 71


def main(descriptor: int, without: frozenset[str]) -> None:
    control = socket.socket(fileno=descriptor)
    preload()
    warnings.simplefilter("ignore")
    mapped = confine.mapped_memory()
    namespaces = "namespaces" not in without and confine.enter_namespaces(descriptor)
    confine.drop_privileges()
    # Without namespaces the parent is the host, and the zygote ends when the host closes the socket. The kernel would
    # send the signal when the host's *thread* that started the zygote ends, which is too early.
    if namespaces:
        confine.die_with_parent()
    confine.forbid_tracing()
    filter_ = None if "seccomp" in without else Filter()
    if filter_ is not None and not _works(filter_):
        filter_ = None
    layers = [name for name, active in (("namespaces", namespaces), ("seccomp", filter_ is not None)) if active]
    _reply(control, {"mode": "+".join(layers) or "rlimits", "pid": os.getpid()})
    gc.collect()
    gc.freeze()  # otherwise the collector writes into shared pages, which copies them in every worker
    Zygote(control, mapped, filter_, "audit" not in without).serve()


class Zygote:
    """Forks workers and ends them."""

    def __init__(self, control: socket.socket, mapped: int, filter_: Filter | None, audit: bool) -> None:
        self._control, self._mapped, self._filter, self._audit = control, mapped, filter_, audit
        self._requests = control.makefile("rb")
        self._alive: set[int] = set()

    def serve(self) -> None:
        spare = self._fork()
        while True:
            request = self._read_request()
            if "spawn" in request:
                self._hand_over(spare or self._fork())
                spare = self._fork()
                continue
            pid = request["end"]
            status = self._end(pid) if pid in self._alive else 0  # only a pid of a running worker
            if request["want_status"]:
                _reply(self._control, {"status": status})

    def _end(self, pid: int) -> int:
        os.kill(pid, signal.SIGKILL)  # no effect on a worker that has ended: its own status is returned
        self._alive.discard(pid)
        return os.waitpid(pid, 0)[1]

    def _hand_over(self, made: tuple[int, socket.socket] | None) -> None:
        if made is None:
            _reply(self._control, {"pid": 0})
            return
        pid, channel = made
        with channel:
            _reply(self._control, {"pid": pid}, channel.fileno())
        self._alive.add(pid)

    def _fork(self) -> tuple[int, socket.socket] | None:
        """Fork a worker. Return None if the system refuses: the running workers must go on."""
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
        """In the child: confine the process, then serve. Never returns."""
        try:
            confine.close_all_but(descriptor)
            confine.die_with_parent()
            confine.forbid_tracing()
            channel = WorkerChannel(descriptor)
            worker = Worker(channel)
            hello = channel.read()
            limits = hello["limits"]
            worker.begin(limits, hello["names"], hello["seed"])
            if hello["now"]:
                fix_clock(hello["now"])
            confine.limit_resources(self._mapped + (limits["memory_mb"] << 20), limits["cpu_seconds"])
            if self._filter is not None and not self._filter.install():
                os._exit(_UNCONFINED_STATUS)
            if self._audit:  # after the filter, because the hook would refuse its installation
                install_audit_hook()
            worker.serve()
        finally:
            os._exit(_UNCONFINED_STATUS)

    def _read_request(self) -> dict[str, Any]:
        line = self._requests.readline()
        if not line.endswith(b"\n"):
            os._exit(0)
        request: dict[str, Any] = json.loads(line)
        return request


def _works(filter_: Filter) -> bool:
    """Test the filter in a child, because it cannot be removed: opening the root must fail there."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            if filter_.install():
                os.open("/", os.O_RDONLY)
        except PermissionError:
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(pid, 0)[1] == 0


def _reply(control: socket.socket, reply: dict[str, Any], descriptor: int | None = None) -> None:
    data = json.dumps(reply).encode() + b"\n"
    if descriptor is None:
        control.sendall(data)
    else:
        socket.send_fds(control, [data], [descriptor])
