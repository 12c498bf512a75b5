"""The zygote: a process that loads the modules once, confines itself, and forks the workers.

A fork shares the loaded modules and takes one or two milliseconds. A worker never has the host's memory or descriptors,
because the zygote is a separate program. Requests are lines of JSON over a socket pair:

    {"spawn": true}  ->  {"pid": 12} and, as descriptors, the host's end of that worker's channel and, where the
                         system has them, a process descriptor; {"pid": 0, "limited": false} and no descriptor if the
                         system refuses another process; "limited": because the limits of the zygote were changed
    {"signal": 12, "number": 19}  ->  {}; only where there are no process descriptors
    {"end": 12, "want_status": true}  ->  {"status": 9, "cpu": 0.02}, as reported by wait4; no reply without
                         "want_status"

One worker is always kept in reserve, so that a request does not wait for the fork. When the host closes its end, the
zygote kills its workers and exits.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import warnings
from contextlib import suppress
from typing import Any, NamedTuple, NoReturn

from agentgym_hindsight.envs.appworld.sandbox.inside import confine
from agentgym_hindsight.envs.appworld.sandbox.inside.audit import install_audit_hook
from agentgym_hindsight.envs.appworld.sandbox.inside.fixed_clock import fix_clock
from agentgym_hindsight.envs.appworld.sandbox.inside.host_traces import erase_arguments, forget_host
from agentgym_hindsight.envs.appworld.sandbox.inside.modules import preload
from agentgym_hindsight.envs.appworld.sandbox.inside.seccomp import Filter
from agentgym_hindsight.envs.appworld.sandbox.inside.thread_id import ThreadRecord, erase_thread_id
from agentgym_hindsight.envs.appworld.sandbox.inside.worker import Worker
from agentgym_hindsight.envs.appworld.sandbox.inside.worker_channel import WorkerChannel

__all__ = ["main"]

_UNCONFINED_STATUS = 71


class _Confinement(NamedTuple):
    """How a worker confines itself."""

    mapped: int  # bytes
    filter: Filter | None
    audit: bool


def main(descriptor: int, without: frozenset[str]) -> NoReturn:
    control = socket.socket(fileno=descriptor)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # else a worker that can send signals could end the zygote by it
    preload()
    warnings.simplefilter("ignore")
    mapped = confine.mapped_memory()
    erase_arguments(b"agentgym-sandbox")
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
    forget_host()
    _reply(control, {"mode": "+".join(layers) or "rlimits", "pid": os.getpid()})
    gc.collect()
    gc.freeze()  # otherwise the collector writes into shared pages, which copies them in every worker
    thread = None if filter_ is None else ThreadRecord.read()
    channel = Zygote(control).serve()
    # From here on this is a worker. The objects of the zygote are gone: code in the worker can reach every frame.
    if thread is not None:
        erase_thread_id(thread)
    del control, thread
    _become_worker(channel, _Confinement(mapped, filter_, "audit" not in without))


def _become_worker(descriptor: int, confinement: _Confinement) -> NoReturn:
    """Confine the process, then serve."""
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
        del hello
        confine.limit_resources(confinement.mapped + (limits["memory_mb"] << 20), limits["cpu_seconds"])
        if confinement.filter is not None and not confinement.filter.install():
            os._exit(_UNCONFINED_STATUS)
        if confinement.audit:  # after the filter, because the hook would refuse its installation
            install_audit_hook()
        worker.serve()
    finally:
        os._exit(_UNCONFINED_STATUS)


class Zygote:
    """Forks workers and ends them."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._requests = control.makefile("rb")
        self._limits = confine.own_limits()
        self._alive: set[int] = set()
        self._spare: tuple[int, socket.socket] | None = None

    def serve(self) -> int:
        """Answer requests. Returns only in a worker, with the descriptor of its channel."""
        try:
            self._spare = self._fork()
            while True:
                self._answer(self._read_request())
        except _InWorker as worker:
            return worker.descriptor

    def _answer(self, request: dict[str, Any]) -> None:
        if "spawn" in request:
            made, self._spare = self._spare or self._fork(), None
            self._hand_over(made)
            self._spare = self._fork()
        elif "signal" in request:
            if request["signal"] in self._alive:  # only a pid of a running worker
                os.kill(request["signal"], request["number"])
            _reply(self._control, {})
        else:
            pid = request["end"]
            status, cpu = self._end(pid) if pid in self._alive else (0, 0.0)
            if request["want_status"]:
                _reply(self._control, {"status": status, "cpu": cpu})

    def _end(self, pid: int) -> tuple[int, float]:
        os.kill(pid, signal.SIGKILL)  # no effect on a worker that has ended: its own status is returned
        self._alive.discard(pid)
        while True:
            _, status, usage = os.wait4(pid, 0)
            if not os.WIFSTOPPED(status):  # a worker without seccomp can make the zygote its tracer
                break
        return status, usage.ru_utime + usage.ru_stime

    def _hand_over(self, made: tuple[int, socket.socket] | None) -> None:
        if made is None:
            _reply(self._control, {"pid": 0, "limited": confine.own_limits() != self._limits})
            return
        pid, channel = made
        self._alive.add(pid)
        process = _process_descriptor(pid)
        with channel:
            _reply(self._control, {"pid": pid}, channel.fileno(), *process)
        for descriptor in process:
            os.close(descriptor)

    def _fork(self) -> tuple[int, socket.socket] | None:
        """Fork a worker. Return None if the system refuses: the running workers must go on."""
        try:
            host, worker = socket.socketpair()
        except OSError:
            return None
        try:
            pid = os.fork()
        except OSError:
            host.close()
            worker.close()
            return None
        if pid == 0:
            raise _InWorker(worker.detach())
        worker.close()
        return pid, host

    def _read_request(self) -> dict[str, Any]:
        line = self._requests.readline()
        if not line.endswith(b"\n"):
            self._end_all()
        request: dict[str, Any] = json.loads(line)
        return request

    def _end_all(self) -> NoReturn:
        """Kill the workers: one that is stopped does not notice that the host has closed its channel."""
        for pid in (*self._alive, *(self._spare or ())[:1]):
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        os._exit(0)


class _InWorker(BaseException):
    """Leaves the frames of the zygote, in the child of a fork."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self.descriptor = descriptor


def _process_descriptor(pid: int) -> list[int]:
    with suppress(AttributeError, OSError):  # an old kernel, or a Python that was built on one
        return [os.pidfd_open(pid)]
    return []


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


def _reply(control: socket.socket, reply: dict[str, Any], *descriptors: int) -> None:
    data = json.dumps(reply).encode() + b"\n"
    if not descriptors:
        control.sendall(data)
    else:
        socket.send_fds(control, [data], descriptors)
