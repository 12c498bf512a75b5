"""The logs of a training run: run.json, and metrics.jsonl, eval.jsonl, samples.jsonl with one record a line."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentgym_hindsight.atomic import write_text
from agentgym_hindsight.errors import DamagedDataError, UsageError

__all__ = ["RunLog"]

_SCHEMA, _VERSION = "agentgym-hindsight/run", 1
#: Keys that may differ when a run is continued.
_FREE = frozenset({"command", "started", "versions"})


class RunLog:
    """Writes the logs of a run. With ``active=False`` (all processes but the first) nothing is written.

    >>> import tempfile
    >>> log = RunLog(Path(tempfile.mkdtemp()) / "run")
    >>> log.begin({"recipe": "grpo", "seed": 0})
    >>> log.metrics({"update": 0, "success": 0.5}); log.metrics({"update": 1, "success": 0.6})
    >>> log.cut(done=1)
    >>> [line["update"] for line in log.read("metrics")]
    [0]
    """

    def __init__(self, folder: Path, active: bool = True) -> None:
        self.folder, self.active = folder, active

    def check(self, about: Mapping[str, Any]) -> None:
        """Reject the folder of a different run. ``model`` is not compared, because it is not loaded yet."""
        self._compare(about, _FREE | {"model", "resumed"})

    def begin(self, about: Mapping[str, Any]) -> None:
        """Write run.json; reject the folder of a different run."""
        document = self._compare(about, _FREE | {"resumed"})
        path = self.folder / "run.json"
        if self.active and path.exists():  # keep the values of the first start; append those of this one
            again = {key: document.pop(key) for key in sorted(_FREE & document.keys())}
            existing = json.loads(path.read_text(encoding="utf-8"))
            document = {**existing, **document, "resumed": [*existing.get("resumed", []), again]}
        if self.active:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_text(path, json.dumps(document, indent=1, ensure_ascii=False) + "\n")

    def _compare(self, about: Mapping[str, Any], free: frozenset[str]) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(
            json.dumps({"schema": _SCHEMA, "version": _VERSION, **about}, default=str)
        )
        path = self.folder / "run.json"
        if path.exists():
            try:
                existing = json.loads(path.read_text(encoding="utf-8"))
                if not isinstance(existing, dict):
                    raise ValueError(f"a {type(existing).__name__}")
            except ValueError as error:
                raise DamagedDataError(
                    f"Expected a run's description in {path}, got {error}; try another --out."
                ) from None
            keys = sorted((existing.keys() | document.keys()) - free)
            differing = [key for key in keys if existing.get(key) != document.get(key)]
            if differing:
                key = differing[0]
                raise UsageError(
                    f"Expected the settings of the run in {self.folder}, got another {key}: "
                    f"{_difference(existing, document, key)}; try another --out, or --fresh to delete that run."
                )
        return document

    def metrics(self, record: Mapping[str, Any]) -> None:
        self._append("metrics", record)

    def evaluation(self, record: Mapping[str, Any]) -> None:
        self._append("eval", record)

    def sample(self, record: Mapping[str, Any]) -> None:
        self._append("samples", record)

    def read(self, name: str) -> list[dict[str, Any]]:
        """The records of a file. An incomplete line, left by a killed process, is skipped."""
        path = self.folder / f"{name}.jsonl"
        lines = []
        # Not splitlines(): texts may contain other line separators, such as U+2028, which JSON does not escape.
        for text in path.read_text(encoding="utf-8").split("\n") if path.exists() else ():
            try:
                lines.append(json.loads(text))
            except ValueError:
                continue
        return lines

    def cut(self, done: int) -> None:
        """Delete the records after ``done`` updates, which will be played again."""
        if not self.active:
            return
        for name, last in (("metrics", done - 1), ("samples", done - 1), ("eval", done)):
            path = self.folder / f"{name}.jsonl"
            if path.exists():
                kept = [line for line in self.read(name) if line.get("update", 0) <= last]
                write_text(path, "".join(_line(line) for line in kept))

    def _append(self, name: str, record: Mapping[str, Any]) -> None:
        if self.active:
            with (self.folder / f"{name}.jsonl").open("a", encoding="utf-8") as file:
                file.write(_line(record))


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(_finite(record), ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    """NaN and infinities are written as null, which JSON has no other notation for."""
    if isinstance(value, Mapping):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    if isinstance(value, float):
        return float(f"{value:.10g}") if math.isfinite(value) else None
    return value


def _difference(existing: Any, given: Any, key: str) -> str:
    """The first setting in which two descriptions differ, and both values."""
    a, b, name = existing.get(key), given.get(key), key
    while isinstance(a, dict) and isinstance(b, dict):
        step = next(each for each in sorted(a.keys() | b.keys()) if a.get(each) != b.get(each))
        a, b, name = a.get(step), b.get(step), f"{name}.{step}"
    return f"{name} was {a!r} and is {b!r}"
