"""Whether the audit predicts training: the agreement of methods with the truth, and their gain in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from agentgym_hindsight.baselines.audit.agreement import spearman
from agentgym_hindsight.baselines.audit.summary import Figure, bootstrap, truth_of
from agentgym_hindsight.baselines.audit.turn_table import SAYS, TurnTable
from agentgym_hindsight.baselines.evaluation.intervals import t_interval
from agentgym_hindsight.baselines.evaluation.results import Evaluation
from agentgym_hindsight.baselines.methods.rows import Array
from agentgym_hindsight.baselines.run_log import RunLog
from agentgym_hindsight.errors import DamagedDataError, HindsightError, UsageError
from agentgym_hindsight.names import known_name
from agentgym_hindsight.printable import printable_line

__all__ = ["MethodPoint", "Prediction", "TrainedMethod", "predict", "read_trained"]

_FEWEST = 3  # methods of which a rank correlation is given


@dataclass(frozen=True, slots=True)
class TrainedMethod:
    """The runs of one method: the column of the audit with its credit, and its gain by seed.

    The gain is the success after training minus that before it. ``column`` is "" if no column is this method's.
    """

    name: str
    column: str
    gains: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class MethodPoint:
    """One point of the figure: ``agreement`` is Spearman with the truth, ``gain`` the mean over seeds."""

    name: str
    column: str
    agreement: Figure
    gain: Figure
    seeds: int


@dataclass(frozen=True, slots=True)
class Prediction:
    """The points, best agreement first, and the rank correlation of agreement and gain over the methods.

    ``left_out`` are methods without a column in the audit. ``decoding`` is the label of the evaluations.
    """

    points: tuple[MethodPoint, ...]
    correlation: Figure
    left_out: tuple[str, ...]
    decoding: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "decoding": self.decoding,
            "correlation": self.correlation.as_dict(),
            "left_out": list(self.left_out),
            "methods": [
                {
                    "name": each.name,
                    "column": each.column,
                    "seeds": each.seeds,
                    "agreement": each.agreement.as_dict(),
                    "gain": each.gain.as_dict(),
                }
                for each in self.points
            ],
        }


def read_trained(runs: Path, columns: Sequence[str], decoding: str = "") -> tuple[list[TrainedMethod], str]:
    """The complete runs in a folder of ``agh compare``, and the label of the evaluations: by default the first one."""
    found: dict[str, dict[int, float]] = {}
    names: dict[str, str] = {}
    for folder in sorted(runs.iterdir()):
        name, dash, seed = folder.name.rpartition("-seed")
        if not dash or not seed.isdecimal() or not (folder / "policy").exists():
            continue
        log = RunLog(folder, active=False)
        try:
            evaluated = _evaluated(log, decoding)
        except HindsightError:
            raise
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise DamagedDataError(
                f"Expected evaluations of a run in {folder / 'eval.jsonl'}, got {type(error).__name__}: "
                f"{printable_line(str(error), 200)}; try moving this run out of the folder."
            ) from error
        if evaluated is None:
            continue
        decoding, first, last = evaluated
        found.setdefault(name, {})[int(seed)] = last - first
        names.setdefault(name, _column(name, log.description(), columns))
    if not found:
        raise UsageError(
            f"Expected complete runs of `agh compare` in {runs}, evaluated before and after training, got none; "
            "try the folder of agh compare --out."
        )
    return [TrainedMethod(name, names[name], gains) for name, gains in found.items()], decoding


def _evaluated(log: RunLog, decoding: str) -> tuple[str, float, float] | None:
    """The label, and the success before and after training; ``None`` if one of the two was not evaluated."""
    lines = log.read("eval")
    labels = list(dict.fromkeys(str(line["label"]) for line in lines))
    if not labels:
        return None
    decoding = known_name("decoding of the evaluations", decoding, labels) if decoding else labels[0]
    ours = sorted((line for line in lines if line["label"] == decoding), key=lambda line: int(line["update"]))
    if len(ours) < 2 or ours[0]["update"] != 0:
        return None
    first, last = (Evaluation.from_dict(line["evaluation"]).micro.success for line in (ours[0], ours[-1]))
    return decoding, first, last


def _column(name: str, description: Mapping[str, Any], columns: Sequence[str]) -> str:
    """The column of the audit that has the credit of a run; "" if there is none.

    Only the kind of anchor may differ from the method of the column.
    """
    recipe = str(description.get("recipe", ""))
    settings = description.get("settings")
    method = settings.get("method") if isinstance(settings, Mapping) else None
    anchor = str(method.get("anchor", "observation")) if isinstance(method, Mapping) else "observation"
    changed = name.removeprefix(recipe).lstrip("_") if name.startswith(recipe) else name
    if changed not in ("", f"anchor={anchor}"):
        return ""
    if f"{recipe}@{anchor}" in columns:
        return f"{recipe}@{anchor}"
    return recipe if recipe in columns and not changed else ""


def predict(
    table: TurnTable, trained: Sequence[TrainedMethod], decoding: str = "", samples: int = 500, seed: int = 0
) -> Prediction:
    """The agreement of each method with the truth in ``table``, its gain, and whether one ranks methods as the other.

    Intervals of the agreement: bootstrap over tasks. Of the gain: Student's t over seeds. Of the rank correlation:
    bootstrap over tasks and seeds, each of which is the same for all methods; the methods are not resampled.
    """
    audited = table.where(table.audited)
    known = [each for each in trained if each.column]
    if not len(audited) or not known:
        raise UsageError(
            "Expected runs of methods that are columns of the audit, got none; "
            f"try methods such as {', '.join(table.names(SAYS)[:4])}."
        )
    truth = truth_of(audited).value
    says = {each.name: audited.column(SAYS + each.column) for each in known}
    tasks = audited.task_numbers
    measures = {name: _agreement(values, truth) for name, values in says.items()}
    agreements = bootstrap(measures, tasks, samples, seed)
    points = []
    for each in known:
        mean, half = t_interval(each.gains.values())
        gain = Figure(mean, max(mean - half, -1.0), min(mean + half, 1.0)) if isfinite(half) else Figure(mean)
        points.append(MethodPoint(each.name, each.column, agreements[each.name], gain, len(each.gains)))
    points.sort(key=lambda point: -point.agreement.value)
    value, ends = float("nan"), (float("nan"), float("nan"))
    if len(known) >= _FEWEST:
        value = spearman(
            np.array([point.agreement.value for point in points]), np.array([point.gain.value for point in points])
        )
        drawn = _drawn_correlations(measures, known, tasks, samples, seed)
        if drawn is not None:
            ends = drawn
    left_out = tuple(each.name for each in trained if not each.column)
    return Prediction(tuple(points), Figure(value, *ends), left_out, decoding)


def _agreement(says: Array, truth: Array) -> Any:
    finite = np.isfinite(says)

    def measure(chosen: Array) -> float:
        kept = chosen[finite[chosen]]
        return spearman(says[kept], truth[kept])

    return measure


def _drawn_correlations(
    measures: Mapping[str, Any], trained: Sequence[TrainedMethod], tasks: Array, samples: int, seed: int
) -> tuple[float, float] | None:
    """The 95 % interval over resamples of tasks and seeds; ``None`` if there are fewer than two of either."""
    members = [np.flatnonzero(tasks == task) for task in np.unique(tasks)]
    seeds = sorted({number for each in trained for number in each.gains})
    if len(members) < 2 or len(seeds) < 2:
        return None
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(samples):
        chosen = np.concatenate([members[number] for number in rng.integers(0, len(members), len(members))])
        picked = [seeds[number] for number in rng.integers(0, len(seeds), len(seeds))]
        pairs = []
        for each in trained:
            gains = [each.gains[number] for number in picked if number in each.gains]
            if gains:
                pairs.append((measures[each.name](chosen), float(np.mean(gains))))
        if len(pairs) == len(trained):
            one, two = np.array(pairs).T
            drawn.append(spearman(one, two))
    if not drawn:
        return None
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)
