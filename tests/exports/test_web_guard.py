"""Pages of other sites cannot reach the servers of the exports through a browser."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agentgym_hindsight.exports.web_guard import WebGuard

OWN = frozenset(("localhost", "127.0.0.1", "[::1]"))


def answered(kind: str, hosts: frozenset[str] | None, *headers: tuple[str, str]) -> tuple[bool, list[Any]]:
    """Whether the app was reached, and what was sent."""
    reached, sent = False, []

    async def app(*_: Any) -> None:
        nonlocal reached
        reached = True

    async def receive() -> Any:
        return {"type": f"{kind}.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": kind, "headers": [(name.encode(), value.encode()) for name, value in headers]}
    asyncio.run(WebGuard(app, hosts)(scope, receive, send))
    return reached, sent


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ([("host", "localhost:8000")], True),
        ([("host", "127.0.0.1")], True),
        ([("Host", "[::1]:8000")], True),
        ([("host", "[::1]")], True),
        ([("host", "evil.example:8000")], False),
        ([("host", "localhost.evil.example")], False),
        ([], False),
        ([("host", "localhost"), ("host", "evil.example")], False),
        ([("host", "localhost:8000"), ("origin", "http://localhost:8000")], True),
        ([("host", "localhost:8000"), ("origin", "http://localhost:9000")], False),
        ([("host", "localhost:8000"), ("origin", "https://evil.example")], False),
        ([("host", "localhost:8000"), ("origin", "null")], False),
        ([("host", "localhost:8000"), ("origin", "http://localhost:8000"), ("origin", "null")], False),
    ],
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_who_is_answered(kind: str, headers: list[tuple[str, str]], passes: bool) -> None:
    reached, sent = answered(kind, OWN, *headers)
    assert reached is passes
    if not passes and kind == "http":
        assert sent[0]["status"] == 403
    elif not passes:
        assert sent == [{"type": "websocket.close", "code": 1008}]


def test_any_name_where_the_network_can_reach_the_server() -> None:
    assert answered("http", None, ("host", "gpu-7:8000"))[0]
    assert not answered("http", None, ("host", "gpu-7:8000"), ("origin", "http://evil.example"))[0]


def test_the_start_of_the_server_passes() -> None:
    assert answered("lifespan", OWN)[0]
