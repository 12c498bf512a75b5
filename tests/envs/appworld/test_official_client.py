"""The HTTP client of the official server: hostile servers and passwords."""

from __future__ import annotations

import gzip
import socket
import time
import tracemalloc
from collections.abc import Callable

import pytest

from agentgym_hindsight.envs.appworld.official.client import WorldClient
from agentgym_hindsight.envs.appworld.official.slots import UrlSlot
from agentgym_hindsight.envs.appworld.official.world_source import shared_source
from agentgym_hindsight.errors import BackendError, UsageError, WorkerError
from tests.raw_server import RawServer, response, serving_raw


def url_of(server: RawServer) -> str:
    return f"http://me:s3cret@127.0.0.1:{server.port}"


def drip(server: RawServer, connection: socket.socket) -> None:
    for byte in response(b'{"message": "Welcome."}'):
        connection.sendall(bytes([byte]))
        server.wait(0.1)


def test_the_time_limit_is_for_the_whole_reply() -> None:
    with serving_raw(drip) as server:
        client = WorldClient(url_of(server))
        started = time.monotonic()
        with pytest.raises(WorkerError, match="within 1 s, got none") as caught:
            client.ready(within=1.0)
        client.hang_up()
    assert time.monotonic() - started < 3.0
    assert "s3cret" not in str(caught.value)


def test_a_compressed_reply_cannot_fill_the_memory() -> None:
    bomb = gzip.compress(b" " * (100 << 20), 9)
    nested = response(gzip.compress(bomb, 9), "200 OK", "Content-Encoding: gzip, gzip")
    with serving_raw(lambda _, connection: connection.sendall(nested)) as server:
        client = WorldClient(url_of(server))
        tracemalloc.start()
        try:
            with pytest.raises(WorkerError, match="encoding 'gzip, gzip', which was not offered"):
                client.ready(within=20.0)
            assert tracemalloc.get_traced_memory()[1] < 20_000_000
        finally:
            tracemalloc.stop()
        client.hang_up()


def hidden(make: Callable[[], object], error: type[Exception]) -> str:
    with pytest.raises(error) as caught:
        make()
    return str(caught.value)


def test_passwords_of_servers_are_in_no_error(tmp_path: object) -> None:
    with serving_raw(lambda _, connection: connection.sendall(response(b"no", "500 Broken"))) as server:
        client = WorldClient(url_of(server))
        texts = [hidden(client.ready, BackendError), client.url, client.where]
        client.hang_up()
    assert b"Authorization: Basic bWU6czNjcmV0\r\n" in server.requests[0]
    texts.append(hidden(lambda: WorldClient(url_of(server)).ready(within=1.0), WorkerError))
    texts.append(hidden(lambda: UrlSlot("ftp://me:s3cret@host"), BackendError))
    texts.append(hidden(lambda: shared_source(urls="http://me:s3cret@host"), UsageError))
    for text in texts:
        assert "s3cret" not in text
