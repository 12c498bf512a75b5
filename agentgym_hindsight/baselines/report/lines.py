"""Lines of the report. Runs that differ only in their seed are one line; repeated evaluations are one result."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentgym_hindsight.baselines.evaluation.results import CategoryResult, Evaluation
from agentgym_hindsight.baselines.report.line_names import line_names
from agentgym_hindsight.baselines.report.runs import Measured, Run

__all__ = ["Line", "evaluated", "flat", "group_runs", "kinds_of"]

#: Settings that may differ between the runs of one line.
_PER_RUN_SETTINGS = frozenset({"seed", "out", "output_dir"})


@dataclass(frozen=True, slots=True)
class Line:
    """One recipe with one configuration, and its runs by seed."""

    name: str
    colour: int
    runs: tuple[Run, ...]

    @property
    def first(self) -> Run:
        return self.runs[0]

    @property
    def recipe(self) -> str:
        return self.first.recipe

    @property
    def embedded(self) -> bool:
        return self.first.embedded


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings with dotted names.

    >>> flat({"mask": {"kind": "action"}, "seed": 1})
    {'mask.kind': 'action', 'seed': 1}
    """
    result: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            result.update(flat(value, f"{prefix}{key}."))
        else:
            result[f"{prefix}{key}"] = value
    return result


def group_runs(runs: Sequence[Run]) -> tuple[Line, ...]:
    """The lines. Runs with equal recipe, env, backend, model and settings (except the seed) form one line."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(json.dumps(_traits(run), sort_keys=True, default=str), []).append(run)
    members = {key: tuple(sorted(groups[key], key=_by_seed)) for key in sorted(groups)}
    firsts = [lined_up[0] for lined_up in members.values()]
    traits = [_traits(run) for run in firsts]
    names = line_names(traits, [run.folder for run in firsts], [run.seed for run in firsts])
    # Sorted by name and not by folder, so that colours do not depend on where the runs are stored.
    ordered = sorted(zip(names, members, strict=True), key=lambda named: (members[named[1]][0].recipe, *named))
    return tuple(Line(name, index, members[key]) for index, (name, key) in enumerate(ordered))


def _traits(run: Run) -> dict[str, Any]:
    settings = {
        key: value for key, value in flat(run.settings).items() if key.rpartition(".")[2] not in _PER_RUN_SETTINGS
    }
    return {**settings, "recipe": run.recipe, "env": run.env, "backend": run.backend, "model": run.model}


def _by_seed(run: Run) -> tuple[int, str, str]:
    seed = run.seed.removeprefix("-")
    number = int(run.seed) if seed.isdecimal() and len(seed) < 100 else 0
    return number, run.seed, str(run.folder)


def kinds_of(runs: Sequence[Run]) -> tuple[tuple[str, str], ...]:
    """The (split, label) pairs of the evaluations; greedy first."""
    kinds = {(measured.split, measured.label) for run in runs for measured in run.evaluations}
    return tuple(sorted(kinds, key=lambda kind: (kind[0], kind[1] != "greedy", kind[1])))


def evaluated(run: Run, kind: tuple[str, str]) -> list[tuple[int, float, Evaluation]]:
    """(updates, turns, result) in order. Evaluations that differ only in their seed are pooled."""
    by_update: dict[int, list[Measured]] = {}
    for measured in run.evaluations:
        if (measured.split, measured.label) == kind:
            by_update.setdefault(measured.update, []).append(measured)
    return [
        (
            update,
            max(measured.turns for measured in same_update),
            _pooled([measured.evaluation for measured in same_update]),
        )
        for update, same_update in sorted(by_update.items())
    ]


def _pooled(evaluations: Sequence[Evaluation]) -> Evaluation:
    if len(evaluations) == 1:
        return evaluations[0]
    names = sorted({row.name for evaluation in evaluations for row in evaluation.categories})
    return Evaluation(
        tuple(
            _merged([row for evaluation in evaluations for row in evaluation.categories if row.name == name])
            for name in names
        ),
        _merged([evaluation.micro for evaluation in evaluations]),
    )


def _merged(rows: Sequence[CategoryResult]) -> CategoryResult:
    rollouts = sum(row.rollouts for row in rows)
    turns = sum(row.turns * row.rollouts for row in rows)
    return CategoryResult(
        rows[0].name,
        rollouts,
        sum(row.won for row in rows),
        sum(row.score * row.rollouts for row in rows) / (rollouts or 1),
        turns / (rollouts or 1),
        sum(row.invalid * row.turns * row.rollouts for row in rows) / (turns or 1),
        sum(row.broken for row in rows),
    )
