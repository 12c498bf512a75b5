"""The host's client of the zygote, the process that forks the workers: starts it, requests workers, ends it.

There is one client for each interpreter and set of isolation layers in this process. A process forked off this one
starts a zygote of its own: two processes that share one control socket would receive each other's replies.
"""

from __future__ import annotations

import atexit
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, NamedTuple

from agentgym_hindsight.errors import WorkerError

__all__ = ["WorkerHandle", "ZygoteClient", "zygote_client"]

_START_SECONDS, _REPLY_SECONDS = 60.0, 20.0
_CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)  # macOS has no such flag; _receive sets it after the fact
_INSIDE = Path(__file__).resolve().parent / "inside"
#: 1. Restart this program without address randomisation if the system allows it: the iteration order of a set of
#:    functions, and before Python 3.12 of a set that contains None, depends on addresses.
#: 2. Remove the empty entry that -c adds to the path, so that files of the working directory cannot replace modules of
#:    the standard library.
#: 3. Register empty modules in place of the packages above inside/, so that what these import is not loaded.
_BOOT = """
import sys
if sys.platform == "linux" and sys.argv[-1] != "again":
    import ctypes, os
    if ctypes.CDLL(None).personality(0x0040000) != -1:  # ADDR_NO_RANDOMIZE
        os.execv(sys.executable, [*sys.orig_argv, "again"])
sys.path[:] = [place for place in sys.path if place]
name = ""
for part in "agentgym_hindsight.envs.appworld.sandbox.inside".split("."):
    name = f"{name}.{part}".lstrip(".")
    sys.modules[name] = package = type(sys)(name)
    package.__path__ = []
package.__path__ = [sys.argv[1]]
from agentgym_hindsight.envs.appworld.sandbox.inside.zygote import main
main(int(sys.argv[2]), frozenset(sys.argv[3].split()))
"""
_KEPT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME")  # without these some interpreters do not start


class WorkerHandle(NamedTuple):
    """A worker: the host's end of its channel, its process id, and the generation of the zygote that forked it."""

    sock: socket.socket
    pid: int
    generation: int


class ZygoteClient:
    """``without`` names isolation layers to leave out ("namespaces", "seccomp", "audit"), to test the others."""

    def __init__(self, python: str, without: frozenset[str]) -> None:
        self._python, self._without = python, without
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._generation = 0
        self._mode = ""

    @property
    def mode(self) -> str:
        """The active kernel layers: "namespaces+seccomp", "seccomp", "namespaces" or "rlimits"."""
        with self._lock:
            if not self._mode:
                self._start()
            return self._mode

    @property
    def pid(self) -> int:
        """Process id of the program that was started. With namespaces, the zygote is a child of it."""
        return self._process.pid if self._process else 0

    def spawn(self) -> WorkerHandle:
        with self._lock:
            for _ in range(2):  # the second time with a new zygote
                try:
                    if self._control is None:
                        self._start()
                    self._send({"spawn": True})
                    reply, sock = self._receive(_REPLY_SECONDS)
                    if sock is not None:
                        return WorkerHandle(sock, reply["pid"], self._generation)
                    break  # the system is out of processes or descriptors; a new zygote would fail in the same way
                except (OSError, ValueError, KeyError):
                    self.close()
            raise WorkerError(
                "Expected a worker for the agent's code, got none; "
                "try fewer processes, more memory or a higher limit of open files."
            )

    def owns(self, worker: WorkerHandle) -> bool:
        return worker.generation == self._generation and self._control is not None

    def end(self, worker: WorkerHandle, want_status: bool = False) -> int:
        """End a worker. Return its ``waitpid`` status if ``want_status``; 0 if not requested or not known."""
        with self._lock:
            worker.sock.close()
            if not self.owns(worker):
                return 0  # it died with its zygote
            try:
                self._send({"end": worker.pid, "want_status": want_status})
                return int(self._receive(_REPLY_SECONDS)[0]["status"]) if want_status else 0
            except (OSError, ValueError, KeyError):
                self.close()
                return 0

    def close(self) -> None:
        """End the zygote and all its workers."""
        with self._lock:
            if self._control is not None:
                self._control.close()
                self._control = None
            if self._process is not None:
                try:
                    self._process.wait(1.0)
                except subprocess.TimeoutExpired:
                    self._process.kill()
                    self._process.wait()
                self._process = None

    def forget(self) -> None:
        """Drop the zygote without ending it: in the child of a fork, where it belongs to the parent."""
        self._lock = threading.RLock()  # another thread may have held the old lock at the time of the fork
        self._generation += 1
        self._mode = ""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.returncode = 0  # not a child of this process: prevents a wait and the ResourceWarning
            self._process = None

    def _start(self) -> None:
        if not hasattr(socket, "send_fds") or not hasattr(os, "fork"):
            raise WorkerError(
                "Expected a system with fork and Unix sockets for the sandbox of the agent's code, "
                f"got {sys.platform}; try Linux, macOS or WSL."
            )
        host_end, zygote_end = socket.socketpair()
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        # Fixed values, so that the order of sets and local times are the same in every run and on every machine.
        environment |= {"PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "TZ": "UTC"}
        with zygote_end:
            self._process = subprocess.Popen(
                [
                    self._python,
                    "-s",
                    "-S",
                    "-B",
                    "-c",
                    _BOOT,
                    str(_INSIDE),
                    str(zygote_end.fileno()),
                    " ".join(self._without),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[zygote_end.fileno()],
                env=environment,
                cwd="/",
                start_new_session=True,  # so that Ctrl-C reaches the host only
            )
        self._control = host_end
        self._generation += 1
        try:
            self._mode = self._receive(_START_SECONDS)[0]["mode"]
        except (OSError, ValueError, KeyError):
            self.close()
            raise WorkerError(
                f"Expected {self._python} to start the sandbox's worker process, got no answer; "
                "try another interpreter (python=…)."
            ) from None

    def _send(self, request: dict[str, Any]) -> None:
        if self._control is None:
            raise OSError("no zygote")
        self._control.settimeout(_REPLY_SECONDS)
        self._control.sendall(json.dumps(request).encode() + b"\n")

    def _receive(self, seconds: float) -> tuple[dict[str, Any], socket.socket | None]:
        if self._control is None:
            raise OSError("no zygote")
        self._control.settimeout(seconds)
        data, sock = b"", None
        while not data.endswith(b"\n"):
            chunk, descriptors, *_ = socket.recv_fds(self._control, 4096, 1, _CLOSE_ON_EXEC)
            for descriptor in descriptors:
                sock = socket.socket(fileno=descriptor)
                sock.set_inheritable(False)
            if not chunk:
                raise OSError("the zygote has ended")
            data += chunk
        reply: dict[str, Any] = json.loads(data)
        return reply, sock


_clients: dict[tuple[str, frozenset[str]], ZygoteClient] = {}
_clients_lock = threading.Lock()


def zygote_client(python: str = "", without: frozenset[str] = frozenset()) -> ZygoteClient:
    """The client of this process for that interpreter ("": the running one) and those layers."""
    key = python or sys.executable, without
    with _clients_lock:
        if key not in _clients:
            _clients[key] = ZygoteClient(*key)
        return _clients[key]


def _forget_all() -> None:
    global _clients_lock
    _clients_lock = threading.Lock()
    for each in _clients.values():
        each.forget()


@atexit.register
def _close_all() -> None:
    for each in _clients.values():
        each.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
