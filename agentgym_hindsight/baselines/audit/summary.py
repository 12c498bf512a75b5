"""The agreement of the columns of an audit with the truth: intervals over tasks, and parts of the turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite, sqrt
from typing import Any

import numpy as np

from agentgym_hindsight.baselines.audit.agreement import (
    Truth,
    calibration,
    critical_hits,
    explained_variance,
    mean_of,
    reliability,
    sign_agreement,
    spearman,
)
from agentgym_hindsight.baselines.audit.credits import credit_methods, credits_of
from agentgym_hindsight.baselines.audit.turn_table import COST, SAYS, TurnTable
from agentgym_hindsight.baselines.methods.rows import Array
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.names import known_name

__all__ = ["REFERENCE", "Figure", "Score", "Summary", "by_group_size", "score", "summarise", "truth_of"]

#: The column that differences are to, by default: one number for all turns of a rollout.
REFERENCE = "grpo"

Measure = Callable[[Array], float]

_CONFIDENCE = 95
_FEWEST = 8  # turns of a part for which a correlation is given
_GROUP_SIZES = (2, 4, 8, 16, 32)


@dataclass(frozen=True, slots=True)
class Figure:
    """A value with its 95 % interval from a bootstrap over tasks; NaN if it cannot be computed."""

    value: float
    low: float = float("nan")
    high: float = float("nan")

    def as_dict(self) -> dict[str, float | None]:
        """Plain values; ``None`` for NaN."""
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        return {name: number if isfinite(number) else None for name, number in numbers.items()}


@dataclass(frozen=True, slots=True)
class Score:
    """The agreement of one column.

    * ``turns``: the audited turns that have a number. ``corrected``: Spearman divided by the root of the reliability.
    * ``parts``: Spearman within parts of the turns, by name. ``difference``: Spearman minus that of the reference.
    """

    name: str
    turns: int
    spearman: Figure
    corrected: float
    signs: Figure
    explained: Figure
    critical: Figure
    difference: Figure
    tokens: float
    parts: Mapping[str, float] = field(default_factory=dict)
    bins: Sequence[tuple[float, float, int]] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        figures = ("spearman", "signs", "explained", "critical", "difference")
        return {
            "name": self.name,
            "turns": self.turns,
            **{name: getattr(self, name).as_dict() for name in figures},
            "spearman_corrected": self.corrected if isfinite(self.corrected) else None,
            "tokens_per_turn": self.tokens,
            "parts": {name: value if isfinite(value) else None for name, value in self.parts.items()},
            "calibration": [list(each) for each in self.bins],
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """The agreement of all columns. ``reference`` is the one that differences are to."""

    turns: int
    signed: int
    tasks: int
    half_width: float
    pairs: float
    reliability: float
    chance: float
    reference: str
    scores: tuple[Score, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        facts = ("turns", "signed", "tasks", "half_width", "pairs", "reliability", "reference")
        chance = self.chance if isfinite(self.chance) else None
        return {
            **{name: getattr(self, name) for name in facts},
            "critical_by_chance": chance,
            "scores": [each.as_dict() for each in self.scores],
        }


def truth_of(table: TurnTable) -> Truth:
    """The truth of audited turns."""
    value, low, high = (table.column(name) for name in ("advantage", "low", "high"))
    return Truth(value, table.column("first"), table.column("second"), (low > 0) | (high < 0))


def summarise(table: TurnTable, reference: str = REFERENCE, samples: int = 500, seed: int = 0) -> Summary:
    """The scores of all columns of the table that begin with ``says:``, best first."""
    audited = table.where(table.audited)
    if not len(audited):
        raise UsageError("Expected turns with a measured advantage, got none; try `agh audit` with more tasks.")
    names = audited.names(SAYS)
    reference = known_name("column of the audit", reference, names) if names else reference
    truth = truth_of(audited)
    base = audited.column(SAYS + reference) if names else None
    scores = [
        _score(name, audited, audited.column(SAYS + name), truth, None if name == reference else base, samples, seed)
        for name in names
    ]
    chance = mean_of(critical_hits(np.zeros(len(audited)), truth, _rollouts(audited))[1])
    return Summary(
        len(audited),
        int(truth.signed.sum()),
        len(audited.tasks),
        float(np.mean(audited.column("high") - audited.column("low")) / 2),
        float(np.mean(audited.column("pairs"))),
        reliability(truth),
        chance,
        reference,
        tuple(sorted(scores, key=lambda each: -each.spearman.value if isfinite(each.spearman.value) else 2.0)),
    )


def score(table: TurnTable, values: Array, name: str, reference: str = REFERENCE, samples: int = 500) -> Score:
    """The score of one number per turn of the table, and its difference to a column of it."""
    mask = table.audited
    audited = table.where(mask)
    column = SAYS + known_name("column of the audit", reference, table.names(SAYS))
    return _score(name, audited, values[mask], truth_of(audited), audited.column(column), samples, 0)


def _score(
    name: str, table: TurnTable, says: Array, truth: Truth, base: Array | None, samples: int, seed: int
) -> Score:
    known = np.isfinite(says) if base is None else np.isfinite(says) & np.isfinite(base)
    says, truth, rollouts = says[known], truth.at(known), _rollouts(table)[known]
    tasks = table.task_numbers[known]
    reference = None if base is None else base[known]
    hits = critical_hits(says, truth, rollouts)[0]
    measures: dict[str, Measure] = {
        "spearman": lambda chosen: spearman(says[chosen], truth.value[chosen]),
        "signs": lambda chosen: sign_agreement(says[chosen], truth.at(chosen)),
        "explained": lambda chosen: explained_variance(says[chosen], truth.at(chosen)),
        "critical": lambda chosen: mean_of(hits[chosen]),
    }
    if reference is not None:
        measures["difference"] = lambda chosen: (
            spearman(says[chosen], truth.value[chosen]) - spearman(reference[chosen], truth.value[chosen])
        )
    figures = bootstrap(measures, tasks, samples, seed)
    rank = reliability(truth)
    cost = table.column(COST + name)
    return Score(
        name,
        int(known.sum()),
        figures["spearman"],
        figures["spearman"].value / sqrt(rank) if rank > 0 else float("nan"),
        figures["signs"],
        figures["explained"],
        figures["critical"],
        figures.get("difference", Figure(0.0, 0.0, 0.0)),
        float(np.nanmean(cost)) if np.isfinite(cost).any() else 0.0,
        _parts(table.where(known), says, truth.value),
        calibration(says, truth.value) if len(says) else (),
    )


def bootstrap(measures: Mapping[str, Measure], tasks: Array, samples: int, seed: int) -> dict[str, Figure]:
    """Each measure of the chosen turns on all turns, and its interval over resamples of whole tasks."""
    values = {name: measure(np.arange(len(tasks))) for name, measure in measures.items()}
    members = [np.flatnonzero(tasks == task) for task in np.unique(tasks)]
    if len(members) < 2:
        return {name: Figure(value) for name, value in values.items()}
    rng = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(samples):
        chosen = np.concatenate([members[number] for number in rng.integers(0, len(members), len(members))])
        for name, measure in measures.items():
            drawn[name].append(measure(chosen))
    tail = (100 - _CONFIDENCE) / 2
    figures = {}
    for name, value in values.items():
        sample = np.array(drawn[name])
        sample = sample[np.isfinite(sample)]
        ends = np.percentile(sample, [tail, 100 - tail]) if len(sample) else (np.nan, np.nan)
        figures[name] = Figure(value, float(ends[0]), float(ends[1]))
    return figures


def _rollouts(table: TurnTable) -> Array:
    numbers: dict[tuple[str, int], int] = {}
    found = [numbers.setdefault((row["task"], row["member"]), len(numbers)) for row in table.rows]
    return np.array(found, np.int64)


def _parts(table: TurnTable, says: Array, truth: Array) -> dict[str, float]:
    """Spearman within the first, middle and last third of the rollouts, and within won and lost ones."""
    place = table.column("step") / np.maximum(table.column("turns"), 1)
    won = table.column("won") > 0
    parts = {
        "first third": place < 1 / 3,
        "middle third": (place >= 1 / 3) & (place < 2 / 3),
        "last third": place >= 2 / 3,
        "won": won,
        "lost": ~won,
    }
    return {
        name: spearman(says[mask], truth[mask]) if mask.sum() >= _FEWEST else float("nan")
        for name, mask in parts.items()
    }


def by_group_size(table: TurnTable, draws: int = 8, seed: int = 0) -> dict[str, dict[int, float]]:
    """Spearman of the credits that need no model, if groups had fewer rollouts: the mean over random subgroups.

    A subgroup has its own statistics, and only its turns are compared.
    """
    members: dict[str, list[int]] = {}
    for row in table.rows:
        rollouts = members.setdefault(str(row["task"]), [])
        if row["member"] not in rollouts:
            rollouts.append(row["member"])
    largest = min(map(len, members.values()))
    sizes = [size for size in _GROUP_SIZES if size <= largest]
    methods, rng = credit_methods(), np.random.default_rng(seed)
    found: dict[str, dict[int, list[float]]] = {}
    for size in sizes:
        for _ in range(draws if size < largest else 1):
            kept = {task: set(rng.permutation(rollouts)[:size].tolist()) for task, rollouts in members.items()}
            part = table.where(np.array([row["member"] in kept[row["task"]] for row in table.rows]))
            audited = part.audited
            truth = part.column("advantage")[audited]
            for name, values in credits_of(part, methods).items():
                found.setdefault(name, {}).setdefault(size, []).append(spearman(values[audited], truth))
    return {name: {size: _known_mean(values) for size, values in sizes.items()} for name, sizes in found.items()}


def _known_mean(values: Sequence[float]) -> float:
    """The mean of the values that are numbers; NaN if there are none, such as with a single turn."""
    known = [value for value in values if value == value]  # NaN is not equal to itself
    return float(np.mean(known)) if known else float("nan")
