"""The tables of ``agh compare``: success after and during training, and each entry's difference from the first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentgym_hindsight.baselines.evaluation.intervals import MeanInterval, t_interval
from agentgym_hindsight.baselines.evaluation.results import Evaluation, SeedSummary, over_seeds
from agentgym_hindsight.baselines.methods import RECIPES, recipe_name
from agentgym_hindsight.baselines.run_log import RunLog
from agentgym_hindsight.cli.tables import Grid
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.names import is_import_name

__all__ = ["Entry", "after_training", "during_training", "results"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the comparison: a recipe, or a method of one's own, with values of the method."""

    name: str
    recipe: str
    values: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Entry:
        """Read ``"serl:what=success+immediate,where=anchor"`` or ``"package.module:METHOD:what=next"``."""
        name, _, values = text.partition(":")
        own, _, rest = values.partition(":")
        if is_import_name(f"{name}:{own}") and name.strip().casefold() not in RECIPES:
            name, values = f"{name}:{own}", rest
        recipe = recipe_name(name)
        if text.rstrip().endswith((":", ",")):
            raise UsageError(f"Expected RECIPE:NAME=VALUE, got {text!r} without a value; try {recipe}.")
        pairs = tuple(pair for pair in values.split(",") if pair)
        for pair in pairs:
            if "=" not in pair:
                raise UsageError(f"Expected RECIPE:NAME=VALUE, got {text!r}; try serl:what=next.")
        return cls(":".join([recipe, values]) if values else recipe, recipe, pairs)

    @property
    def folder(self) -> str:
        """The name as a folder name: unsafe characters are replaced by "_"."""
        return "".join(c if c.isalnum() or c in "=.-+" else "_" for c in self.name)


def after_training(entries: Sequence[Entry], out: Path, seeds: int, title: str) -> Grid:
    """Results on the panel before and after training, one row per entry and kind of decoding."""
    rows = _sorted_rows(entries, out, seeds)
    return Grid(title, _HEAD, [_cells(row) for row in rows], text_columns=2)


def results(entries: Sequence[Entry], out: Path, seeds: int) -> list[dict[str, Any]]:
    """The rows of :func:`after_training` as plain data, for JSON."""
    return [
        {
            "name": row.name,
            "decoding": row.label,
            "seeds": row.summary.seeds,
            "success": row.summary.micro._asdict(),
            "minus_start": None if row.against_start is None else row.against_start._asdict(),
            "minus_first": None if row.against_first is None else row.against_first._asdict(),
            "macro": row.summary.macro._asdict(),
            "turns": row.summary.turns.mean,
            "invalid": row.summary.invalid._asdict(),
            "updates": row.updates,
            "env_turns": row.turns,
        }
        for row in _sorted_rows(entries, out, seeds)
    ]


def _sorted_rows(entries: Sequence[Entry], out: Path, seeds: int) -> list[Row]:
    return sorted(_rows(entries, out, seeds), key=lambda row: row.label)


def during_training(entries: Sequence[Entry], out: Path, seeds: int) -> Grid:
    """Success and length of the rollouts that training played.

    The entries of a seed play the same tasks in each update, and training plays many more rollouts than the panel has.
    So this table can show differences that are too small for the panel.
    """
    head = ["method", "seeds"]
    cells: dict[str, list[str]] = {}
    for key, title, write in (("success", "success", _percent), ("episode_turns", "turns", _number_text)):
        head += [title, "− first"]
        means = _means(entries, out, seeds, key)
        first = means[entries[0].name]
        for name, by_seed in means.items():
            if by_seed:
                difference = None if name == entries[0].name else _difference(by_seed, first)
                row = cells.setdefault(name, [name, str(len(by_seed))])
                row += [write(t_interval(by_seed.values())), "" if difference is None else write(difference, sign=True)]
    return Grid("Rollouts during training", head, list(cells.values()), text_columns=1)


def _means(entries: Sequence[Entry], out: Path, seeds: int, key: str) -> dict[str, dict[int, float]]:
    """For each entry and seed the mean of a metric, over the updates that all entries of the seed have made."""
    means: dict[str, dict[int, float]] = {entry.name: {} for entry in entries}
    for seed in range(seeds):
        runs = {entry.name: _lines(out / f"{entry.folder}-seed{seed}", "metrics") for entry in entries}
        runs = {name: lines for name, lines in runs.items() if lines}
        # With equal turns the entries make different numbers of updates. Only updates that all of them made count.
        updates = min((len(lines) for lines in runs.values()), default=0)
        for name, lines in runs.items():
            means[name][seed] = sum(line[key] for line in lines[:updates]) / updates
    return means


@dataclass(frozen=True, slots=True)
class Row:
    """The results of one entry with one kind of decoding."""

    name: str
    label: str
    summary: SeedSummary
    #: Success minus that of the warm start, paired by seed.
    against_start: MeanInterval | None
    #: Success minus that of the first entry, paired by seed: the entries of a seed share the start and the tasks.
    against_first: MeanInterval | None
    updates: float
    turns: float


def _rows(entries: Sequence[Entry], out: Path, seeds: int) -> Iterator[Row]:
    """The warm start first, then the entries, by label."""
    first = entries[0].name
    evaluated: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for entry in entries:
        for seed in range(seeds):
            lines = _lines(out / f"{entry.folder}-seed{seed}", "eval")
            last = max((line["update"] for line in lines), default=0)
            for line in lines:
                if line["update"] == 0:
                    evaluated.setdefault((_START, line["label"]), []).append({**line, "run": seed})
                if line["update"] == last and last > 0:
                    evaluated.setdefault((entry.name, line["label"]), []).append({**line, "run": seed})
    bases: dict[tuple[str, str], dict[int, float]] = {}
    # The warm start and then the first entry come first, because the other rows need their values.
    for (name, label), lines in sorted(evaluated.items(), key=lambda each: each[0][0] != _START):
        # All entries of a seed start from the same warm start: count it once.
        unique = list({line["run"]: line for line in lines}.values())
        evaluations = [Evaluation.from_dict(line["evaluation"]) for line in unique]
        count = len(unique)
        successes = {line["run"]: each.micro.success for line, each in zip(unique, evaluations, strict=True)}
        bases[name, label] = successes
        yield Row(
            name,
            label,
            over_seeds(evaluations),
            None if name == _START else _difference(successes, bases.get((_START, label), {})),
            None if name in (_START, first) else _difference(successes, bases.get((first, label), {})),
            sum(line["update"] for line in unique) / count,
            sum(line["turns"] for line in unique) / count,
        )


def _lines(run: Path, name: str) -> list[dict[str, Any]]:
    """The lines of a file of a complete run; none for an incomplete run, which played fewer turns than the others."""
    return RunLog(run, active=False).read(name) if (run / "policy").exists() else []


def _difference(values: Mapping[int, float], reference: Mapping[int, float]) -> MeanInterval | None:
    differences = [value - reference[seed] for seed, value in values.items() if seed in reference]
    return t_interval(differences) if differences else None


_START = "warm start"
_HEAD = (
    "method",
    "decoding",
    "seeds",
    "success",
    "− start",
    "− first",
    "macro",
    "turns",
    "invalid",
    "updates",
    "env turns",
)


def _cells(row: Row) -> tuple[str, ...]:
    summary = row.summary
    return (
        row.name,
        row.label,
        str(summary.seeds),
        _percent(summary.micro),
        _signed(row.against_start),
        _signed(row.against_first),
        _percent(summary.macro),
        f"{summary.turns.mean:.1f}",
        _percent(summary.invalid),
        f"{row.updates:.1f}",
        f"{row.turns:,.0f}",
    )


def _percent(value: MeanInterval, sign: bool = False) -> str:
    half = f" ± {100 * value.half:.1f}" if value.half != float("inf") else ""
    return f"{100 * value.mean:{'+' if sign else ''}.1f}{half} %"


def _number_text(value: MeanInterval, sign: bool = False) -> str:
    half = f" ± {value.half:.2f}" if value.half != float("inf") else ""
    return f"{value.mean:{'+' if sign else ''}.2f}{half}"


def _signed(value: MeanInterval | None) -> str:
    return "" if value is None else _percent(value, sign=True)
