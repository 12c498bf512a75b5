"""The files of an audit while it runs: they grow by a line per turn, and a restart reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from agentgym_hindsight.atomic import write_text
from agentgym_hindsight.baselines.audit.moments import PlayedGroup, Turn
from agentgym_hindsight.errors import DamagedDataError, UsageError
from agentgym_hindsight.hindsight.jsonl import read_jsonl, write_jsonl
from agentgym_hindsight.hindsight.trajectory import Group, group_by_task
from agentgym_hindsight.printable import printable_line

__all__ = ["Key", "Stored", "is_audit"]

_SCHEMA, _VERSION = "agentgym-hindsight/audit", 1
_FILES = ("rollouts.jsonl", "truth.jsonl", "models.jsonl", "complete.jsonl", "turns.jsonl", "turns.parquet")


class Key(NamedTuple):
    """A turn: the task, the rollout among those that are not broken, and the step."""

    task: str
    member: int
    step: int


class Stored:
    """The results in a folder. ``terms=None`` only reads; other terms than the stored ones are refused by name."""

    def __init__(self, folder: Path, terms: Mapping[str, Any] | None, *, fresh: bool = False) -> None:
        self.folder = folder
        settings = folder / "audit.json"
        if fresh:
            for name in ("audit.json", *_FILES):
                (folder / name).unlink(missing_ok=True)
        if terms is not None:
            plain = json.loads(json.dumps(terms))
            if settings.exists():
                _check_terms(_terms(settings), plain, folder)
            else:
                document = {"schema": _SCHEMA, "version": _VERSION, "terms": plain}
                write_text(settings, json.dumps(document, indent=1) + "\n")
        self.truth = self._read("truth.jsonl")
        self.says = self._read("models.jsonl")
        file = folder / "rollouts.jsonl"
        recorded = read_jsonl(file).trajectories if file.exists() else ()
        self._groups = {group.task_id: group for group in group_by_task(recorded)}
        self._complete = {key.task: cost for key, cost in self._read("complete.jsonl").items()}

    def key(self, group: PlayedGroup, turn: Turn) -> Key:
        """The key of a turn."""
        return Key(group.task.id, turn.member, turn.step)

    def is_complete(self, task: str) -> bool:
        """Whether the group of a task needs no more work."""
        return task in self._complete

    def groups(self) -> tuple[Group, ...]:
        """The stored groups."""
        return tuple(self._groups.values())

    def begin(self, group: PlayedGroup) -> None:
        """Store the rollouts of a group. If stored ones differ, as a server's may, their truth is measured again."""
        task, file = group.task.id, self.folder / "rollouts.jsonl"
        new = [episode.trajectory for episode in group.episodes]
        old = self._groups.pop(task, ())
        if new and [each.actions for each in old] == [each.actions for each in new]:
            self._groups[task] = Group(old)
            return
        self._forget(task)
        if old:
            write_jsonl(file, [trajectory for others in self._groups.values() for trajectory in others])
        if new:
            self._groups[task] = Group(new)
            write_jsonl(file, new, append=True)

    def add_truth(self, key: Key, line: Mapping[str, Any]) -> None:
        """Append the truth of a turn."""
        plain = {name: None if isinstance(v, float) and not isfinite(v) else v for name, v in line.items()}
        self.truth[key] = plain
        self._append("truth.jsonl", key, plain)

    def add_says(self, key: Key, values: Mapping[str, float]) -> None:
        """Append what models say of a turn."""
        plain = {name: float(value) for name, value in values.items() if isfinite(value)}
        self.says[key] = plain
        self._append("models.jsonl", key, plain)

    def complete(self, task: str, cost: Mapping[str, float]) -> None:
        """Record that a group needs no more work, and what it cost."""
        self._complete[task] = dict(cost)
        self._append("complete.jsonl", Key(task, 0, 0), cost)

    def cost(self, name: str) -> float:
        """The sum of one kind of cost over the complete groups."""
        return sum(float(cost.get(name, 0.0)) for cost in self._complete.values())

    # -- internal ----------------------------------------------------------------------------------------------------

    def _append(self, name: str, key: Key, values: Mapping[str, Any]) -> None:
        with (self.folder / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"turn": list(key), **values}, allow_nan=False) + "\n")

    def _forget(self, task: str) -> None:
        for name, lines in (("truth.jsonl", self.truth), ("models.jsonl", self.says)):
            others = {key: values for key, values in lines.items() if key.task != task}
            if len(others) < len(lines):
                lines.clear()
                lines.update(others)
                self._rewrite(name, lines)

    def _rewrite(self, name: str, lines: Mapping[Key, Mapping[str, Any]]) -> None:
        text = "".join(json.dumps({"turn": list(key), **values}) + "\n" for key, values in lines.items())
        write_text(self.folder / name, text)

    def _read(self, name: str) -> dict[Key, dict[str, Any]]:
        file = self.folder / name
        if not file.exists():
            return {}
        found: dict[Key, dict[str, Any]] = {}
        lines = file.read_bytes().split(b"\n")
        cut = bool(lines[-1])  # a killed run may leave the first part of a line
        for number, line in enumerate(lines[:-1], 1):
            try:
                values = json.loads(line)
                task, member, step = values.pop("turn")
                found[Key(str(task), int(member), int(step))] = values
            except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
                raise DamagedDataError(
                    f"Expected a line of an audit in {file}, line {number}, got "
                    f"{printable_line(repr(line[:60]), 80)}; try another --out, or --fresh to replace the audit."
                ) from error
        if cut:
            self._rewrite(name, found)
        return found


def is_audit(folder: Path) -> bool:
    """Whether the folder has an audit."""
    return (folder / "audit.json").is_file()


def _terms(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        if document["schema"] != _SCHEMA or not isinstance(document["terms"], dict):
            raise ValueError("another schema")
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise DamagedDataError(
            f"Expected the settings of an audit in {file}, got {type(error).__name__}; try another --out."
        ) from error
    if document.get("version") != _VERSION:
        raise UsageError(f"Expected version {_VERSION} in {file}, got another one; try --fresh to audit again.")
    terms: dict[str, Any] = document["terms"]
    return terms


def _check_terms(stored: Mapping[str, Any], terms: Mapping[str, Any], folder: Path) -> None:
    different = [name for name in {**stored, **terms} if stored.get(name) != terms.get(name)]
    if different:
        listed = ", ".join(f"{name}={printable_line(repr(stored.get(name)), 80)}" for name in different)
        got = ", ".join(f"{name}={printable_line(repr(terms.get(name)), 80)}" for name in different)
        raise UsageError(
            f"Expected the settings of the audit in {folder}, {listed}, got {got}; "
            "try another --out, or --fresh to replace it."
        )
