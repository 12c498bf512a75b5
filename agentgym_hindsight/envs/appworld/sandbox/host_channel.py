"""The host's end of the channel to a worker. Every message is validated, and every wait has a deadline."""

from __future__ import annotations

import json
import select
import socket
import struct
from math import isfinite
from time import monotonic
from typing import Any

__all__ = ["ChannelClosedError", "ChannelProtocolError", "ChannelTimeoutError", "HostChannel", "is_safe_json"]

_CHUNK = 1 << 16
_DEPTH, _VALUES, _INTEGER, _DIGITS = 32, 200_000, 2**63, 20
_NO_BRACKETS = bytes(code for code in range(256) if chr(code) not in "[]{}")


class ChannelTimeoutError(Exception):
    """The deadline has passed."""


class ChannelClosedError(Exception):
    """The worker has closed its end."""


class ChannelProtocolError(Exception):
    """The data that arrived is not a valid message."""


class HostChannel:
    """Sends and receives JSON messages in frames: a length of four bytes, then that many bytes. Never pickle."""

    def __init__(self, sock: socket.socket, limit: int) -> None:
        self._socket, self._limit = sock, limit
        self._buffer = bytearray()

    def send(self, text: str, deadline: float) -> None:
        data = text.encode("ascii")
        self._set_timeout(deadline)
        try:
            self._socket.sendall(struct.pack(">I", len(data)) + data)
        except TimeoutError:
            raise ChannelTimeoutError from None
        except OSError:
            raise ChannelClosedError from None

    def receive(self, deadline: float) -> dict[str, Any]:
        length = struct.unpack(">I", self._take(4, deadline))[0]
        if length > self._limit:
            raise ChannelProtocolError(f"a message of {length} bytes")
        try:
            data = self._take(length, deadline)
            if not _is_shallow(data):
                raise ChannelProtocolError("a message of too many levels")
            message = json.loads(data.decode("ascii"), parse_constant=_refuse_constant, parse_int=_short_integer)
        except (ValueError, RecursionError, MemoryError):
            raise ChannelProtocolError("a message that is no JSON") from None
        if not isinstance(message, dict) or not is_safe_json(message):
            raise ChannelProtocolError("a message of another shape")
        return message

    def is_idle(self) -> bool:
        """Whether the channel is open and has no unread data."""
        if self._buffer:
            return False
        poll = select.poll()  # not select(), which is limited to 1,024 descriptors; a trainer may have more open
        poll.register(self._socket, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        self._socket.close()

    def _take(self, count: int, deadline: float) -> bytes:
        buffer = self._buffer
        while len(buffer) < count:
            self._set_timeout(deadline)
            try:
                chunk = self._socket.recv(_CHUNK)
            except TimeoutError:
                raise ChannelTimeoutError from None
            except OSError:
                raise ChannelClosedError from None
            if not chunk:
                raise ChannelClosedError
            buffer += chunk
        taken = bytes(buffer[:count])
        del buffer[:count]
        return taken

    def _set_timeout(self, deadline: float) -> None:
        left = deadline - monotonic()
        if left <= 0:
            raise ChannelTimeoutError
        self._socket.settimeout(left)


def _is_shallow(data: bytes) -> bool:
    """Whether the JSON parser needs few levels of recursion for ``data``, be it valid or not.

    Python's own limit of recursion does not protect the host: where a program has raised it, Python before 3.12
    overflows the C stack, which ends the process.
    """
    if data.count(b"[") + data.count(b"{") <= _DEPTH:
        return True
    outside_strings = b"".join(data.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')[::2])
    brackets = outside_strings.translate(None, _NO_BRACKETS)
    for _ in range(_DEPTH):  # each time one level is removed, or two
        before, brackets = brackets, brackets.replace(b"[]", b"").replace(b"{}", b"")
        if brackets == before:  # nothing is left, or brackets that do not match
            break
    return not brackets


def _short_integer(digits: str) -> int:
    """Reading a number of a million digits would take minutes where Python has no limit of its own."""
    if len(digits) > _DIGITS:
        raise ValueError("an integer of more than 64 bits")
    return int(digits)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def is_safe_json(value: Any) -> bool:
    """Whether a decoded value has bounded depth and size, 64-bit integers, finite floats and valid Unicode text.

    >>> is_safe_json({"a": [1, "two", None]}), is_safe_json({"a": 2**70}), is_safe_json({"a": chr(0xD800)})
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
                if not isfinite(each):  # 1e999 is parsed as infinity and does not call parse_constant
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
