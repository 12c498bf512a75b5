"""Worker processes on this machine.

Each worker is a new interpreter with one socket. This avoids problems of fork and ``multiprocessing``. A forked child
inherits locks held by other threads (torch, a tokenizer, an HTTP client) and hangs. The spawn method of
``multiprocessing`` runs the user's main script again and leaves a tracker process; its forkserver leaves a server. A
new interpreter is safe with threads, needs no ``if __name__ == "__main__"`` and leaves no process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing.connection import wait
from typing import Any

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.vector.transport import Link
from agentgym_hindsight.vector.wire import Reader, dump, send

__all__ = ["ProcessWorkers"]

_SEND_S = 3.0
_LONG_S = 3600.0  # the largest wait that a selector accepts; a time limit may be infinite


class ProcessWorkers:
    """The default transport: one interpreter and one socket per worker."""

    def __init__(self) -> None:
        if os.name != "posix":
            raise UsageError("Expected a POSIX system for worker processes, got another; try workers=0.")

    def start(self, setup: bytes, timeout_s: float) -> Link:
        return _Process(setup, timeout_s)

    def ready(self, links: Sequence[_Process], timeout_s: float) -> list[_Process]:
        by_connection: dict[Any, _Process] = {link.connection: link for link in links}
        return [by_connection[connection] for connection in wait(list(by_connection), min(timeout_s, _LONG_S))]


class _Process(Link):
    def __init__(self, setup: bytes, timeout_s: float) -> None:
        super().__init__()
        self._send_s = min(timeout_s, _SEND_S)
        self.connection, worker_end = socket.socketpair()
        fd = worker_end.fileno()
        code = f"import sys; sys.path[:] = {sys.path!r}; from agentgym_hindsight.vector.worker import main; main({fd})"
        try:
            with worker_end:
                self.process = subprocess.Popen(
                    [sys.executable, "-c", code],
                    stdin=subprocess.PIPE,  # closes when the parent exits, which ends the worker
                    pass_fds=[fd],
                    start_new_session=True,  # only the parent gets Ctrl-C; terminate() also kills what the envs started
                )
        except BaseException:
            self.connection.close()
            raise
        self._reader = Reader(self.connection)
        self._send(dump(setup))

    def send(self, verb: str, share: Sequence[tuple[int, Any]]) -> None:
        self._send(dump((verb, share)))

    def request_close(self) -> None:
        self._send(dump(("close", ())))

    def terminate(self) -> str:
        # Kill the group first: the process id cannot be reused before wait() has returned.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        code = self.process.wait()
        self.connection.close()
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with status {code}"

    def _messages(self) -> list[Any]:
        return self._reader.read()

    def _send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # the worker exited or hangs; this is detected when its answer is awaited
            self.connection.settimeout(self._send_s)
            send(self.connection, data)
