"""The tables of ``agh audit`` in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite

from agentgym_hindsight.baselines.audit.summary import Figure, Score, Summary
from agentgym_hindsight.cli.tables import Grid
from agentgym_hindsight.cli.terminal import SafeConsole

__all__ = ["print_scores", "print_summary"]


def print_summary(out: SafeConsole, summary: Summary, sizes: Mapping[str, Mapping[int, float]]) -> None:
    """The facts about the truth, and the table of scores."""
    out.print(
        f"{summary.turns} turns of {summary.tasks} tasks, ± {summary.half_width:.3f} on average with "
        f"{summary.pairs:.0f} continuations; sign certain: {summary.signed}; reliability {summary.reliability:.2f}",
        soft_wrap=True,
    )
    print_scores(out, summary.scores, summary.reference)
    columns = sorted({size for values in sizes.values() for size in values})
    rows = [[name, *(_number(values.get(size, float("nan"))) for size in columns)] for name, values in sizes.items()]
    Grid("Spearman by group size", ["credit", *map(str, columns)], rows, text_columns=1).print(out)


def print_scores(out: SafeConsole, scores: Sequence[Score], reference: str) -> None:
    """One row for each column of the audit."""
    head = ["says", "Spearman", f"minus {reference}", "signs", "explained", "most critical", "tokens"]
    rows = [
        [
            each.name,
            _figure(each.spearman),
            "" if each.name == reference else _figure(each.difference, sign=True),
            _percent(each.signs.value),
            _percent(each.explained.value),
            _percent(each.critical.value),
            f"{each.tokens:.0f}",
        ]
        for each in scores
    ]
    Grid("Agreement with the true advantage", head, rows, text_columns=1).print(out)


def _figure(figure: Figure, *, sign: bool = False) -> str:
    if not isfinite(figure.value):
        return "–"
    plus = "+" if sign else ""
    value = f"{figure.value:{plus}.2f}"
    return f"{value} [{figure.low:{plus}.2f}, {figure.high:{plus}.2f}]" if isfinite(figure.low) else value


def _percent(value: float) -> str:
    return f"{100 * value:.0f}%" if isfinite(value) else "–"


def _number(value: float) -> str:
    return f"{value:.2f}" if isfinite(value) else "–"
