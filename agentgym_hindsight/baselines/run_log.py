"""The folder of a training run: run.json, metrics.jsonl, eval.jsonl, samples.jsonl. Written a line at a time."""

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
#: What may change when a run goes on: how it was called, and when.
_FREE = frozenset({"command", "started", "versions"})


class RunLog:
    """Writes what a run has to tell. ``active=False`` (all processes but the first) writes nothing.

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
        """Refuse a folder that holds another run; ``model`` is not compared yet, as nobody has opened it."""
        self._compare(about, _FREE | {"model", "resumed"})

    def begin(self, about: Mapping[str, Any]) -> None:
        """Note what is run; a folder that holds another run is refused."""
        document = self._compare(about, _FREE | {"resumed"})
        path = self.folder / "run.json"
        if self.active and path.exists():  # how it began stays as it was
            again = {key: document.pop(key) for key in sorted(_FREE & document.keys())}
            theirs = json.loads(path.read_text(encoding="utf-8"))
            document = {**theirs, **document, "resumed": [*theirs.get("resumed", []), again]}
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
                theirs = json.loads(path.read_text(encoding="utf-8"))
                if not isinstance(theirs, dict):
                    raise ValueError(f"a {type(theirs).__name__}")
            except ValueError as error:
                raise DamagedDataError(
                    f"Expected a run's description in {path}, got {error}; try another --out."
                ) from None
            differing = [
                key for key in sorted((theirs.keys() | document.keys()) - free) if theirs.get(key) != document.get(key)
            ]
            if differing:
                key = differing[0]
                raise UsageError(
                    f"Expected the run that {self.folder} holds, got another {key}: "
                    f"{_difference(theirs, document, key)}; try another --out, or --fresh to begin anew."
                )
        return document

    def metrics(self, record: Mapping[str, Any]) -> None:
        self._append("metrics", record)

    def evaluation(self, record: Mapping[str, Any]) -> None:
        self._append("eval", record)

    def sample(self, record: Mapping[str, Any]) -> None:
        self._append("samples", record)

    def read(self, name: str) -> list[dict[str, Any]]:
        """The whole lines of a file; one that a crash cut off is left out."""
        path = self.folder / f"{name}.jsonl"
        lines = []
        # Not splitlines: texts of envs and models may hold other separators of lines, which JSON leaves as they are.
        for text in path.read_text(encoding="utf-8").split("\n") if path.exists() else ():
            try:
                lines.append(json.loads(text))
            except ValueError:
                continue
        return lines

    def cut(self, done: int) -> None:
        """Forget what came after ``done`` updates: it is about to be played again."""
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
    """JSON has no NaN; what is none is not written as a number."""
    if isinstance(value, Mapping):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    if isinstance(value, float):
        return float(f"{value:.10g}") if math.isfinite(value) else None
    return value


def _difference(theirs: Any, mine: Any, key: str) -> str:
    """The first place at which two descriptions differ, said briefly."""
    a, b, name = theirs.get(key), mine.get(key), key
    while isinstance(a, dict) and isinstance(b, dict):
        step = next(each for each in sorted(a.keys() | b.keys()) if a.get(each) != b.get(each))
        a, b, name = a.get(step), b.get(step), f"{name}.{step}"
    return f"{name} was {a!r} and is {b!r}"
