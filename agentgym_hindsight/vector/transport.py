"""The interface of a transport, which runs workers: start, send, wait for answers, end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol

from agentgym_hindsight.vector.host import Description
from agentgym_hindsight.vector.worker import Failed

__all__ = ["Link", "Transport"]


class Link(ABC):
    """The parent's connection to one worker. The worker answers each request with one message, in order."""

    def __init__(self) -> None:
        self.description: Description | None = None  # None until the worker's first message

    def read(self) -> list[tuple[int, Any]]:
        """The answers that have arrived, with the env's index. Raises EOFError if the worker is gone."""
        messages = self._messages()
        if messages and self.description is None:
            first = messages.pop(0)
            if isinstance(first, Failed):
                raise first.error
            self.description = first
        return messages

    @abstractmethod
    def send(self, verb: str, share: Sequence[tuple[int, Any]]) -> None:
        """Request one answer for each item. Never raises: a lost worker is detected when its answer is awaited."""

    @abstractmethod
    def request_close(self) -> None:
        """Send a request to close the envs and exit. After the worker has exited, :meth:`read` raises EOFError."""

    @abstractmethod
    def terminate(self) -> str:
        """Kill the worker. Returns how it ended, for an error message: "exited with status 1"."""

    @abstractmethod
    def _messages(self) -> list[Any]:
        """The messages that have arrived. The first one is a :class:`Description` or a :class:`Failed`."""


class Transport(Protocol):
    """A way to run workers. ``setup`` is a pickled :class:`~agentgym_hindsight.vector.worker.WorkerSetup`."""

    def start(self, setup: bytes, timeout_s: float) -> Link: ...

    def ready(self, links: Sequence[Any], timeout_s: float) -> list[Any]:
        """Wait up to ``timeout_s`` for a link that can be read or is lost. Returns all such links."""
        ...
