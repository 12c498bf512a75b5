"""The page of an audit: one HTML file that loads nothing, in the style of the training report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from math import isfinite
from pathlib import Path

import numpy as np

from agentgym_hindsight.atomic import write_text
from agentgym_hindsight.baselines.audit.forest import Line, forest_plot
from agentgym_hindsight.baselines.audit.summary import Figure, Score, Summary
from agentgym_hindsight.baselines.audit.turn_table import SAYS, TurnTable
from agentgym_hindsight.baselines.methods.rows import Array
from agentgym_hindsight.baselines.report.layout import card, grid, section, wide_table
from agentgym_hindsight.markup import Html, tag

__all__ = [
    "forest_charts",
    "interval_text",
    "is_audit_page",
    "kind_of",
    "number_text",
    "page_of",
    "render_page",
    "table_of_texts",
    "write_page",
]

_GENERATOR = "agentgym-hindsight audit"
_SHOWN_TURNS = 10
_PARTS = ("first third", "middle third", "last third", "won", "lost")


def write_page(
    out: Path,
    table: TurnTable,
    summary: Summary,
    sizes: Mapping[str, Mapping[int, float]],
    title: str,
    about: Sequence[tuple[str, str]] = (),
) -> None:
    """Write the page of an audit."""
    write_text(out, render_page(table, summary, sizes, title, about))


def is_audit_page(path: Path) -> bool:
    """Whether the file is a page of an audit."""
    with path.open("rb") as file:
        head = file.read(2000).decode("utf-8", "replace")
    return head.startswith("<!doctype html>") and f'content="{_GENERATOR}"' in head


def render_page(
    table: TurnTable,
    summary: Summary,
    sizes: Mapping[str, Mapping[int, float]],
    title: str,
    about: Sequence[tuple[str, str]] = (),
) -> str:
    """The page as text."""
    facts = (
        f"{summary.turns} turns of {summary.tasks} tasks. Mean half-width of the truth's 95 % interval: "
        f"{summary.half_width:.3f}, from {summary.pairs:.0f} continuations before and after each action on average. "
        f"The sign is certain for {summary.signed} turns. Reliability of the truth (its two halves): "
        f"{summary.reliability:.2f}."
    )
    return page_of(
        title,
        "Written by agh audit. One file that loads no other files.",
        [
            _agreement(summary),
            _forests(summary),
            _parts(summary),
            _sizes(sizes),
            _calibration(summary),
            _turns(table, summary),
            _about(about),
        ],
        facts,
    )


def page_of(title: str, footer: str, sections: Sequence[Html], facts: str = "") -> str:
    """A page with sections, in the style of the training report."""
    style = (files("agentgym_hindsight.baselines.report") / "page.css").read_text(encoding="utf-8")
    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name_="generator", content=_GENERATOR),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", Html(style)),
    )
    soft = tag("p", facts, class_="soft") if facts else ""
    body = tag(
        "body",
        tag("header", tag("h1", title), soft),
        tag("main", *sections),
        tag("footer", footer, class_="soft"),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _agreement(summary: Summary) -> Html:
    head = (
        "",
        "turns",
        "Spearman",
        "corrected",
        f"minus {summary.reference}",
        "same sign",
        "explained variance",
        "most critical turn",
        "tokens per turn",
    )
    rows = [
        _row(
            each.name,
            (
                str(each.turns),
                interval_text(each.spearman),
                number_text(each.corrected),
                "" if each.name == summary.reference else interval_text(each.difference),
                interval_text(each.signs, percent=True),
                interval_text(each.explained, percent=True),
                interval_text(each.critical, percent=True),
                f"{each.tokens:.0f}",
            ),
        )
        for each in summary.scores
    ]
    chance = f" By chance: {100 * summary.chance:.0f} %." if isfinite(summary.chance) else ""
    return section(
        "agreement",
        "Agreement with the true advantage",
        _table(head, rows),
        note="Intervals: 95 %, bootstrap over tasks. Differences are paired: the same tasks in every resample. "
        "Corrected: Spearman divided by the root of the truth's reliability. Same sign: over turns whose sign is "
        "certain; a credit of 0 is half right. Explained variance: of the true advantages by a linear function of the "
        "number, corrected for the truth's noise. Most critical turn: how often the turn of a rollout with the largest "
        f"number is the one with the largest advantage.{chance}",
    )


def forest_charts(summary: Summary) -> dict[str, Html]:
    """The forest plots, by names that suit files."""

    def lines(figure: str) -> list[Line]:
        found = []
        for each in summary.scores:
            value: Figure = getattr(each, figure)
            found.append(Line(each.name, value.value, value.low, value.high, kind_of(each)))
        return found

    return {
        "forest": forest_plot("Spearman", lines("spearman")),
        "forest-difference": forest_plot(f"Difference to {summary.reference}", lines("difference")),
    }


def _forests(summary: Summary) -> Html:
    agreement, difference = forest_charts(summary).values()
    return section(
        "forest",
        "Forest plots",
        grid(
            [
                card("Spearman with the true advantage", " 95 % intervals", agreement),
                card(f"Difference to {summary.reference}", " paired, 95 % intervals", difference),
            ]
        ),
    )


def kind_of(score: Score) -> int:
    """A colour for credits without a model, for teachers' gaps, for weighted methods, and for judges."""
    if score.name.startswith("gap:"):
        return 1
    if score.name == "judge":
        return 3
    return 2 if score.tokens else 0


def _parts(summary: Summary) -> Html:
    rows = [_row(each.name, [number_text(each.parts.get(name, np.nan)) for name in _PARTS]) for each in summary.scores]
    return section(
        "parts",
        "By turn position and outcome",
        _table(("", *_PARTS), rows),
        note="Spearman within a part of the turns: thirds of each rollout, and rollouts that won or lost.",
    )


def _sizes(sizes: Mapping[str, Mapping[int, float]]) -> Html:
    columns = sorted({size for values in sizes.values() for size in values})
    if not columns:
        return Html("")
    rows = [_row(name, [number_text(values.get(size, np.nan)) for size in columns]) for name, values in sizes.items()]
    return section(
        "sizes",
        "By group size",
        _table(("", *(str(size) for size in columns)), rows),
        note="Spearman if only some rollouts of a group are known: the mean over random subgroups. NAME@ANCHOR: which "
        "turns share a state.",
    )


def _calibration(summary: Summary) -> Html:
    rows = []
    for each in summary.scores:
        cells = [f"{says:+.2f} → {truth:+.3f} ({count})" for says, truth, count in each.bins]
        rows.append(_row(each.name, [*cells, *([""] * (5 - len(cells)))]))
    return section(
        "calibration",
        "Calibration",
        _table(("", "lowest fifth", "2", "3", "4", "highest fifth"), rows),
        note="Turns in five parts by the number: its mean → the mean true advantage (turns). Equal numbers stay "
        "together.",
    )


def _turns(table: TurnTable, summary: Summary) -> Html:
    audited = table.where(table.audited)
    order = np.argsort(-np.abs(audited.column("advantage")), kind="stable")[:_SHOWN_TURNS]
    names = [each.name for each in summary.scores]
    spread = {name: _deviation(audited.column(SAYS + name)) for name in names}
    cards = []
    for number in order.tolist():
        row = audited.rows[number]
        outcome = "won" if row["won"] else "lost"
        distance = ""
        if row.get("distance") is not None:
            after = row.get("distance_after")
            distance = f" The expert's distance: {row['distance']} → {'no win' if after is None else after}."
        facts = (
            f"V {row['v']:.2f} → Q {row['q']:.2f}: {row['advantage']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}], "
            f"{row['pairs']} continuations. Turn {row['step'] + 1} of {row['turns']}, rollout {row['member']} "
            f"({outcome}).{distance}"
        )
        said = [
            tag("li", f"{name}: {row[SAYS + name]:+.3f}{spread[name](row[SAYS + name])}")
            for name in names
            if row.get(SAYS + name) is not None
        ]
        cards.append(
            tag(
                "article",
                tag("h3", row["action"] or "(empty action)"),
                tag("p", facts),
                tag("p", tag("b", "Goal: "), row["goal"]),
                tag("p", tag("b", "Seen: "), row["seen"], tag("br"), tag("b", "Reply: "), row["feedback"]),
                tag("details", tag("summary", "What each method said"), tag("ul", *said)),
            )
        )
    return section(
        "turns",
        "The turns that mattered most",
        *cards,
        note="The largest measured advantages. In parentheses: the number in standard deviations of its column. As "
        "the largest of many noisy values, they are larger than a second measurement would find.",
    )


def _deviation(values: Array) -> Callable[[float], str]:
    known = values[np.isfinite(values)]
    scale = float(known.std()) if len(known) else 0.0

    def text(value: float) -> str:
        return f" ({value / scale:+.1f} sd)" if scale > 0 else ""

    return text


def _about(about: Sequence[tuple[str, str]]) -> Html:
    rows = [_row(name, [value]) for name, value in about]
    return section("about", "How it was made", _table(("", ""), rows)) if rows else Html("")


def table_of_texts(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Html:
    """A table whose first column names the rows."""
    return _table(head, [_row(row[0], row[1:]) for row in rows])


def _table(head: Sequence[str], rows: Sequence[Html]) -> Html:
    header = tag("tr", *(tag("th", name, scope="col") for name in head))
    return wide_table(tag("thead", header), tag("tbody", *rows))


def _row(name: str, cells: Sequence[str]) -> Html:
    return tag("tr", tag("th", name, scope="row"), *(tag("td", cell) for cell in cells))


def interval_text(figure: Figure, *, percent: bool = False) -> str:
    """A figure with its interval."""
    scale, digits = (100, 0) if percent else (1, 2)
    if not isfinite(figure.value):
        return "–"
    unit = " %" if percent else ""
    value = f"{scale * figure.value:.{digits}f}{unit}"
    if not isfinite(figure.low) or not isfinite(figure.high):
        return value
    return f"{value} [{scale * figure.low:.{digits}f}, {scale * figure.high:.{digits}f}]"


def number_text(value: float) -> str:
    """A number with two decimals."""
    return f"{value:.2f}" if isfinite(value) else "–"
