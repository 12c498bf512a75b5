"""Lines of the report. Runs that differ only in their seed are one line; repeated evaluations are one result."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentgym_hindsight.baselines.evaluation.results import CategoryResult, Evaluation
from agentgym_hindsight.baselines.report.runs import Measured, Run

__all__ = ["Line", "evaluated", "flat", "group_runs", "kinds_of"]

#: Settings that may differ between the runs of one line.
_OWN = frozenset({"seed", "out", "output_dir"})


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


def flat(settings: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested settings with dotted names.

    >>> flat({"mask": {"kind": "action"}, "seed": 1})
    {'mask.kind': 'action', 'seed': 1}
    """
    result: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            result.update(flat(value, f"{before}{key}."))
        else:
            result[f"{before}{key}"] = value
    return result


def group_runs(runs: Sequence[Run]) -> tuple[Line, ...]:
    """The lines. Runs with equal recipe, env, backend, model and settings (except the seed) form one line."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(json.dumps(_traits(run), sort_keys=True, default=str), []).append(run)
    traits = {key: _traits(members[0]) for key, members in groups.items()}
    names = {key: _name(own, list(traits.values())) for key, own in traits.items()}
    # By name, not by folder, so that colours do not depend on where the runs are stored.
    ordered = sorted(groups, key=lambda key: (traits[key]["recipe"], names[key], key))
    return tuple(Line(names[key], place, tuple(sorted(groups[key], key=_by_seed))) for place, key in enumerate(ordered))


def _traits(run: Run) -> dict[str, Any]:
    settings = {key: value for key, value in flat(run.settings).items() if key.rpartition(".")[2] not in _OWN}
    return {"recipe": run.recipe, "env": run.env, "backend": run.backend, "model": run.model, **settings}


def _name(own: Mapping[str, Any], all_traits: Sequence[Mapping[str, Any]]) -> str:
    """The recipe, and the settings that differ from other lines of this recipe."""
    same_recipe = [other for other in all_traits if other["recipe"] == own["recipe"]]
    names = sorted({key for other in same_recipe for key in other})
    differing = [key for key in names if len({json.dumps(r.get(key), default=str) for r in same_recipe}) > 1]
    shown = [f"{key.rpartition('.')[2]}={own[key]}" for key in differing if key in own]
    return " · ".join([str(own["recipe"]), *shown])


def _by_seed(run: Run) -> tuple[int, str, str]:
    return (int(run.seed) if run.seed.lstrip("-").isdecimal() else 0, run.seed, str(run.folder))


def kinds_of(runs: Sequence[Run]) -> tuple[tuple[str, str], ...]:
    """The (split, label) pairs of the evaluations; greedy first."""
    kinds = {(one.split, one.label) for run in runs for one in run.evaluations}
    return tuple(sorted(kinds, key=lambda kind: (kind[0], kind[1] != "greedy", kind[1])))


def evaluated(run: Run, kind: tuple[str, str]) -> list[tuple[int, float, Evaluation]]:
    """(updates, turns, result) in order. Evaluations that differ only in their seed are pooled."""
    at: dict[int, list[Measured]] = {}
    for one in run.evaluations:
        if (one.split, one.label) == kind:
            at.setdefault(one.update, []).append(one)
    return [
        (update, max(one.turns for one in found), _pooled([one.evaluation for one in found]))
        for update, found in sorted(at.items())
    ]


def _pooled(evaluations: Sequence[Evaluation]) -> Evaluation:
    if len(evaluations) == 1:
        return evaluations[0]
    names = sorted({row.name for one in evaluations for row in one.categories})
    return Evaluation(
        tuple(_together([row for one in evaluations for row in one.categories if row.name == name]) for name in names),
        _together([one.micro for one in evaluations]),
    )


def _together(rows: Sequence[CategoryResult]) -> CategoryResult:
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
