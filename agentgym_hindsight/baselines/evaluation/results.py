"""Summaries of rollouts: success rates with intervals, by category and over all rollouts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from agentgym_hindsight.baselines.evaluation.intervals import MeanInterval, t_interval, wilson
from agentgym_hindsight.errors import SchemaError, UsageError
from agentgym_hindsight.hindsight.trajectory import Trajectory

__all__ = ["CategoryResult", "Evaluation", "SeedSummary", "evaluate", "over_seeds", "wilson"]


@dataclass(frozen=True, slots=True)
class CategoryResult:
    """Results of the rollouts of one category, or of all."""

    name: str
    rollouts: int
    won: int
    score: float
    turns: float
    invalid: float
    broken: int

    @property
    def success(self) -> float:
        """Share of rollouts that won. A broken rollout counts as lost."""
        return self.won / self.rollouts if self.rollouts else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson interval of :attr:`success`."""
        return wilson(self.won, self.rollouts)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """``micro`` counts every rollout once; ``macro`` is the unweighted mean over categories."""

    categories: tuple[CategoryResult, ...]
    micro: CategoryResult

    @property
    def macro(self) -> float:
        return sum(result.success for result in self.categories) / len(self.categories) if self.categories else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON. ``macro`` is written for readers of the file; :meth:`from_dict` ignores it.

        >>> evaluation = evaluate([Trajectory("1f", category="easy", won=True, score=1.0)])
        >>> Evaluation.from_dict(evaluation.as_dict()) == evaluation
        True
        """
        return {
            "micro": asdict(self.micro),
            "macro": self.macro,
            "categories": [asdict(result) for result in self.categories],
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Evaluation:
        """Read the result of :meth:`as_dict`; unknown keys are ignored."""
        try:
            return cls(tuple(_row(row) for row in document["categories"]), _row(document["micro"]))
        except (KeyError, TypeError, ValueError) as error:
            raise SchemaError(
                f"Expected the result of Evaluation.as_dict, got {error!r}; try running the evaluation again."
            ) from error


@dataclass(frozen=True, slots=True)
class SeedSummary:
    """Evaluations that differ only in their seeds: means with the half-widths of their 95 % t intervals."""

    seeds: int
    micro: MeanInterval
    macro: MeanInterval
    score: MeanInterval
    turns: MeanInterval
    invalid: MeanInterval


def over_seeds(evaluations: Sequence[Evaluation]) -> SeedSummary:
    """Mean ± half-width over seeds. The half-width of a single seed is infinite.

    >>> won, lost = (evaluate([Trajectory("1f", won=won)]) for won in (True, False))
    >>> over_seeds([won, lost, won]).micro.mean
    0.6666666666666666
    """
    if not evaluations:
        raise UsageError("Expected one evaluation or more, got none; try evaluate(trajectories) for each seed.")
    rows = [evaluation.micro for evaluation in evaluations]
    return SeedSummary(
        len(rows),
        t_interval(row.success for row in rows),
        t_interval(evaluation.macro for evaluation in evaluations),
        t_interval(row.score for row in rows),
        t_interval(row.turns for row in rows),
        t_interval(row.invalid for row in rows),
    )


def _row(document: Mapping[str, Any]) -> CategoryResult:
    return CategoryResult(
        str(document["name"]),
        int(document["rollouts"]),
        int(document["won"]),
        float(document["score"]),
        float(document["turns"]),
        float(document["invalid"]),
        int(document["broken"]),
    )


def _result(name: str, rollouts: list[Trajectory]) -> CategoryResult:
    turns = sum(len(trajectory) for trajectory in rollouts)
    invalid = sum(not step.action_valid for trajectory in rollouts for step in trajectory.steps)
    return CategoryResult(
        name,
        len(rollouts),
        sum(trajectory.won for trajectory in rollouts),
        sum(trajectory.score for trajectory in rollouts) / len(rollouts) if rollouts else 0.0,
        turns / len(rollouts) if rollouts else 0.0,
        invalid / turns if turns else 0.0,
        sum(bool(trajectory.broken) for trajectory in rollouts),
    )


def evaluate(trajectories: Iterable[Trajectory]) -> Evaluation:
    """Summarise rollouts by category and over all."""
    by_category: dict[str, list[Trajectory]] = {}
    for trajectory in trajectories:
        by_category.setdefault(trajectory.category, []).append(trajectory)
    everything = [trajectory for members in by_category.values() for trajectory in members]
    return Evaluation(
        tuple(_result(name, by_category[name]) for name in sorted(by_category)), _result("all", everything)
    )
