"""What the vector env asks of a way to run envs elsewhere: start a worker, send, see who has answered, end it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol

from agentgym_hindsight.vector.host import Description
from agentgym_hindsight.vector.worker import Failed

__all__ = ["Link", "Transport"]


class Link(ABC):
    """The near end of one worker, which answers each request with one message, in order."""

    def __init__(self, indices: range) -> None:
        self.indices = indices
        self.description: Description | None = None  # None until the worker has said that it is there

    def read(self) -> list[tuple[int, Any]]:
        """The answers that have come, with the env's index. Raises EOFError where the worker is gone."""
        messages = self._messages()
        if messages and self.description is None:
            first = messages.pop(0)
            if isinstance(first, Failed):
                raise first.error
            self.description = first
        return messages

    @abstractmethod
    def send(self, verb: str, share: Sequence[tuple[int, Any]]) -> None:
        """Ask for an answer an item. Never raises: a worker that is gone shows when its answer is awaited."""

    @abstractmethod
    def request_close(self) -> None:
        """Ask the worker to close its envs and go; what it then sends ends with EOFError."""

    @abstractmethod
    def terminate(self) -> str:
        """Make the worker be gone; says how it had ended, if it had."""

    @abstractmethod
    def _messages(self) -> list[Any]:
        """What has come; the first message ever is a :class:`Description` or a :class:`Failed`."""


class Transport(Protocol):
    """A way to run workers. ``setup`` is a pickled :class:`~agentgym_hindsight.vector.worker.WorkerSetup`."""

    def start(self, setup: bytes, indices: range, timeout_s: float) -> Link: ...

    def ready(self, links: Sequence[Any], timeout_s: float) -> list[Any]:
        """Those links that have something to read (or are gone), waiting up to ``timeout_s`` for the first."""
        ...
