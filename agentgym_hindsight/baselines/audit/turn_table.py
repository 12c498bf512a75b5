"""The turns of audited groups as a table: what credits need, the truth, and what methods say. JSONL and parquet.

Columns of every turn:

* ``task``, ``category``, ``goal``, ``member``, ``step``: which turn it is. ``turns``, ``won``: of its rollout.
* ``seen``, ``action``, ``feedback``: texts, cut for the page. ``valid``, ``reward``, ``total_reward`` (of the rollout).
* ``state``, ``observation``, ``augmented``, and each with ``_after``: numbers of the anchors before and after the turn,
  within its group. Equal numbers are equal anchors.
* ``executed``: the number of the executed action, within its group.

Columns of audited turns, else ``None``: ``advantage``, ``low``, ``high``, ``q``, ``v``, ``pairs``, ``first``,
``second`` (see :class:`~.estimates.Advantage`); ``distance``, ``distance_after``: turns that the expert needs to win.

Columns whose names begin with ``says:`` are numbers of methods, teachers and judges; ``tokens:`` what they cost.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agentgym_hindsight.atomic import atomic_file, write_text
from agentgym_hindsight.baselines.methods.rows import Array, Rows
from agentgym_hindsight.errors import DamagedDataError, MissingExtraError, UsageError
from agentgym_hindsight.hindsight.anchors import anchor_keys
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.names import known_name
from agentgym_hindsight.printable import printable_line

__all__ = ["ANCHORS", "COST", "SAYS", "TRUTH", "TurnTable", "has_parquet", "turn_rows"]

#: The kinds of anchors that a table has.
ANCHORS = ("state", "observation", "augmented")
TRUTH = ("advantage", "low", "high", "q", "v", "pairs", "first", "second", "distance", "distance_after")
SAYS, COST = "says:", "tokens:"
_NUMBERS = ("member", "step", "turns", "reward", "total_reward", "executed")
_TEXTS = ("task", "category", "goal", "seen", "action", "feedback")
_FLAGS = ("won", "valid")
_KEYS = (*ANCHORS, *(f"{kind}_after" for kind in ANCHORS))
_FIXED = (*_TEXTS, *_FLAGS, *_NUMBERS, *_KEYS)
_LONGEST_TEXT = 240
_SCHEMA = b"agentgym-hindsight/audit-turns"


def turn_rows(group: Sequence[Trajectory], category: str = "") -> list[dict[str, Any]]:
    """The fixed columns of every turn of a group, rollout by rollout."""
    anchors = {kind: anchor_keys(group, kind) for kind in ANCHORS}
    numbers: dict[str, dict[str, int]] = {kind: {} for kind in (*ANCHORS, "executed")}

    def number(kind: str, key: str) -> int:
        return numbers[kind].setdefault(key, len(numbers[kind]))

    rows = []
    for member, trajectory in enumerate(group):
        for place, step in enumerate(trajectory.steps):
            row: dict[str, Any] = {
                "task": trajectory.task_id,
                "category": category,
                "goal": printable_line(trajectory.goal, _LONGEST_TEXT),
                "seen": printable_line(step.observation, _LONGEST_TEXT),
                "action": printable_line(step.action, _LONGEST_TEXT),
                "feedback": printable_line(step.feedback, _LONGEST_TEXT),
                "won": bool(trajectory.won),
                "valid": bool(step.action_valid),
                "member": member,
                "step": step.index,
                "turns": len(trajectory.steps),
                "reward": float(np.float32(step.reward)),
                "total_reward": float(np.float32(trajectory.total_reward)),
                "executed": number("executed", " ".join(step.action.lower().split())),
            }
            for kind in ANCHORS:
                before, after = anchors[kind][member][place]
                row[kind], row[f"{kind}_after"] = number(kind, before), number(kind, after)
            rows.append(row)
    return rows


@dataclass(frozen=True, slots=True)
class TurnTable:
    """The turns of whole groups, in order, as dictionaries of plain values."""

    rows: tuple[Mapping[str, Any], ...]

    def __post_init__(self) -> None:
        for place, row in enumerate(self.rows, 1):
            _check_row(row, place)

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> Array:
        """Numbers of a column, (B,); NaN where there is none."""
        return np.array([np.nan if (value := row.get(name)) is None else float(value) for row in self.rows])

    def names(self, beginning: str) -> list[str]:
        """What follows ``beginning`` in the names of columns, in the order in which they first appear."""
        found = dict.fromkeys(name for row in self.rows for name in row if name.startswith(beginning))
        return [name.removeprefix(beginning) for name in found]

    @property
    def audited(self) -> Array:
        """Whether the turn's truth was measured, (B,)."""
        mask: Array = np.isfinite(self.column("advantage"))
        return mask

    @property
    def tasks(self) -> list[str]:
        """The tasks, in order."""
        return list(dict.fromkeys(str(row["task"]) for row in self.rows))

    @property
    def task_numbers(self) -> Array:
        """The number of each turn's task, (B,)."""
        numbers = {task: number for number, task in enumerate(self.tasks)}
        return np.array([numbers[row["task"]] for row in self.rows], np.int64)

    def where(self, mask: Array) -> TurnTable:
        """The turns of a mask."""
        return TurnTable(tuple(row for row, kept in zip(self.rows, mask.tolist(), strict=True) if kept))

    def with_column(self, name: str, values: Array) -> TurnTable:
        """The table with one more column; NaN becomes ``None``."""
        plain = [None if np.isnan(value) else float(value) for value in np.asarray(values, np.float64)]
        return TurnTable(tuple({**row, name: value} for row, value in zip(self.rows, plain, strict=True)))

    def as_rows(self, anchor: str) -> Rows:
        """The input of a credit, with the anchors of a kind."""
        kind = known_name("kind of anchor in an audit", anchor, ANCHORS)
        rollouts: dict[tuple[str, int], int] = {}
        for row in self.rows:
            rollouts.setdefault((row["task"], row["member"]), len(rollouts))
        return Rows(
            group=self.task_numbers,
            trajectory=np.array([rollouts[row["task"], row["member"]] for row in self.rows], np.int64),
            place=np.array([row["step"] for row in self.rows], np.int64),
            returns=np.array([row["total_reward"] for row in self.rows], np.float32),
            rewards=np.array([row["reward"] for row in self.rows], np.float32),
            invalid=np.array([not row["valid"] for row in self.rows], bool),
            anchors=tuple(str(row[kind]) for row in self.rows),
            actions=tuple(str(row["executed"]) for row in self.rows),
            next_anchors=tuple(str(row[f"{kind}_after"]) for row in self.rows),
            won=np.array([row["won"] for row in self.rows], bool),
        )

    # -- files ---------------------------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write the table: parquet if the name ends with ``.parquet``, else JSONL."""
        if path.suffix == ".parquet":
            self._save_parquet(path)
        else:
            write_text(path, "".join(json.dumps(row, allow_nan=False) + "\n" for row in self.rows))

    def _save_parquet(self, path: Path) -> None:
        arrow, parquet = _arrow()
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        columns = {}
        for name in names:
            values = [row.get(name) for row in self.rows]
            if name in _TEXTS:
                kind: Any = arrow.string()
            elif name in _FLAGS:
                kind = arrow.bool_()
            elif name in (*_KEYS, "executed", "member", "step", "turns", "pairs", "distance", "distance_after"):
                kind = arrow.int32()
            else:
                kind = arrow.float32()
            columns[name] = arrow.array(values, kind)
        table = arrow.table(columns).replace_schema_metadata({b"schema": _SCHEMA})
        # A file and not its name, which pyarrow would read as a URI.
        with atomic_file(path) as temporary, temporary.open("wb") as file:
            parquet.write_table(table, file, compression="zstd", compression_level=19)

    @classmethod
    def load(cls, path: Path) -> TurnTable:
        """Read a table that :meth:`save` wrote. Damaged files raise :class:`DamagedDataError`."""
        rows = tuple(_parquet_rows(path) if path.suffix == ".parquet" else _json_rows(path))
        if not rows:
            raise DamagedDataError(f"Expected turns of an audit in {path}, got none; try `agh audit --out FOLDER`.")
        try:
            return cls(rows)
        except UsageError as error:
            raise DamagedDataError(f"{path}: {error}") from error


def _check_row(row: Any, place: int) -> None:
    if not isinstance(row, Mapping):
        raise UsageError(f"Expected an object in row {place}, got {type(row).__name__}; try a file of `agh audit`.")
    for name in _FIXED:
        value = row.get(name)
        good = (
            isinstance(value, str)
            if name in _TEXTS
            else isinstance(value, bool)
            if name in _FLAGS
            else isinstance(value, int) and not isinstance(value, bool)
            if name not in ("reward", "total_reward")
            else isinstance(value, (int, float)) and np.isfinite(value)
        )
        if not good:
            raise UsageError(
                f"Expected {name} in row {place} of an audit, got {printable_line(repr(value), 60)}; "
                "try a file of `agh audit`."
            )
    for name, value in row.items():
        if (name in TRUTH or name.startswith((SAYS, COST))) and not (
            value is None or (isinstance(value, (int, float)) and np.isfinite(value))
        ):
            raise UsageError(
                f"Expected a number as {printable_line(name, 60)} in row {place} of an audit, got "
                f"{printable_line(repr(value), 60)}; try a file of `agh audit`."
            )


def _json_rows(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                yield json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DamagedDataError(
                    f"Expected JSON in line {number} of {path}, got {printable_line(repr(line[:60]), 80)}; "
                    "try a file of `agh audit`."
                ) from error


def _parquet_rows(path: Path) -> list[Any]:
    arrow, parquet = _arrow()
    try:
        with path.open("rb") as file:
            table = parquet.read_table(file)
    except (arrow.ArrowException, OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise DamagedDataError(
            f"Expected a parquet file of `agh audit` in {path}, got {type(error).__name__}; try another file."
        ) from error
    rows: list[Any] = table.to_pylist()
    return rows


def has_parquet() -> bool:
    """Whether parquet files can be written: pyarrow comes with the extra [train]."""
    try:
        _arrow()
    except MissingExtraError:
        return False
    return True


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "train", "Reading and writing parquet") from error
    return pyarrow, pyarrow.parquet
