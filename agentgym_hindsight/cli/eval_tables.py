"""The tables of ``agh eval``: success by category, and the differences between policies, paired by task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from agentgym_hindsight.baselines.evaluation.at_k import AtK, Share, at_k
from agentgym_hindsight.baselines.evaluation.intervals import MeanInterval, t_interval
from agentgym_hindsight.baselines.evaluation.paired import PairedDifference, paired_difference
from agentgym_hindsight.baselines.evaluation.results import CategoryResult, Evaluation, over_seeds
from agentgym_hindsight.baselines.evaluation.trials import AfterTrial, after_trials
from agentgym_hindsight.cli.shared import result_table
from agentgym_hindsight.cli.tables import Grid
from agentgym_hindsight.hindsight.trajectory import Trajectory

__all__ = [
    "Column",
    "Difference",
    "difference_table",
    "differences",
    "evaluation_table",
    "outcomes_by_task",
    "trials_table",
]


def outcomes_by_task(trajectories: Sequence[Trajectory]) -> dict[str, list[bool]]:
    """Whether each task's rollouts won, by task id."""
    outcomes: dict[str, list[bool]] = {}
    for trajectory in trajectories:
        outcomes.setdefault(trajectory.task_id, []).append(trajectory.won)
    return outcomes


@dataclass(slots=True)
class Column:
    """A policy at one temperature: its evaluations and outcomes, one for each seed."""

    name: str
    policy: str
    label: str
    temperature: float
    folder: str
    siblings: int = 1
    evaluations: list[Evaluation] = field(default_factory=list)
    outcomes: dict[str, list[bool]] = field(default_factory=dict)  # by task id
    categories: dict[str, str] = field(default_factory=dict)  # by task id
    broken: list[str] = field(default_factory=list)
    rollouts: int = 0
    played: list[Sequence[Trajectory]] = field(default_factory=list)  # of Reflexion: all trials, for each seed
    trials: int = 0

    def add_trials(self, trajectories: Sequence[Trajectory], trials: int) -> None:
        """Add all rollouts of a seed of Reflexion."""
        self.played.append(trajectories)
        self.trials = trials

    @property
    def after_trials(self) -> list[AfterTrial]:
        """Success after each trial, over all seeds; [] for other policies."""
        return after_trials(self.played, self.trials) if self.trials else []

    def add(self, evaluation: Evaluation, trajectories: Sequence[Trajectory]) -> None:
        """Add the evaluation of a seed and its rollouts."""
        self.evaluations.append(evaluation)
        for task_id, won in outcomes_by_task(trajectories).items():
            self.outcomes.setdefault(task_id, []).extend(won)
        self.categories.update((trajectory.task_id, trajectory.category) for trajectory in trajectories)
        self.broken.extend(trajectory.broken for trajectory in trajectories if trajectory.broken)
        self.rollouts += len(trajectories)

    def at_k(self, category: str | None = None) -> AtK:
        """Avg@k, Best@k and All@k over all tasks, or those of a category. The rollouts of all seeds count."""
        chosen = {
            task_id: won
            for task_id, won in self.outcomes.items()
            if category is None or self.categories[task_id] == category
        }
        return at_k(chosen, self.siblings)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "name": self.name,
            "policy": self.policy,
            "label": self.label,
            "temperature": self.temperature,
            "folder": self.folder,
            "broken": len(self.broken),
            "at_k": self.at_k().as_dict() if self.siblings > 1 else None,
            **({"trials": [each.as_dict() for each in self.after_trials]} if self.trials else {}),
            "seeds": [
                {"seed": seed, "interval": list(each.micro.interval), **each.as_dict()}
                for seed, each in enumerate(self.evaluations)
            ],
        }


@dataclass(frozen=True, slots=True)
class Difference:
    """The success of a policy minus that of the first one."""

    name: str
    reference: str
    paired: PairedDifference

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "name": self.name,
            "reference": self.reference,
            "difference": self.paired.mean,
            "interval": [self.paired.low, self.paired.high],
            "tasks": self.paired.tasks,
        }


def differences(columns: Sequence[Column]) -> Iterator[Difference]:
    """Each policy against the first one, at the same temperature where both have it."""
    references = [column for column in columns if column.policy == columns[0].policy]
    for column in columns:
        if column.policy != columns[0].policy:
            same = [reference for reference in references if reference.temperature == column.temperature]
            reference = (same or references)[0]
            yield Difference(column.name, reference.name, paired_difference(column.outcomes, reference.outcomes))


def difference_table(found: Iterator[Difference]) -> Grid:
    """One row for each policy but the first."""
    rows = [
        (
            each.name,
            each.reference,
            f"{100 * each.paired.mean:+.1f} pp",
            f"[{100 * each.paired.low:+.1f}, {100 * each.paired.high:+.1f}]",
            str(each.paired.tasks),
        )
        for each in found
    ]
    head = ("policy", "minus", "success", "95 % interval", "tasks")
    return Grid("Differences, paired by task", head, rows, text_columns=2, whole_columns=2)


def trials_table(columns: Sequence[Column]) -> Grid:
    """Success after each trial of Reflexion, with 95 % intervals over the tasks."""
    tried = [column for column in columns if column.trials]
    cells = [
        [f"{each.success:6.1%}  [{each.low:.1%}, {each.high:.1%}]  n={each.tasks}" for each in column.after_trials]
        for column in tried
    ]
    rows = [
        [str(number + 1), *(shares[number] if number < len(shares) else "" for shares in cells)]
        for number in range(max(map(len, cells)))
    ]
    return Grid("Solved within so many trials", ["trials", *(column.name for column in tried)], rows, text_columns=1)


def evaluation_table(columns: Sequence[Column]) -> Grid:
    """A column for each temperature. One seed: Wilson's intervals; several: mean ± half of Student's interval.

    With siblings the intervals of one seed are over tasks, and three rows follow: Avg@k, Best@k and All@k.
    """
    if all(len(column.evaluations) == 1 for column in columns):
        table = result_table({column.name: column.evaluations[0] for column in columns})
        rows = [list(row) for row in table.rows]
        if columns[0].siblings > 1:
            (rule,) = table.rules
            for number, row in enumerate(rows[: rule + 1]):
                category = row[0] if number < rule else None
                rows[number] = [row[0], *(_of_tasks(column, category) for column in columns)]
        rows.append(["score", *(f"{column.evaluations[0].micro.score:.3f}" for column in columns)])
        rows += _at_k_rows(columns)
        return Grid(table.title, table.head, rows, table.text_columns, rules=table.rules)
    results = {column.name: column.evaluations for column in columns}
    head = ["category", *(f"{name} ({len(evaluations)} seeds)" for name, evaluations in results.items())]
    categories = sorted(
        {row.name for evaluations in results.values() for evaluation in evaluations for row in evaluation.categories}
    )
    rows = [
        [
            name,
            *(_share(t_interval(row.success for row in _rows(evaluations, name))) for evaluations in results.values()),
        ]
        for name in categories
    ]
    summaries = [over_seeds(evaluations) for evaluations in results.values()]
    rows.append(["all (micro)", *(_share(summary.micro) for summary in summaries)])
    rows.append(["mean of categories (macro)", *(_share(summary.macro) for summary in summaries)])
    rows.append(["turns", *(f"{summary.turns.mean:.1f} ± {summary.turns.half:.1f}" for summary in summaries)])
    rows.append(["invalid actions", *(_share(summary.invalid) for summary in summaries)])
    rows.append(
        [
            "broken rollouts",
            *(str(sum(evaluation.micro.broken for evaluation in evaluations)) for evaluations in results.values()),
        ]
    )
    rows.append(["score", *(f"{summary.score.mean:.3f} ± {summary.score.half:.3f}" for summary in summaries)])
    rows += _at_k_rows(columns)
    return Grid("", head, rows, text_columns=1, rules=(len(categories),))


def _of_tasks(column: Column, category: str | None) -> str:
    if category is not None and category not in column.categories.values():
        return ""
    found = column.at_k(category)
    return f"{_with_interval(found.average)}  n={found.tasks}×{found.rollouts}"


def _at_k_rows(columns: Sequence[Column]) -> list[list[str]]:
    k = columns[0].siblings
    if k == 1:
        return []
    found = [column.at_k() for column in columns]
    return [
        [f"Avg@{k}", *(_with_interval(each.average) for each in found)],
        [f"Best@{k} (pass@{k})", *(_with_interval(each.best) for each in found)],
        [f"All@{k} (pass^{k})", *(_with_interval(each.all) for each in found)],
    ]


def _with_interval(share: Share) -> str:
    return f"{share.value:6.1%}  [{share.low:.1%}, {share.high:.1%}]"


def _rows(evaluations: Sequence[Evaluation], name: str) -> list[CategoryResult]:
    return [row for evaluation in evaluations for row in evaluation.categories if row.name == name]


def _share(interval: MeanInterval) -> str:
    return f"{interval.mean:.1%} ± {interval.half:.1%}"
