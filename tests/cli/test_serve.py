"""``agh serve``: it starts, answers, ends cleanly on Ctrl-C, and explains wrong options."""

from __future__ import annotations

import http.client
import os
import socket
from importlib.util import find_spec
from pathlib import Path

import pytest

from agentgym_hindsight.cli import listening, main
from tests.envs.webshop.site_server import fetcher, served


def test_serves_and_ends_cleanly() -> None:
    with served("--set", "products=60", "--set", "rules=official", "--split", "test") as server:
        assert server.host == "127.0.0.1"
        answer = fetcher(server)("GET", "/ann", None)
        assert answer.status == 200
        assert "60 products · embedded (test) · official rules" in answer.text


@pytest.mark.parametrize("words", [["serve", "webshop", "--set", "products=60"], ["view"]], ids=["serve", "view"])
def test_a_signal_right_after_the_address_ends_cleanly(
    words: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(host: str) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(listening, "is_loopback", interrupted)  # is asked when the address has been printed
    assert main([*words, "--port", "0", *([str(tmp_path)] if words == ["view"] else [])]) == 0
    assert capsys.readouterr().err.endswith("Closed.\n")


def test_only_names_of_this_machine_are_answered_on_a_loopback_address() -> None:
    with served("--set", "products=60", "--allow-host", "shop.example") as server:
        for host, status in (
            ("localhost", 200),
            (f"127.0.0.1:{server.port}", 200),
            ("[::1]:3000", 200),
            ("shop.example", 200),
            ("evil.example", 400),
        ):
            connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
            connection.request("GET", "/ann", headers={"Host": host})
            answer = connection.getresponse()
            assert answer.status == status, host
            assert answer.getheader("Server") == "WebShop"
            connection.close()


def test_any_name_is_answered_if_the_network_can_reach_the_site() -> None:
    with served("--set", "products=60", "--host", "0.0.0.0") as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.request("GET", "/ann", headers={"Host": "shop.example"})
        assert connection.getresponse().status == 200
        connection.close()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--openenv", "alfworld"], "got both"),
        (["--port", "70000"], "from 0 to 65535"),
        (["--host", "no.such.host.invalid"], "Expected an address of this machine"),
        (["--set", "max_steps=3"], "argument of a shop"),
        (["--set", "rulez=official"], "did you mean 'rules'"),
        (["--set", "rules"], "NAME=VALUE"),
        (["--set", "rules=strikt", "--port", "0"], "did you mean 'strict'"),
        (["--threads", "0"], "at least one thread"),
        (["--allow-host", "localhost:3000"], "without a port"),
        (["--allow-host", "http://shop"], "without a port"),
        (["--set", "data=/no/such/folder", "--port", "0"], "/no/such/folder"),
    ],
)
def test_errors_say_what_to_try(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "webshop", *arguments]) in (1, 2)
    assert text in capsys.readouterr().err


def test_a_port_in_use_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "webshop", "--port", str(port)]) == 2
    printed = capsys.readouterr().err
    assert f"127.0.0.1:{port}, which another program uses" in printed
    assert "try --port" in printed


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="an administrator may use any port")
def test_a_port_that_needs_administrator_rights_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "webshop", "--port", "1"]) == 2
    assert "needs administrator rights" in capsys.readouterr().err


def test_either_the_shop_or_an_environment_for_openenv(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve"]) == 2
    assert "Expected webshop or --openenv ENV, got neither" in capsys.readouterr().err


@pytest.mark.skipif(find_spec("openenv") is not None, reason="openenv is installed")
def test_without_openenv_the_command_says_what_to_install(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--openenv", "alfworld"]) == 1
    assert "try: pip install 'openenv>=0.10,<0.11'" in capsys.readouterr().err.replace("\n", " ")
