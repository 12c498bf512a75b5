"""Refuses requests that a page of another site makes in a browser: ASGI middleware for the servers of this folder.

A browser lets any page open a WebSocket to this machine. It names the page in the header Origin, and the name that the
page used for the server in the header Host.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["WebGuard"]

Scope = dict[str, Any]
App = Callable[[Scope, Any, Callable[[Any], Awaitable[None]]], Awaitable[None]]


class WebGuard:
    """Passes a request on if its Host is known, and if its Origin, where there is one, is the server itself."""

    def __init__(self, app: App, hosts: frozenset[str] | None) -> None:
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        if scope["type"] not in ("http", "websocket") or self._is_allowed(scope):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()  # the handshake; closing before it is accepted refuses it
            await send({"type": "websocket.close", "code": 1008})
        else:
            body = (
                b"Expected a request from this machine's own programs, got one for another name or from another site."
            )
            headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    def _is_allowed(self, scope: Scope) -> bool:
        found: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            found.setdefault(name.lower(), []).append(value)
        hosts, origins = found.get(b"host", []), found.get(b"origin", [])
        if len(hosts) != 1 or len(origins) > 1:
            return False
        host = hosts[0].decode("latin-1").lower()
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and ":" in host else host
        if self.hosts is not None and name not in self.hosts:
            return False
        return not origins or origins[0].decode("latin-1").lower().rpartition("://")[2] == host
