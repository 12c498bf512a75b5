"""The main results as a table, for the page and for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agentgym_hindsight.baselines.report.curves import colour_class
from agentgym_hindsight.baselines.report.headline import HeadlineRow, Side
from agentgym_hindsight.baselines.report.layout import wide_table
from agentgym_hindsight.baselines.report.scales import figure
from agentgym_hindsight.baselines.report.statistics import Estimate, mean
from agentgym_hindsight.markup import Html, tag

__all__ = ["COLUMNS", "cells", "headline_table", "interval"]

COLUMNS = (
    "before",
    "after RL",
    "change",
    "macro %",
    "score",
    "turns",
    "invalid %",
    "games × seeds",
    "updates",
    "env turns",
)


def interval(value: Estimate | None) -> str:
    """A share with its interval, in percent.

    >>> interval(Estimate(0.5, 0.4, 0.6)), interval(Estimate(0.5)), interval(None)
    ('50.0% [40.0, 60.0]', '50.0%', '–')
    """
    if value is None:
        return "–"
    if value.low is None or value.high is None:
        return f"{_percent_number(value.value)}%"
    return f"{_percent_number(value.value)}% [{_percent_number(value.low)}, {_percent_number(value.high)}]"


def _percent_number(share: float) -> str:
    return f"{100 * share:.1f}".replace("-", "−")


def cells(row: HeadlineRow) -> tuple[str, ...]:
    """The texts under :data:`COLUMNS`. Macro, score, turns and invalid are given as before → after."""
    before, after = row.before, row.after
    change = "–"
    if row.change is not None:
        sign = "+" if row.change.value >= 0 else ""
        change = f"{sign}{_percent_number(row.change.value)} pp"
        if row.change.low is not None and row.change.high is not None:
            change += f" [{_percent_number(row.change.low)}, {_percent_number(row.change.high)}]"
    side = after or before
    updates = "–" if after is None else "–".join(str(update) for update in dict.fromkeys(after.updates))
    return (
        interval(before.success if before else None),
        interval(after.success if after else None),
        change,
        _before_after(before, after, lambda side: _percent_number(side.macro.value)),
        _before_after(before, after, lambda side: f"{side.score:.3f}"),
        _before_after(before, after, lambda side: f"{side.turns:.1f}"),
        _before_after(before, after, lambda side: _percent_number(side.invalid)),
        "–" if side is None else f"{side.games} × {side.seeds}",
        updates,
        figure(row.env_turns),
    )


def _before_after(before: Side | None, after: Side | None, write: Callable[[Side], str]) -> str:
    texts = ["–" if side is None else write(side) for side in (before, after)]
    return " → ".join(texts) if any(text != "–" for text in texts) else "–"


def headline_table(rows: Sequence[HeadlineRow]) -> Html:
    """The table of the page, with one body for each kind of evaluation."""
    kinds = dict.fromkeys((row.split, row.label) for row in rows)
    # If all lines are embedded, a note above the table states it. If only some are, the table marks them.
    mixed = len({row.line.embedded for row in rows}) > 1
    bodies = []
    for split, label in kinds:
        members = [row for row in rows if (row.split, row.label) == (split, label)]
        head = tag(
            "tr", tag("th", " · ".join(filter(None, (label, split))), colspan=len(COLUMNS) + 1, scope="rowgroup")
        )
        bodies.append(tag("tbody", head, *(_row(row, mixed) for row in members)))
    header = tag("tr", tag("th", "recipe", scope="col"), *(tag("th", name, scope="col") for name in COLUMNS))
    return wide_table(tag("thead", header), *bodies)


#: Why there is no success before, none after, and no change.
_MISSING = ("not evaluated before", "not evaluated after", "needs both")


def _row(row: HeadlineRow, mixed: bool) -> Html:
    name = tag(
        "th",
        tag("i", class_=f"dot {colour_class(row.line.colour)}"),
        row.line.name,
        tag("span", "embedded", class_="chip", title="not the benchmark's games")
        if mixed and row.line.embedded
        else "",
        scope="row",
    )
    texts = cells(row)
    if row.before is None and row.after is None:
        reason = tag("td", _without_evaluation(row), colspan=len(COLUMNS) - 1, class_="soft reason")
        return tag("tr", name, reason, tag("td", texts[-1]))
    columns = []
    for column, text in enumerate(texts):
        missing = text == "–"
        shown = _MISSING[column] if missing and column < len(_MISSING) else text
        columns.append(tag("td", shown, class_="soft" if missing else "strong" if column < 3 else None))
    return tag("tr", name, *columns)


def _without_evaluation(row: HeadlineRow) -> str:
    """Why the row has no results, and the success in training, which is recorded in any case."""
    training = [value for run in row.line.runs for value in run.tail("success")]
    success = f"; success in training, last five updates: {100 * mean(training):.1f}%" if training else ""
    return f"No evaluation recorded in eval.jsonl{success}"
