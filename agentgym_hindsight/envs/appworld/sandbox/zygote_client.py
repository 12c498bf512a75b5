"""The host's client of the zygote, the process that forks the workers: starts it, requests workers, ends it.

There is one client for each interpreter and set of isolation layers in this process. A process forked off this one
starts a zygote of its own: two processes that share one control socket would receive each other's replies.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from agentgym_hindsight.envs.appworld.sandbox.strictness import check_mode
from agentgym_hindsight.envs.appworld.sandbox.worker_process import WorkerProcess
from agentgym_hindsight.errors import WorkerError

__all__ = ["Ending", "ZygoteClient", "zygote_client"]

_START_SECONDS, _REPLY_SECONDS = 60.0, 20.0
_CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)  # macOS has no such flag; _receive sets it after the fact
_INSIDE = Path(__file__).resolve().parent / "inside"
#: 1. Restart this program without address randomisation if the system allows it: the iteration order of a set of
#:    functions, and before Python 3.12 of a set that contains None, depends on addresses.
#: 2. Read the program of the zygote from the host. Its text comes over the socket, so that the process never knows the
#:    folder in which this library is installed.
#: 3. Remove the empty entry that -c adds to the path, so that files of the working directory cannot replace modules of
#:    the standard library.
#: 4. Register empty modules in place of the packages above inside/, so that what these import is not loaded.
_BOOT = """
import sys
if sys.platform == "linux" and sys.argv[-1] != "again":
    import ctypes, os
    if ctypes.CDLL(None).personality(0x0040000) != -1:  # ADDR_NO_RANDOMIZE
        os.execv(sys.executable, [*sys.orig_argv, "again"])
import json, os
data = b""
while not data.endswith(b"\\n"):
    chunk = os.read(int(sys.argv[1]), 1 << 16)
    if not chunk:
        os._exit(0)
    data += chunk
start = json.loads(data)
sys.path[:] = [place for place in sys.path if place]
name = ""
for part in "agentgym_hindsight.envs.appworld.sandbox.inside".split("."):
    name = f"{name}.{part}".lstrip(".")
    sys.modules[name] = package = type(sys)(name)
    package.__path__ = []
class Finder:
    def find_spec(wanted, path=None, target=None):
        if wanted.startswith(name) and wanted[len(name) + 1:] in start["program"]:
            return type(sys.__spec__)(wanted, Finder)
    def create_module(spec):
        return None
    def exec_module(module):
        file = module.__name__[len(name) + 1:]
        exec(compile(start["program"].pop(file), f"<sandbox>/{file}.py", "exec"), vars(module))
sys.meta_path.insert(0, Finder)
from agentgym_hindsight.envs.appworld.sandbox.inside.zygote import main
descriptor, without = int(sys.argv[1]), frozenset(start["without"])
del data, chunk, start, part, package, Finder  # code in a worker can reach the globals of this program
main(descriptor, without)
"""
_KEPT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME")  # without these some interpreters do not start


class Ending(NamedTuple):
    """How a worker ended: its ``waitpid`` status, and the processor time in seconds that it has used."""

    status: int = 0
    cpu: float = 0.0


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

    def check(self) -> None:
        """Raise if the mode is weaker than the environment demands."""
        check_mode(self.mode, self._without)

    @property
    def pid(self) -> int:
        """Process id of the program that was started. With namespaces, the zygote is a child of it."""
        return self._process.pid if self._process else 0

    def spawn(self) -> WorkerProcess:
        with self._lock:
            self.check()  # at every start: the variable may have been set since the last one
            for _ in range(2):  # the second time with a new zygote
                try:
                    if self._control is None:
                        self._start()
                    self._send({"spawn": True})
                    reply, descriptors = self._receive(_REPLY_SECONDS)
                    if descriptors:
                        return self._worker(reply["pid"], descriptors)
                    if not reply["limited"]:
                        break  # the system is out of processes or descriptors; a new zygote would fail in the same way
                    self.close()
                except (OSError, ValueError, KeyError):
                    self.close()
            raise WorkerError(
                "Expected a worker for the agent's code, got none; "
                "try fewer processes, more memory or a higher limit of open files."
            )

    def owns(self, worker: WorkerProcess) -> bool:
        return worker.generation == self._generation and self._control is not None

    def stop(self, worker: WorkerProcess) -> None:
        """Stop a worker until :meth:`resume`."""
        if self.owns(worker):
            worker.stop()

    def resume(self, worker: WorkerProcess) -> None:
        if self.owns(worker):
            worker.resume()

    def end(self, worker: WorkerProcess, want_status: bool = False) -> Ending:
        """End a worker. Return how it ended if ``want_status`` and if that is known."""
        with self._lock:
            if not self.owns(worker):
                worker.close()
                return Ending()  # it died with its zygote
            if not want_status:  # otherwise it has ended by itself, and its own status is wanted
                worker.kill()
            worker.close()
            try:
                self._send({"end": worker.pid, "want_status": want_status})
                if not want_status:
                    return Ending()
                reply = self._receive(_REPLY_SECONDS)[0]
                return Ending(int(reply["status"]), float(reply["cpu"]))
            except (OSError, ValueError, KeyError):
                self.close()
                return Ending()

    def close(self) -> None:
        """End the zygote and all its workers."""
        with self._lock:
            if self._control is not None:
                self._control.close()
                self._control = None
            if self._process is not None:
                # The whole process group: a stopped worker does not notice that its zygote has ended.
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)
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
        self._control = host_end
        self._generation += 1
        try:
            with zygote_end:
                self._process = subprocess.Popen(
                    [self._python, "-s", "-S", "-B", "-c", _BOOT, str(zygote_end.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=[zygote_end.fileno()],
                    env=environment,
                    cwd="/",
                    start_new_session=True,  # so that Ctrl-C reaches the host only
                )
            self._send({"program": _program(), "without": sorted(self._without)})
            self._mode = str(self._receive(_START_SECONDS)[0]["mode"])
        except (OSError, ValueError, KeyError):
            self.close()
            raise WorkerError(
                f"Expected {self._python} to start the sandbox's worker process, got no answer; "
                "try another interpreter (python=…)."
            ) from None
        try:
            check_mode(self._mode, self._without)
        except BaseException:
            self.close()
            raise

    def _worker(self, pid: int, descriptors: list[int]) -> WorkerProcess:
        channel, *rest = descriptors
        sock = socket.socket(fileno=channel)
        sock.set_inheritable(False)
        process = rest[0] if rest else None
        if process is not None and not hasattr(signal, "pidfd_send_signal"):
            os.close(process)
            process = None
        return WorkerProcess(sock, pid, self._generation, process, self._signal)

    def _signal(self, pid: int, number: signal.Signals) -> None:
        with self._lock:
            try:
                self._send({"signal": pid, "number": int(number)})
                self._receive(_REPLY_SECONDS)
            except (OSError, ValueError):
                self.close()  # and the worker with it: it must not run on

    def _send(self, request: dict[str, Any]) -> None:
        if self._control is None:
            raise OSError("no zygote")
        self._control.settimeout(_REPLY_SECONDS)
        self._control.sendall(json.dumps(request).encode() + b"\n")

    def _receive(self, seconds: float) -> tuple[dict[str, Any], list[int]]:
        if self._control is None:
            raise OSError("no zygote")
        self._control.settimeout(seconds)
        data, received = b"", list[int]()
        while not data.endswith(b"\n"):
            chunk, descriptors, *_ = socket.recv_fds(self._control, 4096, 2, _CLOSE_ON_EXEC)
            received += descriptors
            if not chunk:
                raise OSError("the zygote has ended")
            data += chunk
        reply: dict[str, Any] = json.loads(data)
        return reply, received


def _program() -> dict[str, str]:
    """The modules of ``inside/`` by name. Their text is sent to the zygote, not their place."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(_INSIDE.glob("*.py"))}


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
