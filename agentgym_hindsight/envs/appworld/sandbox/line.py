"""The host's end of the line to a worker. Believes nothing it reads and waits for nothing without a deadline."""

from __future__ import annotations

import json
import select
import socket
import struct
from math import isfinite
from time import monotonic
from typing import Any

__all__ = ["BrokenLineError", "ClosedLineError", "HostLine", "LateLineError", "harmless"]

_CHUNK = 1 << 16
_DEPTH, _VALUES, _INTEGER = 32, 200_000, 2**63


class LateLineError(Exception):
    """The deadline has passed."""


class ClosedLineError(Exception):
    """The other end is gone."""


class BrokenLineError(Exception):
    """What came is no message of ours."""


class HostLine:
    """Messages as JSON in frames of a four-byte length and that many bytes. Never pickle."""

    def __init__(self, sock: socket.socket, limit: int) -> None:
        self._socket, self._limit = sock, limit
        self._buffer = bytearray()

    def send(self, text: str, deadline: float) -> None:
        data = text.encode("ascii")
        self._wait_at_most(deadline)
        try:
            self._socket.sendall(struct.pack(">I", len(data)) + data)
        except TimeoutError:
            raise LateLineError from None
        except OSError:
            raise ClosedLineError from None

    def receive(self, deadline: float) -> dict[str, Any]:
        length = struct.unpack(">I", self._take(4, deadline))[0]
        if length > self._limit:
            raise BrokenLineError(f"a message of {length} bytes")
        try:
            message = json.loads(self._take(length, deadline), parse_constant=_refuse)
        except (ValueError, RecursionError, MemoryError):
            raise BrokenLineError("a message that is no JSON") from None
        if not isinstance(message, dict) or not harmless(message):
            raise BrokenLineError("a message of another shape")
        return message

    def quiet(self) -> bool:
        """Nothing has come that nobody asked for, and the other end is there."""
        if self._buffer:
            return False
        poll = select.poll()  # not select(): a trainer may have more than 1,024 descriptors open
        poll.register(self._socket, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        self._socket.close()

    def _take(self, count: int, deadline: float) -> bytes:
        buffer = self._buffer
        while len(buffer) < count:
            self._wait_at_most(deadline)
            try:
                chunk = self._socket.recv(_CHUNK)
            except TimeoutError:
                raise LateLineError from None
            except OSError:
                raise ClosedLineError from None
            if not chunk:
                raise ClosedLineError
            buffer += chunk
        taken = bytes(buffer[:count])
        del buffer[:count]
        return taken

    def _wait_at_most(self, deadline: float) -> None:
        left = deadline - monotonic()
        if left <= 0:
            raise LateLineError
        self._socket.settimeout(left)


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def harmless(value: Any) -> bool:
    """Not too deep, not too many, integers that a database can hold, text that UTF-8 can hold.

    >>> harmless({"a": [1, "two", None]}), harmless({"a": 2**70}), harmless({"a": chr(0xD800)})
    (True, False, False)
    """
    layer, seen = [value], 0
    for _ in range(_DEPTH):
        below: list[Any] = []
        for each in layer:
            if isinstance(each, dict):
                below += each
                below += each.values()
            elif isinstance(each, list):
                below += each
            elif isinstance(each, str):
                try:
                    each.encode()
                except UnicodeEncodeError:
                    return False
            elif isinstance(each, float):
                if not isfinite(each):  # 1e999 is infinite without being called so
                    return False
            elif isinstance(each, int) and not -_INTEGER <= each < _INTEGER:
                return False
        seen += len(below)
        if not below:
            return True
        if seen > _VALUES:
            return False
        layer = below
    return False
