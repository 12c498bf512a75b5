"""The folder of a training run: run.json, and metrics.jsonl, eval.jsonl and samples.jsonl, written line by line."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentgym_hindsight.atomic import write_text
from agentgym_hindsight.errors import DamagedDataError, UsageError
from agentgym_hindsight.files import read_text
from agentgym_hindsight.redaction import hide_secret_values

__all__ = ["RunLog"]

#: Texts of envs and models may contain lone surrogates, which UTF-8 does not have.
_SURROGATE = re.compile("[\ud800-\udfff]")
_SCHEMA, _VERSION = "agentgym-hindsight/run", 1
#: Keys of run.json that may change when a run is continued.
_MAY_CHANGE = frozenset({"command", "started", "versions", "code"})
#: Settings of ``settings.plan`` that may change when a run is continued: its length.
_LENGTH = ("updates", "turns")


class RunLog:
    """Reads and writes the files of a run. With ``active=False`` (all processes but the first) it writes nothing.

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

    def check(self, description: Mapping[str, Any]) -> None:
        """Raise if the folder contains another run. ``model`` is not compared, because it is not loaded yet."""
        self._compare(description, _MAY_CHANGE | {"model", "resumed"})

    def begin(self, description: Mapping[str, Any]) -> None:
        """Write the description of the run. Raises if the folder contains another run."""
        document = self._compare(description, _MAY_CHANGE | {"resumed"})
        path = self.folder / "run.json"
        if self.active and path.exists():  # keep the first description and list the continuations
            continuation = {key: document.pop(key) for key in sorted(_MAY_CHANGE & document.keys())}
            old = self.description()
            lengths = {name: [_length(old, name), _length(document, name)] for name in _LENGTH}
            continuation |= {name: both for name, both in lengths.items() if both[0] != both[1]}
            document = {**old, **document, "resumed": [*old.get("resumed", []), continuation]}
        if self.active:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_text(path, json.dumps(document, indent=1, ensure_ascii=False) + "\n")

    def description(self) -> dict[str, Any]:
        """The content of run.json; empty if there is none."""
        path = self.folder / "run.json"
        if not path.exists():
            return {}
        try:
            document = json.loads(read_text(path, "the description of a run", "try another --out."))
            if not isinstance(document, dict):
                raise ValueError(f"a {type(document).__name__}")
        except (ValueError, RecursionError) as error:
            raise DamagedDataError(
                f"Expected the description of a run in {path}, got {error}; try another --out."
            ) from None
        hidden: dict[str, Any] = hide_secret_values(document)  # an earlier release stored passwords
        return hidden

    def is_run(self) -> bool:
        """Whether run.json describes a run of this library. A damaged file counts: a crash may leave one."""
        try:
            return bool(self.description().get("schema") == _SCHEMA)
        except DamagedDataError:
            return any((self.folder / f"{name}.jsonl").exists() for name in ("metrics", "eval"))

    def _compare(self, description: Mapping[str, Any], ignored: frozenset[str]) -> dict[str, Any]:
        plain = json.loads(json.dumps({"schema": _SCHEMA, "version": _VERSION, **description}, default=str))
        document: dict[str, Any] = hide_secret_values(plain)
        old, new = _without_length(self.description()), _without_length(document)
        if (self.folder / "run.json").exists():
            differing = [key for key in sorted((old.keys() | new.keys()) - ignored) if old.get(key) != new.get(key)]
            if differing:
                key = differing[0]
                raise UsageError(
                    f"Expected the run in {self.folder}, got another one: "
                    f"{_difference(old, new, key)}; try another --out, or --fresh to delete it."
                )
        return document

    def metrics(self, record: Mapping[str, Any]) -> None:
        self._append("metrics", record)

    def evaluation(self, record: Mapping[str, Any]) -> None:
        self._append("eval", record)

    def sample(self, record: Mapping[str, Any]) -> None:
        self._append("samples", record)

    def read(self, name: str) -> list[dict[str, Any]]:
        """The lines of a file. An incomplete line, which a crash leaves, is skipped."""
        path = self.folder / f"{name}.jsonl"
        lines = []
        # Not splitlines: texts of envs and models may contain other line separators, which JSON does not escape.
        for text in read_text(path).split("\n") if path.exists() else ():
            try:
                lines.append(json.loads(text))
            except (ValueError, RecursionError):
                continue
        return lines

    def cut(self, done: int) -> None:
        """Delete the lines after ``done`` updates: these updates are made again."""
        if not self.active:
            return
        for name, last in (("metrics", done - 1), ("samples", done - 1), ("eval", done)):
            path = self.folder / f"{name}.jsonl"
            if path.exists():
                remaining = [line for line in self.read(name) if line.get("update", 0) <= last]
                write_text(path, "".join(_line(line) for line in remaining))

    def _append(self, name: str, record: Mapping[str, Any]) -> None:
        if self.active:
            with (self.folder / f"{name}.jsonl").open("a", encoding="utf-8") as file:
                file.write(_line(record))


def _plan(document: Mapping[str, Any]) -> dict[str, Any]:
    settings = document.get("settings")
    plan = settings.get("plan") if isinstance(settings, dict) else None
    return plan if isinstance(plan, dict) else {}


def _length(document: Mapping[str, Any], name: str) -> Any:
    return _plan(document).get(name)


def _without_length(document: dict[str, Any]) -> dict[str, Any]:
    """A copy of a description without the number of updates and turns."""
    plan = {name: value for name, value in _plan(document).items() if name not in _LENGTH}
    return {**document, "settings": {**document["settings"], "plan": plan}} if _plan(document) else document


def _line(record: Mapping[str, Any]) -> str:
    plain = _finite(record)
    text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    if _SURROGATE.search(text):
        text = json.dumps(plain, separators=(",", ":"), allow_nan=False)
    return text + "\n"


def _finite(value: Any) -> Any:
    """The value with NaN and infinity replaced by None (JSON has neither), and floats rounded to ten digits."""
    if isinstance(value, Mapping):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    if isinstance(value, float):
        return float(f"{value:.10g}") if math.isfinite(value) else None
    return value


def _difference(old: Any, new: Any, key: str) -> str:
    """The first setting that differs between two descriptions, with both values."""
    before, after, name = old.get(key), new.get(key), key
    while isinstance(before, dict) and isinstance(after, dict):
        part = next(each for each in sorted(before.keys() | after.keys()) if before.get(each) != after.get(each))
        before, after, name = before.get(part), after.get(part), f"{name}.{part}"
    return f"{name.removeprefix('settings.')} was {before!r} and is {after!r}"
