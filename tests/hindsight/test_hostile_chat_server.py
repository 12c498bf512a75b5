"""Chat servers that answer too slowly, too much or wrongly, over real connections."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from contextlib import closing

import pytest

from agentgym_hindsight.hindsight.chat_server import Answer, Busy, ChatServer, Refused
from tests.raw_server import RawServer, response, serving_raw

TIMEOUT = 1.0
#: Seconds that a request may take beyond its limit. A drip that is not stopped takes longer than the test may run.
MARGIN = 2.0
COMPLETION = json.dumps({"choices": [{"message": {"content": "look"}, "finish_reason": "stop"}]}).encode()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def chat(url: str, **more: float) -> ChatServer:
    options = {"timeout_s": TIMEOUT, "retries": 0, "backoff_s": 0.01, "concurrency": 4, **more}
    return ChatServer(url, "critic", api_key_env="NO_SUCH_KEY", **options)  # type: ignore[arg-type]


def ask(server: RawServer, content: str = "") -> Answer:
    with closing(chat(server.url)) as client:
        return client.ask({"model": "critic", "messages": [{"role": "user", "content": content}]})


# -- time -----------------------------------------------------------------------------------------------------------


def drip(data: bytes) -> Callable[[RawServer, socket.socket], None]:
    """Sends one byte at a time, each long before the time limit of a read."""

    def handle(server: RawServer, connection: socket.socket) -> None:
        for place in range(len(data)):
            connection.sendall(data[place : place + 1])
            server.wait(0.1)

    return handle


def drip_after(head: bytes, data: bytes) -> Callable[[RawServer, socket.socket], None]:
    def handle(server: RawServer, connection: socket.socket) -> None:
        connection.sendall(head)
        drip(data)(server, connection)

    return handle


def silent(server: RawServer, connection: socket.socket) -> None:
    server.wait(60)


def continues(server: RawServer, connection: socket.socket) -> None:
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        server.wait(0.05)


def chunks(server: RawServer, connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"1\r\n \r\n")
        server.wait(0.1)


@pytest.mark.parametrize(
    "handle",
    [
        drip(response(COMPLETION)),
        drip_after(b"HTTP/1.1 200 OK\r\n", b"X-Header: 1\r\n" * 1000),
        drip_after(response(b"", length=10_000), b" " * 10_000),
        drip_after(b"HTTP/1.1 200 OK\r\n\r\n", b" " * 10_000),
        chunks,
        continues,
        silent,
    ],
    ids=["drip", "headers", "body", "body-without-a-length", "chunks", "continues", "silent"],
)
def test_the_time_limit_is_for_the_whole_reply(handle: Callable[[RawServer, socket.socket], None]) -> None:
    with serving_raw(handle) as server:
        started = time.monotonic()
        with pytest.raises(Busy, match=r"Timeout \(no whole reply within 1 s\)"):
            ask(server)
    assert TIMEOUT * 0.9 <= time.monotonic() - started < TIMEOUT + MARGIN


def test_the_time_limit_is_for_the_whole_request() -> None:
    """The server reads a little of a long prompt now and then."""

    def handle(server: RawServer, connection: socket.socket) -> None:
        while connection.recv(1 << 17):  # 2 MB a second
            server.wait(0.06)

    with serving_raw(handle, read=False) as server:
        started = time.monotonic()
        with pytest.raises(Busy, match="Timeout"):
            ask(server, "x" * 30_000_000)
    assert time.monotonic() - started < TIMEOUT + MARGIN


def test_every_attempt_has_its_own_time() -> None:
    replies = iter([drip(response(COMPLETION)), lambda _, connection: connection.sendall(response(COMPLETION))])
    with (
        serving_raw(lambda server, connection: next(replies)(server, connection)) as server,
        closing(chat(server.url, retries=1)) as client,
    ):
        assert client.ask({}).text == "look"
    assert server.connections == 2


# -- size -----------------------------------------------------------------------------------------------------------

_CLIENT = """
import sys, tracemalloc
from agentgym_hindsight.hindsight.chat_server import Busy, ChatServer, Refused
server = ChatServer(sys.argv[1], "critic", api_key_env="X", timeout_s=30, retries=0, backoff_s=0, concurrency=1)
tracemalloc.start()
try:
    print(len(server.ask({}).text))
except (Busy, Refused) as error:
    print(type(error).__name__, error)
print(tracemalloc.get_traced_memory()[1])
"""


def measured(server: RawServer) -> tuple[str, int]:
    """The outcome of a request in another process, and its largest memory in bytes."""
    command = [sys.executable, "-c", _CLIENT, server.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    outcome, memory = done.stdout.rsplit("\n", 2)[:2]
    return outcome, int(memory)


def packed(size: int, level: int = 9) -> bytes:
    """``size`` blanks, compressed as gzip."""
    pack = zlib.compressobj(level, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    block = b" " * (1 << 20)
    return b"".join(pack.compress(block) for _ in range(size >> 20)) + pack.flush()


def endless(head: bytes, block: bytes) -> Callable[[RawServer, socket.socket], None]:
    def handle(server: RawServer, connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(block)

    return handle


BOMB = packed(300 << 20)
BOMBS = {
    "gzip": response(BOMB, "200 OK", "Content-Encoding: gzip"),
    "x-gzip": response(BOMB, "200 OK", "Content-Encoding: X-GZIP"),
    "deflate": response(zlib.compress(b" " * (64 << 20), 9), "200 OK", "Content-Encoding: deflate"),
    "gzip-in-gzip": response(gzip.compress(BOMB, 9), "200 OK", "Content-Encoding: gzip, gzip"),
    "refusal": response(BOMB, "400 Bad Request", "Content-Encoding: gzip"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_compressed_reply_cannot_fill_the_memory(name: str) -> None:
    with serving_raw(lambda _, connection: connection.sendall(BOMBS[name])) as server:
        outcome, memory = measured(server)
    assert memory < 60_000_000, f"{memory / 1e6:.0f} MB for {outcome}"
    expected = {"gzip-in-gzip": "Busy a reply in the encoding 'gzip, gzip'", "refusal": "Refused status 400"}
    assert outcome.startswith(expected.get(name, "Refused a reply of more than 8,388,608 bytes"))


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n",
    ],
)
def test_an_endless_reply_ends(head: bytes) -> None:
    block = b" " * 65536 if b"gzip" not in head else packed(1 << 26) * 3
    with serving_raw(endless(head, block)) as server:
        outcome, memory = measured(server)
    assert memory < 60_000_000, f"{memory / 1e6:.0f} MB for {outcome}"
    assert outcome.startswith("Refused a reply of more than")


def test_endless_headers_end() -> None:
    with serving_raw(endless(b"HTTP/1.1 200 OK\r\n", b"X-Header: 1\r\n" * 1000)) as server:
        outcome, memory = measured(server)
    assert memory < 60_000_000
    assert outcome.startswith("Busy RemoteProtocolError")


def raw_deflate(data: bytes) -> bytes:
    pack = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return pack.compress(data) + pack.flush()


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", raw_deflate), ("identity", bytes)],
)
def test_ordinary_compressed_replies_are_read(encoding: str, pack: Callable[[bytes], bytes]) -> None:
    reply = response(pack(COMPLETION), "200 OK", f"Content-Encoding: {encoding}")
    with serving_raw(lambda _, connection: connection.sendall(reply)) as server:
        assert ask(server) == Answer("look", "stop")


# -- nonsense -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "expected", "cause"),
    [
        (response(COMPLETION, length=len(COMPLETION) + 50), Busy, "RemoteProtocolError"),
        (response(COMPLETION, length=len(COMPLETION) - 5), Busy, "no chat completion"),
        (response(COMPLETION, length=-1), Busy, "RemoteProtocolError"),
        (response(COMPLETION, "200 OK", "Content-Length: 7"), Busy, "RemoteProtocolError"),
        (response(b"nonsense", "200 OK", "Content-Encoding: gzip"), Busy, "cannot be unpacked"),
        (response(COMPLETION, "200 OK", "Content-Encoding: br"), Busy, "encoding 'br'"),
        (b"HTTP/1.1 999\r\n\r\n", Busy, "status 999"),
        (b"\x00\xff" * 10 + b"\r\n\r\n", Busy, "RemoteProtocolError"),
        (response(b"[" * 100_000), Busy, "no chat completion"),
        (response(b'{"a": ' + b"9" * 10_000 + b"}"), Busy, "no chat completion"),
        (response(COMPLETION[:-1] + b', "usage": {"prompt_tokens": 1e999}}'), Busy, "no chat completion"),
        (response(COMPLETION[:-1] + b', "usage": [1]}'), Busy, "no chat completion"),
        (response(b"", "503 Busy", "Retry-After: " + "9" * 5000), Busy, "status 503"),
        (response(b"", "503 Busy", "Retry-After: Wed, 01 Jan 99999999999999999999 00:00:00 GMT"), Busy, "status 503"),
        (response(b"\x1b[2Jno\x00", "400 Bad Request"), Refused, r"status 400 \(\\x1b\[2Jno\\x00\)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_nonsense_is_an_error_of_this_request(reply: bytes, expected: type[Exception], cause: str) -> None:
    with serving_raw(lambda _, connection: connection.sendall(reply)) as server, pytest.raises(expected, match=cause):
        ask(server)


def test_redirects_are_not_followed() -> None:
    def handle(server: RawServer, connection: socket.socket) -> None:
        connection.sendall(response(b"moved", "302 Found", f"Location: {server.url}/chat/completions"))

    with serving_raw(handle) as server, pytest.raises(Refused, match=r"status 302 \(moved\)"):
        ask(server)
    assert server.connections == 1
