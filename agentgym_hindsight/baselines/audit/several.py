"""Several audits side by side: policies at several stages of training, or several worlds, as tables and one page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from agentgym_hindsight.baselines.audit.forest import Line, forest_plot
from agentgym_hindsight.baselines.audit.page import interval_text, kind_of, number_text, page_of, table_of_texts
from agentgym_hindsight.baselines.audit.summary import Score, Summary
from agentgym_hindsight.baselines.report.layout import card, grid, section
from agentgym_hindsight.markup import Html

__all__ = ["NamedAudit", "TextTable", "audit_tables", "charts_of", "render_several"]

Sizes = Mapping[str, Mapping[int, float]]


@dataclass(frozen=True, slots=True)
class NamedAudit:
    """An audit and its name in the tables. ``sizes``: Spearman by group size, of credits without a model."""

    name: str
    summary: Summary
    sizes: Sizes


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table of texts with the names of rows in the first column."""

    name: str
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def audit_tables(audits: Sequence[NamedAudit]) -> list[TextTable]:
    """The facts of the audits, the agreement of all columns, and one table of group sizes for each audit."""
    several = len(audits) > 1
    facts: tuple[tuple[str, Callable[[Summary], str]], ...] = (
        ("audited turns, tasks", lambda s: f"{s.turns}, {s.tasks}"),
        ("half-width of the 95 % interval, mean", lambda s: f"{s.half_width:.3f}"),
        ("pairs of continuations of a turn, mean", lambda s: f"{s.pairs:.0f}"),
        ("turns whose sign is certain", lambda s: str(s.signed)),
        ("reliability of the truth", lambda s: f"{s.reliability:.2f}"),
        ("most critical turn by chance", lambda s: _percent(s.chance)),
    )
    tables = [
        TextTable(
            "facts",
            "The audits",
            ("", *(each.name for each in audits)),
            tuple((title, *(text(each.summary) for each in audits)) for title, text in facts),
        )
    ]
    head = ["says"]
    for each in audits:
        before = f"{each.name}: " if several else ""
        head += [f"{before}Spearman", f"minus {each.summary.reference}", "same sign", "most critical"]
    rows = tuple((name, *(cell for each in audits for cell in _cells(each, name))) for name in _names(audits))
    tables.append(
        TextTable(
            "agreement",
            "Agreement with the true advantage",
            (*head, "tokens"),
            tuple((*row, _tokens(audits, row[0])) for row in rows),
            "95 % intervals: bootstrap over tasks. Differences are paired.",
        )
    )
    for number, each in enumerate(audits):
        columns = sorted({size for values in each.sizes.values() for size in values})
        if columns:
            tables.append(
                TextTable(
                    f"sizes-{number}",
                    f"By group size{f': {each.name}' if several else ''}",
                    ("credit", *map(str, columns)),
                    tuple(
                        (name, *(number_text(values.get(size, float("nan"))) for size in columns))
                        for name, values in each.sizes.items()
                    ),
                    "Spearman if only some rollouts of a group are known: the mean over random subgroups.",
                )
            )
    return tables


def charts_of(audits: Sequence[NamedAudit]) -> dict[str, Html]:
    """A forest plot for each audit, by a name that suits a file."""
    charts = {}
    for number, each in enumerate(audits):
        lines = [
            Line(score.name, score.spearman.value, score.spearman.low, score.spearman.high, kind_of(score))
            for score in each.summary.scores
        ]
        safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in each.name).strip(".")
        name = f"forest-{safe or number}"
        while name in charts:  # other names may have lost the letters that a file name cannot have
            name += f"-{number}"
        charts[name] = forest_plot(f"Spearman, {each.name}", lines)
    return charts


def render_several(audits: Sequence[NamedAudit], title: str) -> str:
    """The page as text."""
    parts = [
        section(table.name, table.title, table_of_texts(table.head, table.rows), note=table.note)
        for table in audit_tables(audits)
    ]
    cards = [
        card(each.name, " Spearman, 95 % intervals", chart)
        for each, chart in zip(audits, charts_of(audits).values(), strict=True)
    ]
    parts.insert(2, section("forest", "Forest plots", grid(cards)))
    return page_of(title, "Written by agh audit page. One file that loads no other files.", parts)


def _names(audits: Sequence[NamedAudit]) -> list[str]:
    """All columns, by their mean correlation over the audits that have them."""
    found: dict[str, list[float]] = {}
    for each in audits:
        for score in each.summary.scores:
            found.setdefault(score.name, []).append(score.spearman.value)

    def mean(name: str) -> float:
        known = [value for value in found[name] if isfinite(value)]
        return sum(known) / len(known) if known else -2.0

    return sorted(found, key=mean, reverse=True)


def _score(audit: NamedAudit, name: str) -> Score | None:
    return next((score for score in audit.summary.scores if score.name == name), None)


def _cells(audit: NamedAudit, name: str) -> tuple[str, str, str, str]:
    score = _score(audit, name)
    if score is None:
        return "–", "", "", ""
    return (
        interval_text(score.spearman),
        "" if name == audit.summary.reference else interval_text(score.difference),
        _percent(score.signs.value),
        _percent(score.critical.value),
    )


def _tokens(audits: Sequence[NamedAudit], name: str) -> str:
    return next(f"{score.tokens:.0f}" for each in audits if (score := _score(each, name)) is not None)


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %" if isfinite(value) else "–"
