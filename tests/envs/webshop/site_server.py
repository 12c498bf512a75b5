"""The site in its own process, started by ``agh serve webshop`` on a free local port."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

from tests.envs.webshop.visitor import Answer, Fetch

__all__ = ["Server", "fetcher", "served"]

_ADDRESS = re.compile(r"http://([\d.]+):(\d+)/")


class Server(NamedTuple):
    """The address and the process of a server."""

    host: str
    port: int
    process: subprocess.Popen[str]

    @property
    def base(self) -> str:
        return f"http://{self.host}:{self.port}"

    def memory(self) -> float:
        """Resident memory in MB; 0 if it is unknown."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        except OSError:
            return 0.0
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        return int(found[1]) / 1024 if found else 0.0


@contextmanager
def served(*arguments: str) -> Iterator[Server]:
    """A server until the end of the block. It is stopped as by Ctrl-C and must exit cleanly."""
    command = [sys.executable, "-m", "agentgym_hindsight", "serve", "webshop", "--port", "0", *arguments]
    home = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "COLUMNS": "150"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=home)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        found = _ADDRESS.search(line)
        if not found:
            process.kill()
            raise RuntimeError(f"Expected the address of the shop, got {line + process.stderr.read()!r}.")
        yield Server(found[1], int(found[2]), process)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        status = process.wait(timeout=20)
        assert status == 0, (status, rest)
        assert "Traceback" not in rest, rest
        assert "Closed." in rest, rest
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=20)
        if process.stderr is not None:
            process.stderr.close()


def fetcher(server: Server, times: list[float] | None = None) -> Fetch:
    """Send requests over the network, one connection each. ``times`` collects their durations in seconds."""

    def fetch(method: str, path: str, form: dict[str, str] | None) -> Answer:
        start = time.perf_counter()
        connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
        try:
            body = urlencode(form) if form is not None else None
            headers = {"Content-Type": "application/x-www-form-urlencoded"} if form is not None else {}
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8")
            return Answer(answer.status, answer.getheader("Location", ""), text)
        finally:
            connection.close()
            if times is not None:
                times.append(time.perf_counter() - start)

    return fetch
