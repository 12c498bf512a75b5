"""Connections whose operations together end at a deadline."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore

__all__ = ["Clock", "TimedBackend"]

_PIECE = 1 << 14  # bytes that are sent under one check of the clock


class Clock(threading.local):
    """The end of the current request of each thread."""

    deadline: float | None = None

    @contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        self.deadline = time.monotonic() + seconds
        try:
            yield
        finally:
            self.deadline = None

    def left(self, timeout: float | None, late: type[httpcore.TimeoutException]) -> float | None:
        """The seconds that an operation may take. Raises ``late`` if there are none left."""
        if self.deadline is None:
            return timeout
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise late("the time limit is over")
        return left if timeout is None else min(left, timeout)


class _TimedStream(httpcore.NetworkStream):
    """A connection whose operations end at the deadline of the request that uses it."""

    def __init__(self, stream: httpcore.NetworkStream, clock: Clock) -> None:
        self._stream, self._clock = stream, clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._clock.left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # In pieces: one call may send a byte at a time, each with a timeout of its own.
        for start in range(0, len(buffer), _PIECE):
            piece = buffer[start : start + _PIECE]
            self._stream.write(piece, self._clock.left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        limit = self._clock.left(timeout, httpcore.ConnectTimeout)
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, limit), self._clock)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class TimedBackend(httpcore.NetworkBackend):
    """Opens connections that end at the deadline of a request."""

    def __init__(self, clock: Clock) -> None:
        self._backend, self._clock = httpcore.SyncBackend(), clock

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        ends = None if timeout is None else time.monotonic() + timeout  # for all addresses of the host together
        failure: Exception = httpcore.ConnectError(f"no address of {host}")
        for address in dict.fromkeys(str(entry[4][0]) for entry in found):
            limit = None if ends is None else max(ends - time.monotonic(), 0.001)
            try:
                limit = self._clock.left(limit, httpcore.ConnectTimeout)
                stream = self._backend.connect_tcp(address, port, limit, local_address, socket_options)
                return _TimedStream(stream, self._clock)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        limit = self._clock.left(timeout, httpcore.ConnectTimeout)
        return _TimedStream(self._backend.connect_unix_socket(path, limit, socket_options), self._clock)
