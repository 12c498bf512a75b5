"""The sections of the page about categories, rollouts and settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from agentgym_hindsight.baselines.evaluation.results import CategoryResult
from agentgym_hindsight.baselines.report.bars import Bar, bar_chart
from agentgym_hindsight.baselines.report.layout import card, grid, legend, section
from agentgym_hindsight.baselines.report.lines import Line, evaluated, flat, kinds_of
from agentgym_hindsight.baselines.report.rollouts import chosen_samples, colour_key, colour_scale, rollout_html
from agentgym_hindsight.baselines.report.scales import percent
from agentgym_hindsight.baselines.report.statistics import share_of
from agentgym_hindsight.baselines.report.viewer_links import rollout_path, view_command
from agentgym_hindsight.markup import Html, join, tag

__all__ = ["categories", "provenance", "rollouts"]


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
        *([legend(lines, "Linear from 0% to 100%."), grid(cards)] if cards else []),
        note="Whiskers: 95 % t interval over seeds, or Wilson's interval over the games of a single seed.",
    )


def rollouts(lines: Sequence[Line]) -> Html:
    """Sample rollouts of each line, from its first seed that has some. All have one scale of colours."""
    shown = []
    for line in lines:
        run = next((run for run in line.runs if run.samples), None)
        if run is not None:
            shown.append((f"{line.name}, seed {run.seed}", run.folder, chosen_samples(run)))
    scale = colour_scale([sample for _, _, samples in shown for sample in samples])
    items = []
    for name, folder, samples in shown:
        command = tag("p", "Every recorded turn: ", tag("code", view_command(folder)), class_="soft")
        found = [rollout_html(sample, scale, _address(folder, sample)) for sample in samples]
        items += [tag("h3", name), command, *found]
    return section(
        "rollouts",
        "Rollouts with token weights",
        *([colour_key(scale), *items] if items else []),
        note="One rollout that won and one that lost, of the first and of the last recorded update. The weight "
        "multiplies the turn's advantage. It is not 1 where the teacher, whose context has hindsight, gives the token "
        "another probability than the policy.",
    )


def _address(folder: Path, sample: Mapping[str, object]) -> str:
    """The permanent link of a sample in the viewer; "" if its line is unknown."""
    line = sample.get("line")
    return rollout_path(folder, line) if isinstance(line, int) else ""


#: More settings than any run has; a page of more would not open.
_MOST_FACTS = 400


def provenance(lines: Sequence[Line]) -> Html:
    """Settings, commands and versions, in closed details elements."""
    folds = []
    for line in lines:
        first = line.first
        world = f"{first.env}, {first.backend}" + (" (embedded: not the benchmark's games)" if first.embedded else "")
        model = first.description.get("model")
        facts: dict[str, object] = {"env": world, "model": model if isinstance(model, str) else first.model}
        facts.update({f"model.{key}": value for key, value in flat(model).items()} if isinstance(model, dict) else {})
        versions = first.description.get("versions")
        facts.update(
            {f"version.{key}": value for key, value in flat(versions).items()} if isinstance(versions, dict) else {}
        )
        runs = [
            tag(
                "li",
                tag("b", f"seed {run.seed}"),
                f" {run.folder.name}, started {_short(run.description.get('started', 'unknown'), 40)}, "
                f"{len(run.metrics)} updates",
                tag("pre", _short(run.description.get("command", "command not recorded"), 4000)),
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
    shown = list(facts.items())[:_MOST_FACTS]
    items = [tag("div", tag("dt", _short(key, 100)), tag("dd", _short(value, 1000))) for key, value in shown]
    more = tag("p", f"… {len(facts) - len(shown)} more", class_="soft") if len(shown) < len(facts) else ""
    return join([tag("dl", *items), more])


def _short(value: object, limit: int) -> str:
    text = str(value)
    return text if len(text) <= limit else f"{text[:limit]}…"
