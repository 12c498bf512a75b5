"""Reads run folders, also those of killed runs. A line that cannot be read is skipped and reported as a problem."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from agentgym_hindsight.baselines.evaluation.results import Evaluation
from agentgym_hindsight.errors import DamagedDataError, MissingDataError, SchemaError
from agentgym_hindsight.files import read_file
from agentgym_hindsight.redaction import hide_secret_values

__all__ = ["Measured", "Problem", "Run", "number", "read_run", "read_runs"]

_SCHEMA, _VERSION = "agentgym-hindsight/run", 1


@dataclass(frozen=True, slots=True)
class Problem:
    """A line that could not be used; ``line`` 0 means the whole file."""

    file: str
    line: int
    cause: str

    def __str__(self) -> str:
        return f"{self.file}{f', line {self.line}' if self.line else ''}: {self.cause}"


@dataclass(frozen=True, slots=True)
class Measured:
    """One evaluation of the policy after ``update`` updates."""

    update: int
    turns: float
    split: str
    label: str
    panel: str
    seed: str
    evaluation: Evaluation


@dataclass(frozen=True, slots=True)
class Run:
    """One run: its description, its updates and evaluations in order, its sample rollouts."""

    folder: Path
    description: Mapping[str, Any]
    metrics: tuple[Mapping[str, Any], ...] = ()
    evaluations: tuple[Measured, ...] = ()
    samples: tuple[Mapping[str, Any], ...] = ()
    problems: tuple[Problem, ...] = field(default=(), compare=False)

    @property
    def recipe(self) -> str:
        return str(self.description.get("recipe", "unknown"))

    @property
    def env(self) -> str:
        return str(self.description.get("env", "unknown"))

    @property
    def backend(self) -> str:
        return str(self.description.get("backend", "unknown"))

    @property
    def seed(self) -> str:
        return str(self.description.get("seed", "?"))

    @property
    def model(self) -> str:
        model = self.description.get("model")
        return str(model.get("name", "unknown") if isinstance(model, Mapping) else model or "unknown")

    @property
    def settings(self) -> Mapping[str, Any]:
        settings = self.description.get("settings")
        return settings if isinstance(settings, Mapping) else {}

    @property
    def embedded(self) -> bool:
        """Whether the run played an embedded world. Its figures are then not benchmark results."""
        return "embedded" in self.backend

    @property
    def turns(self) -> float:
        """The number of env turns that training used."""
        counts = [value for row in self.metrics if (value := number(row, "turns")) is not None]
        return max([*counts, *(measured.turns for measured in self.evaluations)], default=0.0)

    def tail(self, key: str, last: int = 5) -> list[float]:
        """The values of a metric in the last updates that have it."""
        return [value for row in self.metrics if (value := number(row, key)) is not None][-last:]


def number(row: Mapping[str, Any], key: str) -> float | None:
    """The value if it is a finite number, else None.

    >>> number({"loss": 2, "gap": float("nan")}, "loss"), number({"gap": float("nan")}, "gap")
    (2.0, None)
    """
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if isfinite(value) else None
    except OverflowError:  # an integer too large for a float
        return None


def read_runs(paths: Iterable[Path]) -> tuple[tuple[Run, ...], tuple[Problem, ...]]:
    """All runs in or under these folders, without duplicates, and the problems of skipped files and lines."""
    folders: dict[Path, Path] = {}
    for path in paths:
        run_folders = (
            [path] if (path / "run.json").is_file() else sorted(file.parent for file in path.rglob("run.json"))
        )
        if not path.is_dir() or not run_folders:
            got = "a folder without any" if path.is_dir() else "nothing" if not path.exists() else "a file"
            raise MissingDataError(
                f"Expected a run folder with run.json, or a folder that contains one, at {path}, got {got}; "
                "try the --out folder of `agh train`."
            )
        folders.update({folder.resolve(): folder for folder in run_folders if folder.resolve() not in folders})
    runs, problems = [], []
    for folder in folders.values():
        try:
            run = read_run(folder)
        except DamagedDataError as error:
            problems.append(Problem(str(folder / "run.json"), 0, str(error)))
            continue
        problems += run.problems
        if run.metrics or run.evaluations:
            runs.append(run)
        else:
            problems.append(Problem(str(folder), 0, "the run has neither an update nor an evaluation yet; skipped"))
    if not runs:
        listed = "; ".join(map(str, problems))
        raise DamagedDataError(
            f"Expected a run with at least one update or evaluation, got none ({listed}); try again after the first "
            "update of a run."
        )
    return tuple(runs), tuple(problems)


def read_run(folder: Path) -> Run:
    """Read one run folder. Raises only if ``run.json`` is damaged."""
    try:
        # Runs of earlier releases may have passwords in it.
        description = hide_secret_values(json.loads(read_file(folder / "run.json", "the description of a run")))
        if not isinstance(description, dict) or description.get("schema", _SCHEMA) != _SCHEMA:
            raise ValueError(f"not of the schema {_SCHEMA}")
        if description.get("version", _VERSION) != _VERSION:
            raise ValueError(f"of version {description['version']}")
    except (ValueError, RecursionError, OSError) as error:
        raise DamagedDataError(
            f"Expected {_SCHEMA} version {_VERSION} in {folder / 'run.json'}, got a file that cannot be used "
            f"({error}); try running `agh train` again."
        ) from None
    problems: list[Problem] = []
    # A resumed run may repeat an update: the last line counts.
    metrics = {_update(row): row for row in _rows(folder / "metrics.jsonl", problems, _update)}
    evaluations: dict[object, Measured] = {}
    for measured in _rows(folder / "eval.jsonl", problems, _measured, keep=True):
        evaluations[measured.update, measured.split, measured.label, measured.panel, measured.seed] = measured
    return Run(
        folder,
        description,
        tuple(metrics[update] for update in sorted(metrics)),
        tuple(
            sorted(
                evaluations.values(),
                key=lambda measured: (measured.update, measured.split, measured.label, measured.panel, measured.seed),
            )
        ),
        tuple(_rows(folder / "samples.jsonl", problems, _sample)),
        tuple(problems),
    )


def _rows(file: Path, problems: list[Problem], read: Any, keep: bool = False) -> Iterator[Any]:
    """The lines of a file that ``read`` accepts, or with ``keep`` its results. Other lines become problems."""
    if not file.is_file():
        return
    with file.open("rb") as lines:
        for line_number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise ValueError("not an object")
                result = read(row)
            except (ValueError, TypeError, KeyError, RecursionError, SchemaError) as error:
                missing = f"{error} is missing" if isinstance(error, KeyError) else str(error)
                cause = "incomplete" if isinstance(error, json.JSONDecodeError | UnicodeDecodeError) else missing
                problems.append(Problem(str(file), line_number, f"{cause}; skipped"))
            else:
                yield result if keep else row


def _update(row: Mapping[str, Any]) -> int:
    value = row["update"]
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"'update' is {value!r}, not a whole number from 0 up")
    return value


def _sample(row: Mapping[str, Any]) -> int:
    if not isinstance(row.get("steps"), list) or not all(isinstance(step, dict) for step in row["steps"]):
        raise ValueError("'steps' is not a list of steps")
    return _update(row)


def _measured(row: Mapping[str, Any]) -> Measured:
    return Measured(
        _update(row),
        number(row, "turns") or 0.0,
        str(row.get("split") or ""),
        str(row.get("label") or f"T={row.get('temperature', '?')}"),
        str(row.get("panel") or ""),
        str(row.get("seed", "")),
        _checked(row["evaluation"]),
    )


def _checked(document: Mapping[str, Any]) -> Evaluation:
    evaluation = Evaluation.from_dict(document)
    for row in (evaluation.micro, *evaluation.categories):
        if not 0 <= row.won <= row.rollouts:
            raise ValueError(f"{row.won} won of {row.rollouts} rollouts is impossible")
        if not all(map(isfinite, (row.score, row.turns, row.invalid))):
            raise ValueError(f"the figures of {row.name!r} are not all finite")
    return evaluation
