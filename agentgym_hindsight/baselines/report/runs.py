"""Reads run folders, also those of killed runs. A line that cannot be read is skipped and reported as a problem."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from agentgym_hindsight.baselines.report.checked_metrics import checked_metrics
from agentgym_hindsight.baselines.report.json_lines import json_lines, json_object
from agentgym_hindsight.baselines.report.measured import Measured, measured_of, update_of
from agentgym_hindsight.baselines.report.plausible import number
from agentgym_hindsight.errors import DamagedDataError, MissingDataError, SchemaError
from agentgym_hindsight.redaction import hide_secret_values
from agentgym_hindsight.short_repr import short_repr

__all__ = ["Measured", "Problem", "Run", "read_run", "read_runs"]

_SCHEMA, _VERSION = "agentgym-hindsight/run", 1
#: The most lines of a file that are named one by one.
_MOST_NAMED = 20
_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class Problem:
    """A line or a metric that could not be used; ``line`` 0 means the whole file."""

    file: str
    line: int
    cause: str

    def __str__(self) -> str:
        return f"{self.file}{f', line {self.line}' if self.line else ''}: {self.cause}"


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
        listed = "; ".join([*map(str, problems[:5]), *([f"{len(problems) - 5} more"] if len(problems) > 5 else [])])
        raise DamagedDataError(
            f"Expected a run with at least one update or evaluation, got none ({listed}); try again after the first "
            "update of a run."
        )
    return tuple(runs), tuple(problems)


def read_run(folder: Path, *, samples: bool = True) -> Run:
    """Read one run folder. Raises only if ``run.json`` is damaged. ``samples=False`` leaves out the sample rollouts."""
    file = folder / "run.json"
    try:
        # Runs of earlier releases may have passwords in it.
        description = hide_secret_values(json_object(file))
        if description.get("schema", _SCHEMA) != _SCHEMA:
            raise ValueError(f"not of the schema {_SCHEMA}")
        if description.get("version", _VERSION) != _VERSION:
            raise ValueError(f"of version {short_repr(description['version'], 40)}")
    except (ValueError, OSError) as error:
        raise DamagedDataError(
            f"Expected {_SCHEMA} version {_VERSION} in {file}, got a file that cannot be used ({error}); try running "
            "`agh train` again."
        ) from None
    problems: list[Problem] = []
    # A resumed run may repeat an update: the last line counts.
    metrics = {row["update"]: row for row in _rows(folder / "metrics.jsonl", problems, _metrics)}
    checked, faults = checked_metrics(metrics[update] for update in sorted(metrics))
    problems += [Problem(str(folder / "metrics.jsonl"), 0, sentence) for sentence in faults]
    evaluations = {_identity(measured): measured for measured in _rows(folder / "eval.jsonl", problems, measured_of)}
    drawn = tuple(_samples(folder / "samples.jsonl", problems)) if samples else ()
    ordered = tuple(evaluations[identity] for identity in sorted(evaluations))
    return Run(folder, description, tuple(checked), ordered, drawn, tuple(problems))


def _identity(measured: Measured) -> tuple[int, str, str, str, str]:
    return measured.update, measured.split, measured.label, measured.panel, measured.seed


def _rows(
    file: Path, problems: list[Problem], read: Callable[[dict[str, Any]], _Row], *, numbered: bool = False
) -> Iterator[_Row]:
    """What ``read`` makes of the lines of a file. The lines that it refuses become problems.

    ``numbered`` adds the number of its line to each object.
    """
    refused = 0
    try:
        for line_number, row in json_lines(file) if file.is_file() else ():
            try:
                if isinstance(row, str):
                    raise ValueError(row)
                yield read({**row, "line": line_number} if numbered else row)
            except (ValueError, TypeError, KeyError, ArithmeticError, SchemaError) as error:
                refused += 1
                if refused <= _MOST_NAMED:
                    cause = f"{error} is missing" if isinstance(error, KeyError) else str(error)
                    problems.append(Problem(str(file), line_number, f"{cause}; skipped"))
    except OSError as error:
        problems.append(Problem(str(file), 0, f"cannot be read ({error.strerror}); skipped"))
    if refused > _MOST_NAMED:
        problems.append(Problem(str(file), 0, f"{refused - _MOST_NAMED} more lines cannot be used; skipped"))


def _metrics(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "update": update_of(row)}


#: What the page shows of a turn. A recorded turn has much more, such as the ids of its prompt.
_SHOWN = ("prompt", "action_valid", "feedback", "advantage", "tokens", "weights", "gaps", "context", "analyses")


def _samples(file: Path, problems: list[Problem]) -> Iterator[dict[str, Any]]:
    """Of every update, the first rollout that won and the first that did not, each with its ``line``.

    A run may record every rollout; the page shows a few, and the others would fill the memory.
    """
    seen: set[tuple[int, bool]] = set()
    for sample in _rows(file, problems, _sample, numbered=True):
        kind = sample["update"], bool(sample.get("won"))
        if kind not in seen:
            seen.add(kind)
            yield sample


def _sample(row: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(row.get("steps"), list) or not all(isinstance(step, dict) for step in row["steps"]):
        raise ValueError("'steps' is not a list of steps")
    steps = [{key: step[key] for key in _SHOWN if key in step} for step in row["steps"]]
    return {**row, "update": update_of(row), "steps": steps}
