"""The client: one pool of connections to one server."""

from __future__ import annotations

import os
import ssl
from base64 import b64encode
from collections.abc import Mapping
from typing import NamedTuple

import httpcore

from agentgym_hindsight.http_client.address import Address, environment_proxy
from agentgym_hindsight.http_client.body import read_body
from agentgym_hindsight.http_client.deadlines import Clock, TimedBackend
from agentgym_hindsight.http_client.errors import mapped_errors
from agentgym_hindsight.redaction import Secret

__all__ = ["HttpClient", "HttpReply"]

_KEEP_ALIVE = 5.0  # seconds; servers close idle connections after about as long
_AGENT = "agentgym-hindsight"


class HttpReply(NamedTuple):
    """A reply. The names of ``headers`` are in lower case. ``complete`` is false if ``body`` was cut at the limit."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    complete: bool


class HttpClient:
    """A client of one server, for any number of threads.

    * ``url``: the address that paths are appended to. User information in it is sent as Basic authentication in
      requests without an ``Authorization`` of their own.
    * ``socket_path``: a socket file to connect to instead of the host.
    * ``connections``, ``keep_alive``: how many at once, and whether a connection is used for several requests.
    * ``use_proxies``: obey ``HTTPS_PROXY``, ``NO_PROXY`` ….
    """

    def __init__(
        self,
        url: str,
        *,
        socket_path: str | None = None,
        connections: int = 10,
        keep_alive: bool = True,
        use_proxies: bool = True,
    ) -> None:
        self._address = address = Address.of(url)
        #: The address without user information, and its host.
        self.url, self.host = address.shown, address.host
        self.is_closed = False
        self._clock = Clock()
        self._pool = httpcore.ConnectionPool(
            ssl_context=_ssl_context() if address.scheme == b"https" else None,
            proxy=environment_proxy(address) if use_proxies else None,
            max_connections=connections,
            max_keepalive_connections=connections if keep_alive else 0,
            keepalive_expiry=_KEEP_ALIVE if keep_alive else 0.0,
            uds=socket_path,
            network_backend=TimedBackend(self._clock),
        )

    def __repr__(self) -> str:
        return f"HttpClient({self.url!r})"

    @property
    def password(self) -> Secret:
        """The password in the URL; empty if there is none."""
        return Secret(self._address.user.reveal().partition(":")[2])

    def close(self) -> None:
        """Close the connections. May be called twice."""
        self.is_closed = True
        self._pool.close()

    def request(
        self,
        method: str,
        path: str,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        seconds: float,
        most_bytes: int,
        connect_seconds: float | None = None,
    ) -> HttpReply:
        """Send a request and read the reply. Raises :class:`HttpError` if there is none.

        ``seconds`` limits the time of it all, ``connect_seconds`` that of connecting, and ``most_bytes`` the body.
        """
        sent = self._headers(headers or {})
        limits = {"pool": seconds, "connect": connect_seconds or seconds, "read": seconds, "write": seconds}
        extensions = {"timeout": limits}
        url = self._address.resource(path)
        with (
            self._clock.limited(seconds),
            mapped_errors(seconds),
            self._pool.stream(method, url, headers=sent, content=content, extensions=extensions) as response,
        ):
            received = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            body, complete = read_body(response.iter_stream(), received, most_bytes)
            return HttpReply(response.status, received, body, complete)

    def _headers(self, headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
        merged = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate", "User-Agent": _AGENT, **headers}
        user = self._address.user.reveal()
        if user and "Authorization" not in merged:
            merged["Authorization"] = f"Basic {b64encode(user.encode()).decode('ascii')}"
        encoded = [(name.encode("ascii"), value.encode("ascii")) for name, value in merged.items()]
        return [(b"Host", self._address.host_header), *encoded]


def _ssl_context() -> ssl.SSLContext:
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if file or folder:
        return ssl.create_default_context(cafile=file or None, capath=folder or None)
    return httpcore.default_ssl_context()
