"""The sections of the page about training: curves, categories, rollouts and settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agentgym_hindsight.baselines.evaluation.results import CategoryResult
from agentgym_hindsight.baselines.report.bars import Bar, bar_chart
from agentgym_hindsight.baselines.report.curves import Trace, colour_class, curve_chart
from agentgym_hindsight.baselines.report.lines import Line, evaluated, flat, kinds_of
from agentgym_hindsight.baselines.report.rollouts import chosen_samples, rollout_html
from agentgym_hindsight.baselines.report.scales import percent
from agentgym_hindsight.baselines.report.series import METRICS, evaluation_traces, metric_traces
from agentgym_hindsight.baselines.report.statistics import share_of
from agentgym_hindsight.markup import Html, join, tag

__all__ = ["card", "categories", "curves", "legend", "provenance", "rollouts", "section"]

_AXES = (("turns", "env turns"), ("update", "updates"))


def section(name: str, title: str, *content: Html, note: str = "") -> Html:
    """A section with a heading; empty if it has no content."""
    if not any(content):
        return Html("")
    return tag("section", tag("h2", title), tag("p", note, class_="soft") if note else "", *content, id=name)


def card(title: str, note: str, *content: Html) -> Html:
    """One chart with its title and a note."""
    return tag("figure", tag("figcaption", tag("b", title), tag("span", note, class_="soft")), *content)


def legend(lines: Sequence[Line]) -> Html:
    """The colours of the lines."""
    items = [
        tag("li", tag("i", class_=f"dot {colour_class(line.colour)}"), f"{line.name} ({_seeds(line)})")
        for line in lines
    ]
    return tag("ul", *items, class_="legend")


def _seeds(line: Line) -> str:
    return f"{len(line.runs)} seeds" if len(line.runs) > 1 else "1 seed"


def curves(lines: Sequence[Line]) -> Html:
    """All curves over env turns and over updates."""
    kinds = kinds_of([run for line in lines for run in line.runs])
    views = []
    for axis, x_label in _AXES:
        cards = []
        for split, label in kinds:
            title = f"Success in evaluation: {' · '.join(filter(None, (label, split)))}"
            traces = evaluation_traces(lines, (split, label), axis)
            cards.append(_curve(title, "Held-out games, micro.", traces, x_label, True))
        for metric in METRICS:
            traces = metric_traces(lines, metric.key, axis, metric.share)
            cards.append(_curve(metric.title, metric.note, traces, x_label, metric.share))
        if any(cards):
            grid = tag("div", *cards, class_="grid-of-cards")
            views.append(tag("div", tag("h3", f"Over {x_label}"), grid, class_="view", data_view=f"over {x_label}"))
    return section(
        "curves",
        "Training",
        *([legend(lines), tag("div", *views, class_="views")] if views else []),
        note="Mean over seeds; the band is its 95 % t interval (none for a single seed). Dashed: some seeds have "
        "fewer updates. Seeds are matched by update; over env turns a point is at the mean of their turns.",
    )


def _curve(title: str, note: str, traces: Sequence[Trace], x_label: str, share: bool) -> Html:
    return card(title, note, curve_chart(title, traces, x_label, share)) if traces else Html("")


def categories(lines: Sequence[Line]) -> Html:
    """Success by category in the last evaluation."""
    cards = []
    for kind in kinds_of([run for line in lines for run in line.runs]):
        bars: dict[str, list[Bar]] = {}
        for line in lines:
            rows: dict[str, list[CategoryResult]] = {}
            for run in line.runs:
                for _, _, result in evaluated(run, kind)[-1:]:
                    for row in result.categories:
                        rows.setdefault(row.name, []).append(row)
            for name, members in rows.items():
                note = f"n={members[0].rollouts}" + (f"×{len(members)}" if len(members) > 1 else "")
                bars.setdefault(name, []).append(Bar(line.name, line.colour, share_of(members), note))
        if bars:
            title = " · ".join(filter(None, kind[::-1]))
            chart = bar_chart(f"Success by category: {title}", sorted(bars.items()), 0.0, 1.0, percent)
            cards.append(card(title, "", chart))
    return section(
        "categories",
        "Success by category, last evaluation",
        *([legend(lines), tag("div", *cards, class_="grid-of-cards")] if cards else []),
        note="Whiskers: 95 % t interval over seeds, or Wilson's interval over the games of a single seed.",
    )


def rollouts(lines: Sequence[Line]) -> Html:
    """Sample rollouts of each line, from its first seed that has some."""
    items = []
    for line in lines:
        run = next((run for run in line.runs if run.samples), None)
        if run is not None:
            items.append(tag("h3", f"{line.name}, seed {run.seed}"))
            items += [rollout_html(sample) for sample in chosen_samples(run)]
    key = tag(
        "p",
        *(tag("span", f" {word} ", class_=f"w {shade}") for word, shade in _KEY),
        " Touch or point at a token for its weight and gap.",
        class_="soft key",
    )
    return section(
        "rollouts",
        "Rollouts with token weights",
        *([key, *items] if items else []),
        note="One rollout that won and one that lost, of the first and of the last recorded update. The weight "
        "multiplies the turn's advantage. It is not 1 where the teacher, whose context has hindsight, gives the token "
        "another probability than the policy.",
    )


_KEY = (("far below 1", "down5"), ("below", "down2"), ("1", ""), ("above", "up2"), ("far above 1", "up5"))


def provenance(lines: Sequence[Line]) -> Html:
    """Settings, commands and versions, in closed details elements."""
    folds = []
    for line in lines:
        first = line.first
        world = f"{first.env}, {first.backend}" + (" (embedded: not the benchmark's games)" if first.embedded else "")
        model = first.description.get("model")
        facts = {"env": world, "model": model if isinstance(model, str) else first.model}
        facts.update({f"model.{key}": value for key, value in flat(model).items()} if isinstance(model, dict) else {})
        versions = first.description.get("versions")
        facts.update(
            {f"version.{key}": value for key, value in flat(versions).items()} if isinstance(versions, dict) else {}
        )
        runs = [
            tag(
                "li",
                tag("b", f"seed {run.seed}"),
                f" {run.folder.name}, started {run.description.get('started', 'unknown')}, {len(run.metrics)} updates",
                tag("pre", run.description.get("command", "command not recorded")),
            )
            for run in line.runs
        ]
        settings = {key: value for key, value in flat(first.settings).items() if key != "seed"}
        folds.append(
            tag(
                "details",
                tag("summary", tag("b", line.name), tag("span", world, class_="soft")),
                _facts(facts),
                tag("h4", "Settings"),
                _facts(settings),
                tag("h4", "Runs"),
                tag("ul", *runs),
            )
        )
    return section("provenance", "Settings and provenance", join(folds))


def _facts(facts: Mapping[str, object]) -> Html:
    if not facts:
        return tag("p", "none recorded", class_="soft")
    return tag("dl", *(tag("div", tag("dt", key), tag("dd", value)) for key, value in facts.items()))
