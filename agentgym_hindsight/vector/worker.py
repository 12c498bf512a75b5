"""The worker process: runs some envs. Each env answers a request with its own message, so that progress is visible.

:mod:`agentgym_hindsight.vector.processes` starts it as ``python -c "… main(fd)"``. Its standard input closes when the
parent exits for any reason.
"""

from __future__ import annotations

import os
import pickle
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from agentgym_hindsight.errors import SchemaError, UsageError, WorkerError
from agentgym_hindsight.vector.delta_encoding import EncodedOutcome, OutcomeEncoder
from agentgym_hindsight.vector.host import Broken, EnvHost, Outcome, reason
from agentgym_hindsight.vector.wire import Reader, dump, send

__all__ = ["EnvServer", "Failed", "WorkerSetup", "main"]

_EXIT_GRACE_S = 1.0


class WorkerSetup(NamedTuple):
    """The envs of a worker."""

    factory: Callable[[], Any]
    indices: range


class Failed(NamedTuple):
    """An error that is raised to the caller."""

    error: Exception


class EnvServer:
    """Calls the envs of a worker and returns their answers as bytes. Independent of the transport."""

    def __init__(self, setup: bytes) -> None:
        self._setup = setup
        self._hosts: dict[int, EnvHost] = {}
        self._encoders: dict[int, OutcomeEncoder] = {}

    def describe(self) -> bytes:
        """The first message: a :class:`Description`, or a :class:`Failed` if the first env cannot be made."""
        try:
            setup: WorkerSetup = pickle.loads(self._setup)
            self._hosts = {index: EnvHost(setup.factory) for index in setup.indices}
            self._encoders = {index: OutcomeEncoder(host) for index, host in self._hosts.items()}
            return dump(self._hosts[setup.indices[0]].describe())
        except Exception as error:
            return dump(_picklable_error(error))

    def answer(self, verb: str, index: int, request: Any) -> bytes:
        """The env's index with its :class:`EncodedOutcome`, or with a :class:`Failed` for the caller."""
        host, encoder = self._hosts[index], self._encoders[index]
        if verb in ("render", "snapshot"):
            try:
                return dump((index, host.render() if verb == "render" else host.snapshot()))
            except Exception as error:
                return dump((index, _picklable_error(error)))
        if verb in ("reset", "restore"):
            encoder.reset()
            try:
                outcome = host.reset(request) if verb == "reset" else host.restore(request)
            except (UsageError, SchemaError) as error:
                return dump((index, _picklable_error(error)))
        else:
            outcome = host.step(request)
        try:
            return dump((index, encoder.encode(outcome)))
        except Exception as error:  # a value in info cannot be pickled, or a lazy value failed
            return dump((index, _without_info(encoder, outcome, error)))

    def close(self) -> None:
        """Close the envs."""
        for host in self._hosts.values():
            host.close()


def main(fd: int) -> None:
    """Serve requests from a socket until "close", or until the parent is gone."""
    connection = socket.socket(fileno=fd)
    connection.set_inheritable(False)  # a process started by an env must not keep the connection open
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    reader = Reader(connection)
    try:
        server = EnvServer(reader.wait())
        send(connection, server.describe())
        while (message := reader.wait())[0] != "close":
            verb, share = message
            for index, request in share:
                send(connection, server.answer(verb, index, request))
        server.close()
    except (EOFError, ConnectionError):
        pass  # the parent is gone; the exit of this process closes the files and servers of the envs


def _without_info(encoder: OutcomeEncoder, outcome: Outcome, error: Exception) -> EncodedOutcome:
    """A broken outcome with the recorded steps, for an outcome whose info cannot be sent."""
    broken = outcome if isinstance(outcome, Broken) else Broken(reason(error))
    encoder.reset()
    try:
        encoded = encoder.encode(broken)
        dump(encoded)
    except Exception:
        return EncodedOutcome(broken)
    return encoded


def _picklable_error(error: Exception) -> Failed:
    """The error, or a WorkerError with its message if it cannot be pickled and unpickled."""
    try:
        pickle.loads(dump(error))
    except Exception:
        return Failed(WorkerError(reason(error)))
    return Failed(error)


def _exit_with_parent() -> None:
    while os.read(0, 1):
        pass
    time.sleep(_EXIT_GRACE_S)  # an idle worker exits cleanly within this time, because its socket is closed
    os._exit(1)
