"""The table of ``agh eval``."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from agentgym_hindsight.baselines.evaluation.intervals import MeanInterval, t_interval
from agentgym_hindsight.baselines.evaluation.results import CategoryResult, Evaluation, over_seeds
from agentgym_hindsight.cli.shared import result_table

__all__ = ["evaluation_table"]


def evaluation_table(results: dict[str, list[Evaluation]]) -> Table:
    """One column per temperature. One seed: Wilson's intervals; several: the mean ± half of Student's interval."""
    if all(len(evaluations) == 1 for evaluations in results.values()):
        table = result_table({label: evaluations[0] for label, evaluations in results.items()})
        table.add_row("score", *(f"{evaluations[0].micro.score:.3f}" for evaluations in results.values()))
        return table
    table = Table()
    table.add_column("category")
    for label, evaluations in results.items():
        table.add_column(f"{label} ({len(evaluations)} seeds)", justify="right")
    for name in sorted(
        {row.name for evaluations in results.values() for evaluation in evaluations for row in evaluation.categories}
    ):
        table.add_row(
            name,
            *(_share(t_interval(row.success for row in _rows(evaluations, name))) for evaluations in results.values()),
        )
    table.add_section()
    summaries = [over_seeds(evaluations) for evaluations in results.values()]
    table.add_row("all (micro)", *(_share(summary.micro) for summary in summaries))
    table.add_row("mean of categories (macro)", *(_share(summary.macro) for summary in summaries))
    table.add_row("turns", *(f"{summary.turns.mean:.1f} ± {summary.turns.half:.1f}" for summary in summaries))
    table.add_row("invalid actions", *(_share(summary.invalid) for summary in summaries))
    table.add_row(
        "broken rollouts",
        *(str(sum(evaluation.micro.broken for evaluation in evaluations)) for evaluations in results.values()),
    )
    table.add_row("score", *(f"{summary.score.mean:.3f} ± {summary.score.half:.3f}" for summary in summaries))
    return table


def _rows(evaluations: Sequence[Evaluation], name: str) -> list[CategoryResult]:
    return [row for evaluation in evaluations for row in evaluation.categories if row.name == name]


def _share(interval: MeanInterval) -> str:
    return f"{interval.mean:.1%} ± {interval.half:.1%}"
