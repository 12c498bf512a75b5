"""The host's side of the zygote: starts it, asks it for workers, notices when it is gone, takes it down at the end.

One for this process and each way of confinement. A process forked off this one never shares it: two askers on one line
would get each other's answers.
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

__all__ = ["Born", "Nursery", "nursery"]

_START_SECONDS, _ANSWER_SECONDS = 60.0, 20.0
_CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)  # macOS has none; there it is set a moment later
_INSIDE = Path(__file__).resolve().parent / "inside"
#: First the same again with memory at fixed addresses, where the system lets it: the order of a set of functions, or
#: until Python 3.12 of one with None in it, comes from them. Then empty shells in the place of the packages above
#: inside/, so that what those import stays out of the process. The empty entry that -c puts on the path would let files
#: of the working directory pose as the standard library.
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


class Born(NamedTuple):
    """A worker: our end of its line, its number, and the zygote's that forked it."""

    sock: socket.socket
    pid: int
    generation: int


class Nursery:
    """``without`` names walls that are left out ("namespaces", "seccomp", "audit"), for tests of the others."""

    def __init__(self, python: str, without: frozenset[str]) -> None:
        self._python, self._without = python, without
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._generation = 0
        self._mode = ""

    @property
    def mode(self) -> str:
        """What holds: "namespaces+seccomp", "seccomp", "namespaces" or "rlimits"."""
        with self._lock:
            if not self._mode:
                self._start()
            return self._mode

    @property
    def pid(self) -> int:
        """Of the process that was started; the zygote proper may be its child."""
        return self._process.pid if self._process else 0

    def spawn(self) -> Born:
        with self._lock:
            for _ in range(2):  # the second time with a new zygote
                try:
                    if self._control is None:
                        self._start()
                    self._say({"spawn": True})
                    answer, sock = self._hear(_ANSWER_SECONDS)
                    if sock is not None:
                        return Born(sock, answer["pid"], self._generation)
                    break  # no room for a process, or for a descriptor here: a new zygote would not have it either
                except (OSError, ValueError, KeyError):
                    self.close()
            raise WorkerError(
                "Expected a worker for the agent's code, got none; "
                "try fewer processes, more memory or a higher limit of open files."
            )

    def owns(self, born: Born) -> bool:
        return born.generation == self._generation and self._control is not None

    def end(self, born: Born, tell: bool = False) -> int:
        """Ends a worker; with ``tell`` waits for how it ended, as ``waitpid`` says it (0: not known)."""
        with self._lock:
            born.sock.close()
            if not self.owns(born):
                return 0  # died with its zygote
            try:
                self._say({"end": born.pid, "tell": tell})
                return int(self._hear(_ANSWER_SECONDS)[0]["status"]) if tell else 0
            except (OSError, ValueError, KeyError):
                self.close()
                return 0

    def close(self) -> None:
        """Ends the zygote and all its workers."""
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
        """In a process forked off this one: none of this is ours any more."""
        self._lock = threading.RLock()  # another thread may have held it when the process was forked
        self._generation += 1
        self._mode = ""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.returncode = 0  # not our child: nothing to wait for, nothing to warn of
            self._process = None

    def _start(self) -> None:
        if not hasattr(socket, "send_fds") or not hasattr(os, "fork"):
            raise WorkerError(
                "Expected a system with fork and Unix sockets for the sandbox of the agent's code, "
                f"got {sys.platform}; try Linux, macOS or WSL."
            )
        ours, theirs = socket.socketpair()
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        # Fixed, so that the order of sets and local times are the same in every run and on every machine.
        environment |= {"PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "TZ": "UTC"}
        with theirs:
            self._process = subprocess.Popen(
                [
                    self._python,
                    "-s",
                    "-S",
                    "-B",
                    "-c",
                    _BOOT,
                    str(_INSIDE),
                    str(theirs.fileno()),
                    " ".join(self._without),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=environment,
                cwd="/",
                start_new_session=True,  # Ctrl-C is for the host
            )
        self._control = ours
        self._generation += 1
        try:
            self._mode = self._hear(_START_SECONDS)[0]["mode"]
        except (OSError, ValueError, KeyError):
            self.close()
            raise WorkerError(
                f"Expected {self._python} to start the sandbox's worker process, got no answer; "
                "try another interpreter (python=…)."
            ) from None

    def _say(self, order: dict[str, Any]) -> None:
        if self._control is None:
            raise OSError("no zygote")
        self._control.settimeout(_ANSWER_SECONDS)
        self._control.sendall(json.dumps(order).encode() + b"\n")

    def _hear(self, seconds: float) -> tuple[dict[str, Any], socket.socket | None]:
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
                raise OSError("the zygote is gone")
            data += chunk
        answer: dict[str, Any] = json.loads(data)
        return answer, sock


_nurseries: dict[tuple[str, frozenset[str]], Nursery] = {}
_making = threading.Lock()


def nursery(python: str = "", without: frozenset[str] = frozenset()) -> Nursery:
    """The one of this process for that interpreter and those walls."""
    key = python or sys.executable, without
    with _making:
        if key not in _nurseries:
            _nurseries[key] = Nursery(*key)
        return _nurseries[key]


def _forget_all() -> None:
    global _making
    _making = threading.Lock()
    for each in _nurseries.values():
        each.forget()


@atexit.register
def _close_all() -> None:
    for each in _nurseries.values():
        each.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
