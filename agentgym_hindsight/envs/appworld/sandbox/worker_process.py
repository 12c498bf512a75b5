"""The host's hold on one worker process: it stops the worker between turns, resumes it for a turn, and ends it.

A worker is stopped by SIGSTOP, which code can neither catch nor ignore. It stops all threads of the process, and no
timer, signal handler or finalizer runs. A process descriptor (Linux 5.3) takes signals from the host directly, in a few
microseconds, and can never refer to another process. Elsewhere the zygote sends them.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable

__all__ = ["WorkerProcess"]


class WorkerProcess:
    """A worker: the host's end of its channel, its process, and the generation of the zygote that forked it.

    ``process`` is a process descriptor or None. ``ask_zygote`` sends a signal by way of the zygote.
    """

    def __init__(
        self,
        sock: socket.socket,
        pid: int,
        generation: int,
        process: int | None,
        ask_zygote: Callable[[int, signal.Signals], None],
    ) -> None:
        self.sock, self.pid, self.generation = sock, pid, generation
        self._process, self._ask_zygote = process, ask_zygote

    def stop(self) -> None:
        """Stop the process, within microseconds, until :meth:`resume`."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        self._send(signal.SIGCONT)

    def kill(self) -> None:
        """Kill the process at once if there is a descriptor; otherwise the zygote does so when it reaps the process."""
        if self._process is not None:
            self._send(signal.SIGKILL)

    def close(self) -> None:
        """Close the descriptors. The process itself belongs to the zygote."""
        self.sock.close()
        process, self._process = self._process, None
        if process is not None:
            os.close(process)

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None:
            try:
                signal.pidfd_send_signal(self._process, number)
            except ProcessLookupError:  # it has ended: the channel tells
                pass
            except PermissionError:  # a security module of the system; the parent may always do this
                self._ask_zygote(self.pid, number)
        else:
            self._ask_zygote(self.pid, number)
