"""The worker's end of the channel to the host: JSON messages in frames of a length and that many bytes."""

from __future__ import annotations

import json
import os
import struct
from typing import Any

__all__ = ["WorkerChannel", "to_json_value"]

_DEPTH, _INTEGER = 24, 2**63


class WorkerChannel:
    """Reads and writes whole messages. The process exits when the host closes the channel."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._buffer = bytearray()
        # The output is ASCII: lone surrogates are escaped, and the host checks them.
        self._encode = json.JSONEncoder(check_circular=False).encode
        self._decode = json.JSONDecoder().decode

    def pack(self, message: dict[str, Any]) -> bytes:
        data = self._encode(message).encode("ascii")
        return struct.pack(">I", len(data)) + data

    def write(self, frame: bytes) -> None:
        rest = memoryview(frame)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def read(self) -> dict[str, Any]:
        length = struct.unpack(">I", self._take(4))[0]
        message: dict[str, Any] = self._decode(self._take(length).decode("ascii"))
        return message

    def _take(self, count: int) -> bytes:
        buffer = self._buffer
        while len(buffer) < count:
            chunk = os.read(self._descriptor, 1 << 16)
            if not chunk:
                os._exit(0)
            buffer += chunk
        taken = bytes(buffer[:count])
        del buffer[:count]
        return taken


def to_json_value(value: Any, where: str, depth: int = 0) -> Any:
    """Convert ``value`` to JSON types, or raise an error that names the place and the reason.

    >>> to_json_value({"ids": (1, 2)}, "arguments")
    {'ids': [1, 2]}
    >>> to_json_value({1, 2}, "tags")
    Traceback (most recent call last):
    TypeError: Expected text, numbers, booleans, None, lists or dicts in tags, got set; try list(value) or str(value)
    """
    if value is None or value is True or value is False:
        return value
    if isinstance(value, int):
        if not -_INTEGER <= value < _INTEGER:
            raise ValueError(f"Expected an integer of at most 64 bits in {where}, got a larger one")
        return int(value)
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise ValueError(f"Expected a finite number in {where}, got {float(value)}")
        return float(value)
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(f"Expected text without lone surrogates in {where}") from None
        return "".join(value)
    if depth == _DEPTH:
        raise ValueError(f"Expected at most {_DEPTH} levels in {where}, got more")
    if isinstance(value, (list, tuple)):
        return [to_json_value(each, where, depth + 1) for each in value]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"Expected text as the keys in {where}, got {type(key).__name__}")
        return {to_json_value(key, where): to_json_value(each, where, depth + 1) for key, each in value.items()}
    raise TypeError(
        f"Expected text, numbers, booleans, None, lists or dicts in {where}, got {type(value).__name__}; "
        "try list(value) or str(value)"
    )
