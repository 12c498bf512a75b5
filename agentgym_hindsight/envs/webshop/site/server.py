"""The HTTP server of ``agh serve webshop``.

Slow and idle clients cannot block it. A connection carries one request. The client has ``seconds`` to send it,
including the form, and as long again to take the answer. The application starts only when the request is complete. At
most ``connections`` are open, each with one thread. If all are taken, a new one takes the place of the one that has
waited for its client the longest, if that is longer than ``patience`` seconds.
"""

from __future__ import annotations

import io
import re
import socket
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from agentgym_hindsight.printable import printable_line

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = ["SiteServer"]

#: Bytes of a form that the application refused which are read, so that the client sees the answer and not a reset.
_DISCARDED = 1 << 20
_ABSOLUTE = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://([^/]*)(.*)", re.DOTALL)


class SiteServer(ThreadingMixIn, TCPServer):
    """Serves a WSGI application on a socket that listens already."""

    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        app: WSGIApplication,
        listener: socket.socket,
        *,
        connections: int = 100,
        seconds: float = 20.0,
        patience: float = 1.0,
        largest_form: int = 32 * 1024,
        log: bool = False,
        name: str = "WebShop",
    ) -> None:
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()  # the one that TCPServer made
        self.socket = listener
        self.app, self.seconds, self.largest_form, self.log, self.name = app, seconds, largest_form, log, name
        self._connections, self._patience = connections, patience
        # each open connection, with the time since when the server waits for its client; None while it works for it
        self._open: dict[socket.socket, float | None] = {}
        self._changed = threading.Condition()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Handle a new connection in a thread of its own."""
        self._make_room()
        self.waits_for(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        with self._changed:
            self._open.pop(request, None)
            self._changed.notify()
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report an error of the server. A client that went away is none."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def waits_for(self, connection: socket.socket) -> None:
        """Note that the server waits for the client from now on, which may be ended in favour of another client."""
        with self._changed:
            self._open[connection] = time.monotonic()

    def works_for(self, connection: socket.socket) -> None:
        """Note that the request is complete."""
        with self._changed:
            self._open[connection] = None

    def _make_room(self) -> None:
        with self._changed:
            while len(self._open) >= self._connections:
                waiting = [(since, connection) for connection, since in self._open.items() if since is not None]
                since, connection = min(waiting, key=lambda each: each[0], default=(0.0, None))
                left = since + self._patience - time.monotonic() if connection is not None else self._patience
                if connection is not None and left <= 0:
                    self._open[connection] = None
                    _wake(connection)  # its thread reads the end of the stream, and closes it
                else:
                    self._changed.wait(left)


def _wake(connection: socket.socket) -> None:
    with suppress(OSError):  # the client may have closed it
        connection.shutdown(socket.SHUT_RDWR)


class _UntilDeadline(io.RawIOBase):
    """Reads from a socket until a time, however slowly the bytes come."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._connection, self._deadline = connection, time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


class _Handler(BaseHTTPRequestHandler):
    """One connection with one request."""

    server: SiteServer
    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.0"  # HTTP/0.9 has no headers, not even in answers to malformed requests
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(_UntilDeadline(self.connection, self.server.seconds))

    def handle(self) -> None:
        """Read a request, run the application, send its answer."""
        self.requestline, self.request_version, self.command = "", "HTTP/1.1", ""  # send_error reads them
        self._unread = False
        try:
            body = self._read_request()
        except TimeoutError:
            self.connection.settimeout(1.0)
            if self.requestline:  # a client that sent nothing expects no answer
                self.send_error(408, "The request took too long")
            return
        if body is not None:
            self.server.works_for(self.connection)
            try:
                answer = self._run(self._environ(body))
            except Exception:
                self.send_error(500)
                raise
            self.server.waits_for(self.connection)
            self._send(*answer)
        if self._unread:
            self._discard_rest()

    def _read_request(self) -> bytes | None:
        """The form of the request, empty if it is too large; None if there is no request that can be answered."""
        line = self.raw_requestline = self.rfile.readline(65537)
        if not line.strip():
            return None
        self._unread = True
        if len(line) > 65536:
            self.send_error(414)
            return None
        if not self.parse_request():  # it has sent an error
            return None
        if "Transfer-Encoding" in self.headers:
            self.send_error(411, "Expected the length of the form")
            return None
        lengths = {value.strip() for value in self.headers.get_all("Content-Length", ["0"])}
        length = lengths.pop()
        if lengths or not (length.isascii() and length.isdigit() and len(length) < 20):
            self.send_error(400, "Expected one number as Content-Length")
            return None
        if int(length) > self.server.largest_form:
            return b""  # the application refuses it because of its length
        body = self.rfile.read(int(length))
        self._unread = False
        return body if len(body) == int(length) else None  # None: the client closed the connection

    def _environ(self, body: bytes) -> dict[str, Any]:
        path, _, query = self.path.partition("?")
        absolute = _ABSOLUTE.fullmatch(path)
        if absolute:  # its host is used in place of the header's
            path = absolute[2] or "/"
        environ: dict[str, Any] = {
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path.encode("latin-1")).decode("latin-1"),
            "QUERY_STRING": query,
            "REMOTE_ADDR": str(self.client_address[0]),
            "REMOTE_PORT": str(self.client_address[1]),
            "SERVER_NAME": str(self.server.server_address[0]),
            "SERVER_PORT": str(self.server.server_address[1]),
            "SERVER_PROTOCOL": self.request_version,
        }
        for name, value in self.headers.items():
            key, value = name.upper().replace("-", "_"), " ".join(value.split("\r\n"))
            if key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                environ.setdefault(key, value.strip())
            elif "_" not in name:  # else "X_Y" would pass for "X-Y"
                environ[f"HTTP_{key}"] = f"{environ[f'HTTP_{key}']},{value}" if f"HTTP_{key}" in environ else value
        if absolute:
            environ["HTTP_HOST"] = absolute[1]
        return environ

    def _run(self, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
        started: list[tuple[str, list[tuple[str, str]]]] = []
        parts: list[bytes] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            started.append((status, headers))
            return parts.append

        answer: Iterable[bytes] = self.server.app(environ, start_response)
        try:
            parts.extend(answer)
        finally:
            getattr(answer, "close", lambda: None)()
        return (*started[-1], b"".join(parts))

    def _send(self, status: str, headers: list[tuple[str, str]], content: bytes) -> None:
        self.connection.settimeout(self.server.seconds)
        code, _, phrase = status.partition(" ")
        self.send_response(int(code), phrase)
        for name, value in headers:
            self.send_header(name, value)
        named = {name.lower() for name, _ in headers}
        if "content-length" not in named and self.command != "HEAD" and code not in ("204", "304"):
            self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _discard_rest(self) -> None:
        """Read what the client still sends, for a short time: closing at once would reset the connection, and the
        client might lose the answer."""
        with suppress(OSError):  # also when the time is over
            self.connection.shutdown(socket.SHUT_WR)
            rest = _UntilDeadline(self.connection, min(1.0, self.server.seconds))
            total, block = 0, bytearray(65536)
            while total < _DISCARDED and (count := rest.readinto(block)):
                total += count

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Send a short page. The status line has no text of the client, which a message can contain."""
        super().send_error(code, None, explain or message)

    def version_string(self) -> str:
        """The Server header, without a version."""
        return self.server.name

    def log_message(self, format: str, *args: Any) -> None:
        """Print a line per request if the server shall. Control characters of the client are shown as escapes."""
        if self.server.log:
            line = printable_line(f"{self.client_address[0]} {format % args}", 300)
            print(f"{self.log_date_time_string()} {line}", file=sys.stderr)
