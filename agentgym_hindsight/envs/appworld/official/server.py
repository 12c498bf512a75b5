"""One server process with one world.

It listens on a socket file in a private folder. This process opens the socket and passes it on. So no TCP port can be
in use already or reached by other users, and a request that is sent while the server starts waits for it. The folder
also holds the server's output; the benchmark's data is linked into it and is not changed.
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

#: Arguments of the interpreter; ``{fd}`` is the listening socket. `appworld serve` would listen on the network.
COMMAND = (
    *("-m", "uvicorn", "appworld.serve.environment:app"),
    *("--fd", "{fd}", "--log-level", "warning", "--no-access-log"),
)
_STDERR_KEPT = 16_000
_PATH_LIMIT = 100  # length of a socket path that kernels accept
_EXIT_SECONDS = 10.0  # limit for the end of a server
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TZ")  # no other variable: the agent's code can read them
_running: weakref.WeakSet[Server] = weakref.WeakSet()


class Server:
    """A running server. ``close()`` ends it and may be called again."""

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
                start_new_session=True,  # so that Ctrl-C reaches the host only, which then ends its servers
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
        """Whether the launcher process runs."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process id of the launcher, which ends together with this process and ends its server."""
        return self._process.pid

    @property
    def log_folder(self) -> Path:
        """The folder in which AppWorld writes the output of episodes."""
        return self.folder / "experiments" / "outputs"

    def last_error(self, wait: float = 0.3) -> str:
        """The last line of the server's standard error, which names the cause of its last failure."""
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline and self._reader.is_alive():
            time.sleep(0.03)  # the server sends its reply before it writes the cause
        lines = self._stderr.decode("utf-8", "replace").strip().splitlines()
        return lines[-1].strip()[:500] if lines else ""

    def close(self) -> None:
        """End the server and remove its folder."""
        with self._lock:
            _running.discard(self)
            process = self._process
            if process.stdin is not None and not process.stdin.closed:
                process.stdin.close()  # the launcher ends when this pipe closes
                try:
                    process.wait(_EXIT_SECONDS)
                except subprocess.TimeoutExpired:  # the server ends with its launcher
                    process.kill()
                    process.wait()
                self._reader.join(_EXIT_SECONDS)
                if process.stderr is not None and not self._reader.is_alive():
                    process.stderr.close()
            _remove(self.folder)

    def forget(self) -> None:
        """In the child of a fork: close the copied pipes of a server that belongs to the parent."""
        for pipe in (self._process.stdin, self._process.stderr):
            if pipe is not None:
                pipe.close()
        self._process.returncode = 0  # not a child of this process: prevents a wait

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
