"""``agh serve``: it starts, answers, ends cleanly on Ctrl-C, and says what is wrong with how it was called."""

from __future__ import annotations

import os
import socket

import pytest

from agentgym_hindsight.cli import main
from tests.envs.webshop.site_server import fetcher, served


def test_serves_and_ends_cleanly() -> None:
    with served("--set", "products=60", "--set", "rules=official", "--split", "test") as server:
        assert server.host == "127.0.0.1"
        answer = fetcher(server)("GET", "/ann", None)
        assert answer.status == 200
        assert "60 products · embedded (test) · official rules" in answer.text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--port", "70000"], "from 0 to 65535"),
        (["--host", "no.such.host.invalid"], "Expected a host of this machine"),
        (["--set", "max_steps=3"], "argument of a shop"),
        (["--set", "rulez=official"], "did you mean 'rules'"),
        (["--set", "rules"], "NAME=VALUE"),
        (["--set", "rules=strikt", "--port", "0"], "did you mean 'strict'"),
        (["--threads", "0"], "at least one thread"),
        (["--set", "data=/no/such/folder", "--port", "0"], "/no/such/folder"),
    ],
)
def test_wrong_use_is_explained(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "webshop", *arguments]) in (1, 2)
    assert told in capsys.readouterr().err


def test_a_taken_port_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "webshop", "--port", str(port)]) == 2
    told = capsys.readouterr().err
    assert f"127.0.0.1:{port}, which is taken by another program" in told
    assert "try --port" in told


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="an administrator may use any port")
def test_a_port_without_rights_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "webshop", "--port", "1"]) == 2
    assert "rights of an administrator" in capsys.readouterr().err
