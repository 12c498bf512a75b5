"""Slow clients, foreign host names, too many sessions: one visitor cannot spoil the site for the others."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest
from flask import Flask

from agentgym_hindsight.envs.webshop.pages import DONE, INDEX, RESULTS, State
from agentgym_hindsight.envs.webshop.session import Session
from agentgym_hindsight.envs.webshop.shop import Shop
from agentgym_hindsight.envs.webshop.site.app import create_app
from agentgym_hindsight.envs.webshop.site.hosts import host_names
from agentgym_hindsight.envs.webshop.site.server import SiteServer
from agentgym_hindsight.envs.webshop.site.sessions import Sessions, ShopFullError
from agentgym_hindsight.errors import UsageError
from tests.envs.webshop.tiny_shop import tiny_shop
from tests.envs.webshop.visitor import session_of

MUG = "T000000001"
FORM = "Content-Type: application/x-www-form-urlencoded\r\n"


@pytest.fixture(scope="module")
def shop() -> Shop:
    return tiny_shop()


@pytest.fixture
def app(shop: Shop) -> Flask:
    return create_app(shop)


class TestForms:
    """Forms are read before a session is looked up."""

    def test_a_slow_form_does_not_hold_the_session(self, app: Flask) -> None:
        app.test_client().get("/ann")
        begun, go_on = threading.Event(), threading.Event()
        answers: list[int] = []

        class Slow:
            def read(self, size: int = -1) -> bytes:
                begun.set()
                go_on.wait(30)
                return b""

            readline = read

        def send() -> None:
            environ = {"CONTENT_TYPE": "application/x-www-form-urlencoded", "CONTENT_LENGTH": "20"}
            answer = app.test_client().post("/ann", environ_overrides={**environ, "wsgi.input": Slow()})
            answers.append(answer.status_code)

        def look() -> None:
            answers.append(app.test_client().get("/ann").status_code)

        slow, other = threading.Thread(target=send), threading.Thread(target=look)
        slow.start()
        assert begun.wait(30)
        other.start()
        other.join(10)
        try:
            assert answers == [200], "the other request is answered while the form is on its way"
        finally:
            go_on.set()
            slow.join(30)
            other.join(30)

    def test_a_form_that_cannot_be_read_creates_no_session(self, app: Flask) -> None:
        answer = app.test_client().post("/bob", data={"search_query": "m" * 40_000})
        assert answer.status_code == 413
        assert app.extensions["webshop"].find("bob") is None


class TestHead:
    def test_it_creates_no_session(self, app: Flask) -> None:
        client = app.test_client()
        assert client.head("/ann").status_code == 200
        assert client.head("/fixed_2").status_code == 200
        assert client.head("/fixed_99999").status_code == 404
        assert client.head("/search_results/ann/mug/1").status_code == 404
        assert len(app.extensions["webshop"]) == 0

    def test_it_has_the_headers_of_get(self, app: Flask) -> None:
        client = app.test_client()
        head, get = client.head("/ann"), client.get("/ann")
        assert head.headers == get.headers
        assert head.data == b""


class TestHosts:
    @pytest.mark.parametrize(
        "host", ["localhost", "127.0.0.1:3000", "[::1]:3000", "LOCALHOST:80", "shop.example", "shop.example:443"]
    )
    def test_known_names_are_answered(self, shop: Shop, host: str) -> None:
        client = create_app(shop, hosts=host_names("127.0.0.1", ["Shop.example"])).test_client()
        assert client.get("/ann", headers={"Host": host}).status_code == 200

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example",
            "evil.example:3000",
            "localhost.evil.example",
            "localhost@evil.example",
            "127.0.0.1.evil.example",
            "[::1",
            "[::2]:3000",
            "127.0.0.1:3000,evil.example",
            "127.0.0.1:port",
            "0.0.0.0",
            "",
            "\xff",
        ],
    )
    @pytest.mark.parametrize("address", ["/ann", "/static/site.css", f"/picture/{MUG}.svg", "/"])
    def test_other_names_are_refused(self, shop: Shop, host: str, address: str) -> None:
        app = create_app(shop, hosts=host_names("127.0.0.1"))
        answer = app.test_client().get(address, environ_overrides={"HTTP_HOST": host})
        assert answer.status_code == 400
        assert b"does not answer to the name" in answer.data
        assert len(app.extensions["webshop"]) == 0

    def test_which_names_belong_to_an_address(self) -> None:
        assert host_names("127.0.0.2") == {"localhost", "127.0.0.1", "[::1]", "127.0.0.2"}
        assert host_names("::1") == {"localhost", "127.0.0.1", "[::1]"}
        assert host_names("0.0.0.0") is None
        assert host_names("::") is None
        assert host_names("192.0.2.1", ["Shop.example"]) == {"192.0.2.1", "shop.example"}

    def test_one_name_in_place_of_a_list_is_an_error(self, shop: Shop) -> None:
        with pytest.raises(UsageError, match="list of host names"):
            create_app(shop, hosts="localhost")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(shop: Shop, clock: Clock) -> Sessions:
    return Sessions(lambda name: Session(shop, shop.goals[0], session_id=name), limit=8, clock=clock)


def visit(store: Sessions, name: str, kind: str = INDEX, client: str = "127.0.0.1") -> None:
    """A request to a session, after which it is on a page of this kind."""
    locked = store.find_or_create(name, client)
    with locked.lock:
        locked.session.state = State(kind, "mug", 1)
        store.put_back(name, locked)


def kept(store: Sessions) -> set[str]:
    return set(store._sessions)


class TestEviction:
    """A flood of new sessions does not remove those that people use, although all have the same address."""

    def test_sessions_on_the_start_page_go_first(self, store: Sessions) -> None:
        visit(store, "ann", RESULTS)
        visit(store, "bob", DONE)
        for number in range(1000):
            visit(store, f"flood{number}")
        assert {"ann", "bob"} < kept(store)
        assert len(store) == 8

    def test_then_sessions_whose_purchase_was_made(self, store: Sessions) -> None:
        visit(store, "ann", RESULTS)
        for number in range(1000):
            visit(store, f"flood{number}", DONE)
        assert "ann" in kept(store)
        assert len(store) == 8

    def test_a_flood_of_used_sessions_is_refused(self, store: Sessions) -> None:
        visit(store, "ann", RESULTS)
        refused = 0
        for number in range(1000):
            try:
                visit(store, f"flood{number}", RESULTS)
            except ShopFullError:
                refused += 1
        assert "ann" in kept(store)
        assert refused == 1000 - 7
        assert store.find("ann") is not None

    def test_sessions_that_nobody_used_for_long_go_before_anybody_is_refused(
        self, store: Sessions, clock: Clock
    ) -> None:
        for number in range(8):
            clock.now = number
            visit(store, f"old{number}", RESULTS)
        clock.now = 602
        visit(store, "ann", RESULTS)
        assert kept(store) == {"ann", *(f"old{number}" for number in range(1, 8))}

    def test_other_addresses_take_the_place_of_one_that_has_most(self, store: Sessions, clock: Clock) -> None:
        visit(store, "ann", RESULTS, "192.0.2.1")
        for number in range(7):
            visit(store, f"flood{number}", RESULTS, "192.0.2.66")
        with pytest.raises(ShopFullError):
            visit(store, "flood7", RESULTS, "192.0.2.66")
        for name in ("bob", "cyd", "dan", "eve"):
            visit(store, name, RESULTS, f"192.0.2.{name}")
        assert kept(store) == {"ann", "bob", "cyd", "dan", "eve", "flood4", "flood5", "flood6"}
        visit(store, "fay", RESULTS, "192.0.2.6")  # the flood has three of eight
        with pytest.raises(ShopFullError):  # now it has two, which is no more than a quarter
            visit(store, "gus", RESULTS, "192.0.2.7")

    def test_a_name_without_a_goal_removes_no_session(self, shop: Shop) -> None:
        app = create_app(shop, max_sessions=1)
        app.test_client().get("/ann")
        assert app.test_client().get("/fixed_99999").status_code == 404
        assert session_of(app, "ann")

    def test_the_site_says_that_it_is_full(self, shop: Shop) -> None:
        app = create_app(shop, max_sessions=2)
        client = app.test_client()
        for name in ("ann", "bob"):
            client.get(f"/{name}")
            client.post(f"/{name}", data={"search_query": "mug"})
        answer = client.get("/cyd")
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "60"
        assert "in use" in answer.get_data(as_text=True)
        assert client.get("/search_results/ann/mug/1").status_code == 200
        client.get("/ann")  # back on the start page
        assert client.get("/cyd").status_code == 200

    def test_a_restart_or_a_purchase_moves_a_session_to_its_group(self, app: Flask) -> None:
        client, sessions = app.test_client(), app.extensions["webshop"]
        client.get("/ann")
        assert list(sessions._idle) == ["ann"]
        client.post("/ann", data={"search_query": "mug"})
        assert (list(sessions._idle), list(sessions._active)) == ([], ["ann"])
        client.get(f"/done/ann/{MUG}/{{}}")
        assert (list(sessions._active), list(sessions._done)) == ([], ["ann"])
        client.get("/ann")
        assert (list(sessions._idle), list(sessions._done)) == (["ann"], [])

    def test_random_requests_keep_the_groups_consistent(self, store: Sessions, clock: Clock) -> None:
        draw = Random(5)
        for _ in range(3000):
            clock.now += draw.choice((0.0, 1.0, 90.0))
            kind, client = draw.choice((INDEX, RESULTS, DONE)), f"192.0.2.{draw.randrange(3)}"
            try:
                visit(store, f"n{draw.randrange(30)}", kind, client)
            except ShopFullError:
                assert len(store._active) == 8
            names = [*store._idle, *store._done, *store._active]
            assert sorted(names) == sorted(kept(store))
            assert len(names) <= 8
            for group in (store._idle, store._done, store._active):
                used = [store._sessions[name].used for name in group]
                assert used == sorted(used)


@contextmanager
def running(app: Any, **limits: Any) -> Iterator[int]:
    """The port of a server with these limits."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = SiteServer(app, listener, **limits)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.shutdown()
            thread.join()


def connect(port: int, text: str = "") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    connection.sendall(text.encode("latin-1"))
    return connection


def read_all(connection: socket.socket) -> str:
    """What the server sends until it closes the connection."""
    parts = []
    with connection:
        try:
            while part := connection.recv(65536):
                parts.append(part)
        except ConnectionError:
            pass
    return b"".join(parts).decode("utf-8")


def ask(port: int, text: str) -> str:
    return read_all(connect(port, text))


GET = "GET /ann HTTP/1.1\r\nHost: localhost\r\n\r\n"


class TestServer:
    @pytest.mark.parametrize(
        ("sent", "answer"),
        [
            ("", ""),
            ("GE", ""),
            ("GET /ann HTTP/1.1\r\nHost: localhost\r\n", "HTTP/1.1 408 "),
            (f"POST /ann HTTP/1.1\r\nHost: localhost\r\n{FORM}Content-Length: 30\r\n\r\nsearch_q", "HTTP/1.1 408 "),
        ],
        ids=["idle", "request line", "headers", "form"],
    )
    def test_a_client_that_stops_is_closed(self, app: Flask, sent: str, answer: str) -> None:
        with running(app, seconds=0.3) as port:
            assert ask(port, sent)[:13] == answer
        assert len(app.extensions["webshop"]) == 0

    @pytest.mark.parametrize("part", ["headers", "form"])
    def test_a_client_that_drips_is_closed(self, app: Flask, part: str) -> None:
        """Each byte comes in time; the request does not."""
        start = "GET /ann HTTP/1.1\r\nX: "
        if part == "form":
            start = f"POST /ann HTTP/1.1\r\nHost: localhost\r\n{FORM}Content-Length: 30000\r\n\r\n"
        with running(app, seconds=0.5) as port, connect(port, start) as connection:
            connection.settimeout(0.05)
            end = time.monotonic() + 30
            while time.monotonic() < end:
                try:
                    connection.sendall(b"x")
                    if connection.recv(65536):  # the answer 408, or the end
                        break
                except TimeoutError:
                    continue
                except ConnectionError:
                    break
            else:
                raise AssertionError("the connection is still open")

    def test_slow_clients_give_way_to_others(self, app: Flask) -> None:
        """All connections are taken by clients that send nothing more."""
        with running(app, connections=4, seconds=60, patience=0.1) as port:
            slow = [connect(port, "GET /ann HTTP/1.1\r\nHost:") for _ in range(4)]
            for _ in range(8):
                assert ask(port, GET).startswith("HTTP/1.1 200 ")
            for connection in slow:
                connection.close()

    def test_a_client_that_does_not_read_gives_way_too(self) -> None:
        def large(environ: Any, start: Callable[..., Any]) -> list[bytes]:
            start("200 OK", [])
            return [b"x" * 50_000_000] if environ["PATH_INFO"] == "/large" else [b"small"]

        with running(large, connections=2, seconds=60, patience=0.1) as port:
            slow = [connect(port, "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n") for _ in range(2)]
            for _ in range(4):
                assert ask(port, GET).endswith("small")
            for connection in slow:
                connection.close()

    def test_the_number_of_threads_is_bounded(self, app: Flask) -> None:
        before = threading.active_count()
        with running(app, connections=5, seconds=60, patience=0.05) as port:
            connections = [connect(port) for _ in range(40)]
            assert ask(port, GET).startswith("HTTP/1.1 200 ")
            assert threading.active_count() - before <= 1 + 5 + 1
            for connection in connections:
                connection.close()

    def test_a_working_request_is_not_ended_for_another(self) -> None:
        begun, release = threading.Event(), threading.Event()

        def slow_app(environ: Any, start: Callable[..., Any]) -> list[bytes]:
            if environ["PATH_INFO"] == "/slow":
                begun.set()
                release.wait(30)
            start("200 OK", [("Content-Type", "text/plain")])
            return [environ["PATH_INFO"].encode()]

        with running(slow_app, connections=1, seconds=60, patience=0.5) as port:
            first = connect(port, "GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert begun.wait(30)
            second = connect(port, "GET /second HTTP/1.1\r\nHost: localhost\r\n\r\n")
            time.sleep(0.8)
            release.set()
            assert read_all(first).endswith("/slow")
            assert read_all(second).endswith("/second")

    def test_no_version_is_told(self, app: Flask) -> None:
        with running(app) as port:
            for request in (GET, "nonsense\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "BREW /ann HTTP/1.1\r\n\r\n"):
                head = ask(port, request).partition("\r\n\r\n")[0]
                assert "Server: WebShop\r\n" in f"{head}\r\n"
                assert "Python" not in head
                assert "Werkzeug" not in head

    @pytest.mark.parametrize(
        ("request_text", "status"),
        [
            ("GET /ann HTTP/1.0\r\n\r\n", 200),
            ("GET http://localhost:3000/ann HTTP/1.1\r\nHost: evil.example\r\n\r\n", 200),
            ("GET http://evil.example/ann HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
            ("GET http://[::1/ann HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
            ("GET /ann HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", 400),
            ("HEAD /ann HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
            ("GET /search_results/ann/http://x/1 HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
            ("GET /%ff%00%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
            ("BREW /ann HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
            ("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
            ("GET /ann\r\n\r\n", 200),
            ("nonsense\r\n\r\n", 400),
            (f"GET /{'x' * 70_000} HTTP/1.1\r\n\r\n", 414),
            (f"GET / HTTP/1.1\r\nX: {'x' * 70_000}\r\n\r\n", 431),
            ("GET / HTTP/1.1\r\n" + "X: y\r\n" * 200 + "\r\n", 431),
            ("POST /ann HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400),
            ("POST /ann HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
            ("POST /ann HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
            (f"POST /ann HTTP/1.1\r\nHost: localhost\r\n{FORM}Content-Length: 16\r\n\r\nsearch_query=mug", 303),
            (f"POST /ann HTTP/1.1\r\nHost: localhost\r\n{FORM}Content-Length: 90000\r\n\r\n" + "x" * 90_000, 413),
            (f"POST /ann HTTP/1.1\r\nHost: localhost\r\n{FORM}Content-Length: 99999999999\r\n\r\nx", 413),
            (f"POST /ann HTTP/1.1\r\nExpect: 100-continue\r\n{FORM}Content-Length: 16\r\n\r\nsearch_query=mug", 100),
        ],
        ids=range(22),
    )
    def test_requests(self, shop: Shop, request_text: str, status: int) -> None:
        with running(create_app(shop, hosts=host_names("127.0.0.1")), seconds=60) as port:
            answer = ask(port, request_text)
            assert answer.startswith(f"HTTP/1.1 {status} "), answer[:200]
            assert ask(port, GET).startswith("HTTP/1.1 200 ")
            if request_text.startswith("HEAD"):
                assert answer.endswith("\r\n\r\n")

    def test_random_bytes(self, app: Flask, capsys: pytest.CaptureFixture[str]) -> None:
        """Parts of requests that are cut, doubled and replaced: each connection ends, and none is left over."""
        draw, before = Random(3), threading.active_count()
        form = f"POST /ann HTTP/1.1\r\nHost: localhost\r\n{FORM}Content-Length: 16\r\n\r\nsearch_query=mug"
        with running(app, seconds=60) as port:
            for _ in range(300):
                raw = bytearray(draw.choice((GET, form)).encode())
                for _ in range(draw.randrange(4)):
                    place = draw.randrange(len(raw))
                    raw[place : place + draw.randrange(9)] = draw.randbytes(draw.randrange(9))
                with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
                    connection.sendall(raw)
                    connection.shutdown(socket.SHUT_WR)
                    read_all(connection)
            assert ask(port, GET).startswith("HTTP/1.1 200 ")
            end = time.monotonic() + 30
            while threading.active_count() > before + 1 and time.monotonic() < end:
                time.sleep(0.01)
            assert threading.active_count() <= before + 1
        assert "Traceback" not in capsys.readouterr().err

    def test_an_error_of_the_application_is_answered(self, capsys: pytest.CaptureFixture[str]) -> None:
        def broken(environ: Any, start: Callable[..., Any]) -> list[bytes]:
            raise ValueError("broken")

        with running(broken) as port:
            assert ask(port, GET).startswith("HTTP/1.1 500 ")
        assert "ValueError: broken" in capsys.readouterr().err

    def test_the_log_shows_control_characters_as_escapes(self, app: Flask, capsys: pytest.CaptureFixture[str]) -> None:
        with running(app, log=True) as port:
            ask(port, "GET /\x1b[2Jann\x9b HTTP/1.1\r\nHost: localhost\r\n\r\n")
        printed = capsys.readouterr().err
        assert "127.0.0.1" in printed
        assert r"\x1b[2Jann\x9b" in printed
        assert "\x1b" not in printed
