"""The process on the other side: holds some envs and answers one message an env, so that progress can be seen.

Started as ``python -c "… main(fd)"`` by :mod:`agentgym_hindsight.vector.processes`; its standard input is a lifeline
that closes when the parent is gone, however it went.
"""

from __future__ import annotations

import os
import pickle
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from agentgym_hindsight.errors import UsageError, WorkerError
from agentgym_hindsight.vector.delta_encoding import EncodedOutcome, OutcomeEncoder
from agentgym_hindsight.vector.host import Broken, EnvHost, Outcome, reason
from agentgym_hindsight.vector.wire import Reader, dump, send

__all__ = ["EnvServer", "Failed", "WorkerSetup", "main"]

_EXIT_GRACE_S = 1.0


class WorkerSetup(NamedTuple):
    """What to host."""

    factory: Callable[[], Any]
    indices: range


class Failed(NamedTuple):
    """An error that is the caller's to see."""

    error: Exception


class EnvServer:
    """Some hosts, and the answers they give as bytes. What a worker is, whatever carries the bytes."""

    def __init__(self, setup: bytes) -> None:
        self._setup = setup
        self._hosts: dict[int, EnvHost] = {}
        self._encoders: dict[int, OutcomeEncoder] = {}

    def describe(self) -> bytes:
        """The first message: a :class:`Description`, or a :class:`Failed` where the first env cannot be made."""
        try:
            setup: WorkerSetup = pickle.loads(self._setup)
            self._hosts = {index: EnvHost(setup.factory) for index in setup.indices}
            self._encoders = {index: OutcomeEncoder(host) for index, host in self._hosts.items()}
            return dump(self._hosts[setup.indices[0]].describe())
        except Exception as error:
            return dump(_picklable_error(error))

    def answer(self, verb: str, index: int, request: Any) -> bytes:
        """The env's index with its :class:`EncodedOutcome`, or with a :class:`Failed` that is the caller's to see."""
        host, encoder = self._hosts[index], self._encoders[index]
        if verb == "render":
            try:
                return dump((index, host.render()))
            except Exception as error:
                return dump((index, _picklable_error(error)))
        if verb == "reset":
            encoder.reset()
            try:
                outcome = host.reset(request)
            except UsageError as error:
                return dump((index, _picklable_error(error)))
        else:
            outcome = host.step(request)
        try:
            return dump((index, encoder.encode(outcome)))
        except Exception as error:  # what a wrapper put into info cannot be pickled, or a lazy fact failed
            return dump((index, _without_info(encoder, outcome, error)))

    def close(self) -> None:
        """Close the envs."""
        for host in self._hosts.values():
            host.close()


def main(fd: int) -> None:
    """Serve over a socket until told to close or left alone."""
    connection = socket.socket(fileno=fd)
    connection.set_inheritable(False)  # a process that an env starts must not keep the connection open
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
        pass  # the parent is gone, and its envs' files and servers go with this process


def _without_info(encoder: OutcomeEncoder, outcome: Outcome, error: Exception) -> EncodedOutcome:
    """The steps still go home where the info cannot."""
    why = outcome if isinstance(outcome, Broken) else Broken(reason(error))
    encoder.reset()
    try:
        encoded = encoder.encode(why)
        dump(encoded)
    except Exception:
        return EncodedOutcome(why)
    return encoded


def _picklable_error(error: Exception) -> Failed:
    """The error, or one that says the same where it cannot travel both ways."""
    try:
        pickle.loads(dump(error))
    except Exception:
        return Failed(WorkerError(reason(error)))
    return Failed(error)


def _exit_with_parent() -> None:
    while os.read(0, 1):
        pass
    time.sleep(_EXIT_GRACE_S)  # an idle worker sees the closed socket and leaves in good order before this
    os._exit(1)
