"""One server process with one world.

It listens on a socket file in a private folder, which is opened here and handed over: there is no port that could be
taken, raced for, leaked or reached by other users, and a request sent while the server still starts simply waits.
The folder also holds what the server writes; the benchmark's data is linked into it and stays untouched.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Sequence
from pathlib import Path

from agentgym_hindsight.envs.appworld.official import launch
from agentgym_hindsight.errors import BackendError

__all__ = ["COMMAND", "Server"]

#: What the interpreter runs; ``{fd}`` is the listening socket. Not `appworld serve`, which listens to the network.
COMMAND = (
    *("-m", "uvicorn", "appworld.serve.environment:app"),
    *("--fd", "{fd}", "--log-level", "warning", "--no-access-log"),
)
_STDERR_KEPT = 16_000
_PATH_LIMIT = 100  # of a socket's path, by the kernel
_ENDING = 10.0  # seconds a server may take to be gone
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TZ")  # nothing else: agents' code can read it
_running: weakref.WeakSet[Server] = weakref.WeakSet()


class Server:
    """A running server; ``close()`` ends it and may be called any number of times."""

    def __init__(self, python: str, root: Path, *, command: Sequence[str] = COMMAND) -> None:
        if sys.platform == "win32":
            raise BackendError(
                "Expected Linux or macOS for servers of AppWorld, got Windows; "
                "try urls=['http://…'] of servers started elsewhere."
            )
        self.folder = _private_folder()
        self.socket_path = str(self.folder / "s")
        (self.folder / "data").symlink_to(root / "data")
        self._stderr = b""
        self._lock = threading.Lock()
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listening.bind(self.socket_path)
            listening.listen(16)
            fd = str(listening.fileno())
            self._process = subprocess.Popen(
                [
                    python,
                    "-I",
                    launch.__file__,
                    fd,
                    str(self.folder),
                    python,
                    *(part.format(fd=fd) for part in command),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(listening.fileno(),),
                env=_environment(self.folder),
                start_new_session=True,  # Ctrl-C is for the host, which then ends its servers in order
            )
        except OSError as error:
            _remove(self.folder)
            raise BackendError(
                f"Expected to start a server with {python}, got {error}; try another APPWORLD_PYTHON."
            ) from error
        finally:
            listening.close()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        _running.add(self)

    @property
    def alive(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process that ends with us and takes its server along."""
        return self._process.pid

    @property
    def log_folder(self) -> Path:
        """Where AppWorld writes what episodes leave."""
        return self.folder / "experiments" / "outputs"

    def complaint(self, wait: float = 0.3) -> str:
        """The last line the server wrote to standard error: the cause of its last failure."""
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline and self._reader.is_alive():
            time.sleep(0.03)  # it answers before it has told the cause
        lines = self._stderr.decode("utf-8", "replace").strip().splitlines()
        return lines[-1].strip()[:500] if lines else ""

    def close(self) -> None:
        """End the server, remove its folder."""
        with self._lock:
            _running.discard(self)
            process = self._process
            if process.stdin is not None and not process.stdin.closed:
                process.stdin.close()  # what the launcher waits for
                try:
                    process.wait(_ENDING)
                except subprocess.TimeoutExpired:  # the server inside goes with its launcher
                    process.kill()
                    process.wait()
                self._reader.join(_ENDING)
                if process.stderr is not None and not self._reader.is_alive():
                    process.stderr.close()
            _remove(self.folder)

    def forget(self) -> None:
        """Let go of a server that another process owns: in the child of a fork, where its pipes were copied."""
        for pipe in (self._process.stdin, self._process.stderr):
            if pipe is not None:
                pipe.close()
        self._process.returncode = 0  # not ours to wait for

    def _read(self) -> None:
        pipe = self._process.stderr
        while pipe is not None and (chunk := os.read(pipe.fileno(), 4096)):
            self._stderr = (self._stderr + chunk)[-_STDERR_KEPT:]


def _private_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="agh-appworld-"))
    if len(str(folder)) + 2 > _PATH_LIMIT:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix="agh-appworld-", dir="/tmp"))
    return folder


def _environment(folder: Path) -> dict[str, str]:
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    own = {"HOME": str(folder), "APPWORLD_ROOT": str(folder), "APPWORLD_CACHE": str(folder / ".appworld")}
    return {**passed, **own, "IPYTHONDIR": str(folder / ".ipython"), "PYTHONHASHSEED": "0"}


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)  # links are removed, not followed


def _after_fork() -> None:
    for server in list(_running):
        server.forget()
    _running.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
