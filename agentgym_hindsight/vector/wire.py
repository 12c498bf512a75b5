"""Messages over a socket: a length, then a pickle. Reading does not block: a slow worker does not delay the others."""

from __future__ import annotations

import pickle
import socket
import struct
from collections import deque
from typing import Any

__all__ = ["Reader", "dump", "send"]

_LENGTH = struct.Struct("!Q")
_CHUNK = 1 << 18


def dump(message: object) -> bytes:
    """A message as bytes. Raises what pickle raises."""
    return pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)


def send(connection: socket.socket, data: bytes) -> None:
    """Send one message of :func:`dump`."""
    connection.sendall(_LENGTH.pack(len(data)) + data)


class Reader:
    """Collects received bytes and returns whole messages."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray()
        self._waiting: deque[Any] = deque()  # whole messages not yet returned by wait()

    def read(self) -> list[Any]:
        """Read once and return the messages that are now complete. Raises EOFError if the other side is gone."""
        try:
            chunk = self._connection.recv(_CHUNK)
        except ConnectionError:  # the worker was killed before it read a message
            chunk = b""
        if not chunk:
            raise EOFError
        self._buffer += chunk
        messages = []
        while (message := self._next_message()) is not None:
            messages.append(pickle.loads(message))
        return messages

    def wait(self) -> Any:
        """The next message. Blocks without a time limit."""
        while not self._waiting:
            self._waiting.extend(self.read())
        return self._waiting.popleft()

    def _next_message(self) -> bytes | None:
        if len(self._buffer) < _LENGTH.size:
            return None
        end = _LENGTH.size + _LENGTH.unpack_from(self._buffer)[0]
        if len(self._buffer) < end:
            return None
        message = bytes(self._buffer[_LENGTH.size : end])
        del self._buffer[:end]
        return message
