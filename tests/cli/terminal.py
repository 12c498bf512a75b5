"""A program in a pseudo-terminal: what it prints there, and typing into it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Terminal:
    """``agh`` in a terminal of a width."""

    def __init__(self, *words: str, columns: int = 80, cwd: Path, **environment: str) -> None:
        self._main, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        plain = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
        full: Mapping[str, str] = {**plain, "TERM": "xterm-256color", "PYTHONPATH": path, **environment}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "agentgym_hindsight", *words],
            stdin=side,
            stdout=side,
            stderr=side,
            cwd=cwd,
            env=full,
            start_new_session=True,
        )
        os.close(side)
        self.printed, self._seen = "", 0

    def expect(self, text: str, seconds: float = 60) -> str:
        """Wait until the text is printed, after the text of the last call. Return what was printed up to it."""
        start, end = self._seen, time.monotonic() + seconds
        while text not in self.printed[start:] and time.monotonic() < end and self._read():
            pass
        assert text in self.printed[start:], f"{text!r} is not in {self.printed[start:]!r}"
        self._seen = self.printed.index(text, start) + len(text)
        return self.printed[start : self._seen]

    def type(self, text: str) -> None:
        os.write(self._main, text.encode())

    def finish(self, seconds: float = 60) -> int:
        """Wait for the end. Return the exit status."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._read():
            pass
        os.close(self._main)
        return self.process.wait(timeout=seconds)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._main], [], [], 0.2)
        if not ready:
            return True
        try:
            data = os.read(self._main, 65536)
        except OSError:  # the program has ended
            return False
        self.printed += data.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(data)
