"""``agh view``: it starts, answers, ends cleanly on Ctrl-C, exports a page, and explains wrong options."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from agentgym_hindsight.cli import main
from agentgym_hindsight.hindsight import write_jsonl
from tests.viewer.rollout_files import lost, won


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_jsonl(tmp_path / "rollouts.jsonl", [won(), lost()])
    return tmp_path / "rollouts.jsonl"


def test_serves_and_ends_cleanly(file: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "agentgym_hindsight",
        "view",
        str(file),
        "--port",
        "0",
        "--allow-host",
        "me.example",
    ]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "COLUMNS": "150"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env) as process:
        assert process.stderr is not None
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", process.stderr.readline())
        assert found
        for host, status in (("localhost", 302), ("me.example", 302), ("evil.example", 400)):
            connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=60)
            connection.request("GET", "/", headers={"Host": host})
            answer = connection.getresponse()
            assert (answer.status, answer.getheader("Server")) == (status, "agh view"), host
            connection.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert "Closed." in process.stderr.read()


def test_exports_one_page(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = file.parent / "page.html"
    assert main(["view", str(file), "--export", str(out)]) == 0
    assert f"Written to {out}: 2 rollouts" in capsys.readouterr().out
    assert main(["view", str(file.parent), "--export", str(out), "--most", "1"]) == 0  # replaces its own page
    assert "1 more are left out" in capsys.readouterr().out
    out.write_text("my notes")
    assert main(["view", str(file), "--export", str(out)]) == 2
    assert "--fresh" in capsys.readouterr().err
    assert out.read_text() == "my notes"
    assert main(["view", str(file), "--export", str(out), "--fresh"]) == 0


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["missing.jsonl"], "found nothing at missing.jsonl"),
        (["FILE", "--port", "70000"], "from 0 to 65535"),
        (["FILE", "--host", "no.such.host.invalid"], "Expected an address of this machine"),
        (["FILE", "--allow-host", "me:3000"], "without a port"),
        (["FILE", "--most", "0", "--export", "x.html"], "from 1 to 10000"),
        (["EMPTY", "--export", "x.html"], "at least one rollout"),
        ([], "PATH"),
    ],
)
def test_wrong_options(
    words: list[str], text: str, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(file.parent)
    (file.parent / "EMPTY").mkdir()
    status = main(["view", *(str(file) if word == "FILE" else word for word in words)])
    printed = capsys.readouterr().err
    assert status in (1, 2)
    assert text in printed
    assert "try " in printed


def test_a_port_in_use(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert main(["view", str(file), "--port", str(port)]) == 2
        assert f"which another program uses; try --port {port + 1}" in capsys.readouterr().err
