"""A cache of a judge's answers, by request, in memory and optionally in a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

from agentgym_hindsight.files import read_file
from agentgym_hindsight.hindsight.jsonl import end_last_line
from agentgym_hindsight.tasks import content_hash

__all__ = ["AnswerCache", "request_key"]

_SCHEMA = "agentgym-hindsight/judge-answer"
_VERSION = 1


def request_key(body: Mapping[str, Any]) -> str:
    """A key of the request's content. It does not depend on the server."""
    return content_hash(json.dumps(body, sort_keys=True))


class AnswerCache:
    """Caches answers, including empty ones (None): at temperature 0 the next answer would be the same. Thread-safe.

    A line of the file that cannot be read is skipped, and its request is sent again.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = None if path is None else Path(path)
        self._answers: dict[str, str | None] = {}
        self._lock = Lock()
        if self.path is not None and self.path.exists():
            for line in read_file(self.path, "a cache of answers").split(b"\n"):
                self._read(line)

    def __len__(self) -> int:
        return len(self._answers)

    def __contains__(self, key: object) -> bool:
        return key in self._answers

    def __getitem__(self, key: str) -> str | None:
        return self._answers[key]

    def put(self, key: str, text: str | None) -> None:
        """Store an answer, and append it to the file."""
        with self._lock:
            self._answers[key] = text
            if self.path is None:
                return
            line = json.dumps({"schema": _SCHEMA, "version": _VERSION, "key": key, "text": text})
            end_last_line(self.path)
            with self.path.open("ab") as file:
                file.write(line.encode() + b"\n")

    def _read(self, line: bytes) -> None:
        try:
            entry = json.loads(line)
            if (entry["schema"], entry["version"]) == (_SCHEMA, _VERSION):
                key, text = entry["key"], entry["text"]
                if isinstance(key, str) and (text is None or isinstance(text, str)):
                    self._answers[key] = text
        except (ValueError, KeyError, TypeError, RecursionError):
            return
