"""The HTTP client: addresses, authentication, connections and proxies. Limits are tested with the chat server."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import closing

import pytest

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.http_client import HttpClient, HttpConnectError, HttpError, HttpReply
from agentgym_hindsight.http_client.address import Address
from tests.raw_server import RawServer, read_request, response, serving_raw


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def answer(server: RawServer, connection: socket.socket) -> None:
    connection.sendall(response(b"hello", "200 OK", "X-Thing: 1"))


def answer_all(server: RawServer, connection: socket.socket) -> None:
    """Answers every request of a connection."""
    answer(server, connection)
    while request := read_request(connection):
        server.requests.append(request)
        answer(server, connection)


def get(client: HttpClient, path: str = "/", **headers: str) -> HttpReply:
    return client.request("GET", path, None, headers, seconds=5, most_bytes=100)


def header(request: bytes, name: str) -> str:
    lines = request.decode("latin-1").split("\r\n")
    return next((line.partition(": ")[2] for line in lines if line.lower().startswith(f"{name.lower()}: ")), "")


def test_a_reply() -> None:
    with (
        serving_raw(answer) as server,
        closing(HttpClient(f"http://127.0.0.1:{server.port}/a b/".replace(" ", "%20"))) as client,
    ):
        reply = client.request("POST", "/é?x", b"body", {"X-More": "2"}, seconds=5, most_bytes=100)
    assert reply == HttpReply(200, {"content-length": "5", "x-thing": "1"}, b"hello", True)
    (request,) = server.requests
    assert request.startswith(b"POST /a%20b/%C3%A9%3Fx HTTP/1.1\r\n")
    assert request.endswith(b"\r\n\r\nbody")
    assert header(request, "Host") == f"127.0.0.1:{server.port}"
    assert (header(request, "X-More"), header(request, "Authorization")) == ("2", "")


def test_the_body_is_cut_at_the_limit() -> None:
    with serving_raw(answer) as server, closing(HttpClient(server.url)) as client:
        reply = client.request("GET", "/", seconds=5, most_bytes=4)
    assert (reply.body, reply.complete) == (b"hell", False)


def test_a_query_of_the_address_is_kept() -> None:
    with serving_raw(answer) as server, closing(HttpClient(f"{server.url}?api-version=2#x")) as client:
        get(client, "/chat")
    assert server.requests[0].startswith(b"GET /v1/chat?api-version=2 HTTP/1.1")


def test_user_information_is_sent_only_without_another_authorization() -> None:
    with serving_raw(answer_all) as server:
        url = server.url.replace("://", "://me:p%40ss%C3%A9@")
        with closing(HttpClient(url)) as client:
            get(client)
            get(client, Authorization="Bearer key")
            assert client.password.reveal() == "p@ssé"
            assert not any(part in f"{client!r} {vars(client)}" for part in ("p@ss", "p%40ss", "me:"))
            assert client.url == server.url
    assert header(server.requests[0], "Authorization") == "Basic bWU6cEBzc8Op"
    assert header(server.requests[1], "Authorization") == "Bearer key"


@pytest.mark.parametrize(("keep_alive", "connections"), [(True, 1), (False, 3)])
def test_connections_are_used_again(keep_alive: bool, connections: int) -> None:
    with serving_raw(answer_all) as server, closing(HttpClient(server.url, keep_alive=keep_alive)) as client:
        for _ in range(3):
            assert get(client).body == b"hello"
        assert (len(server.requests), server.connections) == (3, connections)


def test_a_server_that_closes_idle_connections() -> None:
    with serving_raw(answer) as server, closing(HttpClient(server.url)) as client:
        for _ in range(3):
            assert get(client).body == b"hello"
            server.wait(0.05)
    assert server.connections == 3


def test_no_server() -> None:
    with serving_raw(answer) as server:
        pass
    with closing(HttpClient(server.url)) as client, pytest.raises(HttpConnectError, match="ConnectError"):
        get(client)


def test_every_address_of_a_host_is_tried() -> None:
    """localhost is often ::1 first, and the server listens on 127.0.0.1 only."""
    with serving_raw(answer) as server, closing(HttpClient(server.url.replace("127.0.0.1", "localhost"))) as client:
        assert get(client).body == b"hello"


@pytest.mark.parametrize(
    ("make", "proxied"),
    [
        (lambda port: {"HTTP_PROXY": f"http://me:p%40w@127.0.0.1:{port}"}, True),
        (lambda port: {"ALL_PROXY": f"127.0.0.1:{port}"}, True),
        (lambda port: {"HTTP_PROXY": f"http://127.0.0.1:{port}", "NO_PROXY": ".invalid"}, False),
    ],
)
def test_proxies_of_the_environment(
    make: Callable[[int], dict[str, str]], proxied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving_raw(answer) as proxy:
        for name, value in make(proxy.port).items():
            monkeypatch.setenv(name.lower(), value)  # the lower-case names are the common ones
        with closing(HttpClient("http://server.invalid/v1")) as client:
            if proxied:
                assert get(client).body == b"hello"
            else:
                with pytest.raises(HttpError, match="ConnectError"):
                    get(client)
        with closing(HttpClient("http://server.invalid/v1", use_proxies=False)) as client, pytest.raises(HttpError):
            get(client)
    assert [request.split(b"\r\n")[0] for request in proxy.requests] == [
        b"GET http://server.invalid/v1/ HTTP/1.1"
    ] * proxied
    if proxied and "@" in make(0).get("HTTP_PROXY", ""):
        assert header(proxy.requests[0], "Proxy-Authorization") == "Basic bWU6cEB3"


@pytest.mark.parametrize(
    "url",
    ["", "localhost:8000", "ftp://host", "http://", "http:///v1", "http://[::1", "http://host:99999", "http://me:pw@host:x",
     "http://host/a b", "http://ho\nst", "http://me:pw x@host", "http://" + "é" * 99],
)  # fmt: skip
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(
        UsageError, match=r"Expected the server's address, got .*; try 'http://localhost:8000/v1'"
    ) as caught:
        HttpClient(url)
    assert "pw" not in str(caught.value)


def test_the_placeholder_of_a_password_is_refused() -> None:
    with pytest.raises(UsageError, match=r"the placeholder in 'https://\*\*\*@host/v1'; try the real password"):
        HttpClient("https://***@host/v1")


def test_hosts_in_other_alphabets_and_ip_addresses() -> None:
    assert Address.of("http://bücher.example/v1").network_host == b"xn--bcher-kva.example"
    assert Address.of("https://[::1]:80/v1/").host_header == b"[::1]:80"
    assert Address.of("https://[::1]:80/v1/").shown == "https://[::1]:80/v1"
