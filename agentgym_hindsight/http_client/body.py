"""The body of a reply, unpacked, up to a limit."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import Any

from agentgym_hindsight.http_client.errors import HttpError

__all__ = ["read_body"]


def read_body(chunks: Iterable[bytes], headers: Mapping[str, str], most_bytes: int) -> tuple[bytes, bool]:
    """The unpacked body, and whether it is complete. Neither the received nor the unpacked bytes exceed the limit."""
    unpack = _unpacker(headers.get("content-encoding", ""))
    body, received = bytearray(), 0
    for chunk in chunks:
        received += len(chunk)
        try:
            body += chunk if unpack is None else unpack.decompress(chunk, most_bytes + 1 - len(body))
        except zlib.error as error:
            raise HttpError(f"a reply that cannot be unpacked ({error})") from None
        if len(body) > most_bytes or received > most_bytes:
            return bytes(body[:most_bytes]), False
    return bytes(body), True


class _Deflate:
    """Unpacks ``deflate``: with a zlib header, as the standard says, or without, as some servers send it."""

    def __init__(self) -> None:
        self._unpack: Any = None

    def decompress(self, data: bytes, most_bytes: int) -> bytes:
        if self._unpack is None:
            first = zlib.decompressobj()
            try:
                unpacked = first.decompress(data, most_bytes)
                self._unpack = first
            except zlib.error:
                self._unpack = zlib.decompressobj(-zlib.MAX_WBITS)
                unpacked = self._unpack.decompress(data, most_bytes)
        else:
            unpacked = self._unpack.decompress(data, most_bytes)
        return bytes(unpacked)


def _unpacker(encoding: str) -> Any:
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return None
    if encoding in ("gzip", "x-gzip"):
        return zlib.decompressobj(16 + zlib.MAX_WBITS)
    if encoding == "deflate":
        return _Deflate()
    # Several encodings, one on the other, could not be unpacked with a limit on what is between them.
    raise HttpError(f"a reply in the encoding {encoding[:40]!r}, which was not offered")
