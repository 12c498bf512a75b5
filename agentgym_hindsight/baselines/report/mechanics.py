"""The sections of the page about the method's internals: token weights, gaps by source, time and memory."""

from __future__ import annotations

from collections.abc import Sequence

from agentgym_hindsight.baselines.report.bars import Bar, Stack, bar_chart, histogram, stack_chart
from agentgym_hindsight.baselines.report.layout import card, grid, legend, section, wide_table
from agentgym_hindsight.baselines.report.lines import Line
from agentgym_hindsight.baselines.report.plausible import number
from agentgym_hindsight.baselines.report.runs import Run
from agentgym_hindsight.baselines.report.scales import figure
from agentgym_hindsight.baselines.report.statistics import Estimate, mean, values_of
from agentgym_hindsight.baselines.report.token_weights import gaps_of, histogram_of
from agentgym_hindsight.markup import Html, join, tag

__all__ = ["matching_grpo", "step_seconds", "time", "weights"]

_PARTS = ("rollout", "teacher", "update")


def weights(lines: Sequence[Line]) -> Html:
    """Histograms of the token weights at three updates, and the gap by source."""
    cards = [card(line.name, _seeds_note(line), join(charts)) for line in lines if (charts := _histograms(line))]
    with_gaps = [line for line in lines if any(map(_gap_of, line.runs))]
    gaps = _gaps(with_gaps)
    return section(
        "weights",
        "Token weights and gaps",
        grid(cards),
        *([tag("h3", "Gap by source, last five updates"), legend(with_gaps, "Linear, from 0."), gaps] if gaps else []),
        note="Share of tokens by weight at the first, the middle and the last update. Heights are logarithmic, from "
        "0.01% to 100%; the line marks weight 1.",
    )


def _seeds_note(line: Line) -> str:
    return f"{len(line.runs)} seeds together" if len(line.runs) > 1 else f"seed {line.first.seed}"


def _histograms(line: Line) -> list[Html]:
    updates = sorted({int(row["update"]) for run in line.runs for row in run.metrics if histogram_of(row)})
    shown_updates = dict.fromkeys([updates[0], updates[len(updates) // 2], updates[-1]]) if updates else {}
    charts = []
    for update in shown_updates:
        all_bins = [
            bins for run in line.runs for row in run.metrics if row["update"] == update and (bins := histogram_of(row))
        ]
        # Only seeds with equal bins can be added.
        edges = all_bins[0][0]
        equal_bins = [counts for other, counts in all_bins if other == edges]
        summed = [sum(column) for column in zip(*equal_bins, strict=True)]
        shares = [count / sum(summed) for count in summed]
        name = f"{line.name}: token weights at update {update}"
        charts.append(
            tag(
                "div",
                tag("p", f"update {update}, {figure(sum(summed))} tokens", class_="soft"),
                histogram(name, edges, shares, 1.0),
            )
        )
    return charts


def _gaps(lines: Sequence[Line]) -> Html:
    bars: dict[str, dict[int, Bar]] = {}
    for line in lines:
        means: dict[str, list[float]] = {}
        sizes: dict[str, list[float]] = {}
        rows: dict[str, float] = {}
        for run in line.runs:
            for source, (signed, size, count) in _gap_of(run).items():
                means.setdefault(source, []).append(signed)
                sizes.setdefault(source, []).append(size)
                rows[source] = rows.get(source, 0.0) + count
        for source, values in means.items():
            note = f"|{figure(mean(sizes[source]))}|, {figure(rows[source])}"
            bars.setdefault(source, {})[line.colour] = Bar(line.name, line.colour, values_of(values), note)
    if not bars:
        return Html("")
    ends = [end for group in bars.values() for bar in group.values() for end in _ends(bar.value)]
    low, high = min(0.0, *ends), max(0.0, *ends)
    groups = [(source, list(group.values())) for source, group in sorted(bars.items())]
    chart = bar_chart("Gap by source", groups, low, high if high > low else low + 1.0, figure)
    return grid([card("Signed mean", "Then |mean of absolute values| and rows.", chart)])


def _ends(value: Estimate) -> tuple[float, ...]:
    return (value.value,) if value.low is None or value.high is None else (value.value, value.low, value.high)


def _gap_of(run: Run) -> dict[str, tuple[float, float, float]]:
    """By source: signed mean, absolute mean, rows; over the last five updates that have gaps, weighted by rows."""
    by_source: dict[str, list[tuple[float, float, float]]] = {}
    for row in [row for row in run.metrics if row.get("gap_by_source")][-5:]:
        for source, gap in gaps_of(row).items():
            by_source.setdefault(source, []).append(gap)
    result = {}
    for source, gaps in by_source.items():
        rows = sum(count for _, _, count in gaps)
        if rows > 0:
            result[source] = (sum(s * n for s, _, n in gaps) / rows, sum(a * n for _, a, n in gaps) / rows, rows)
    return result


def step_seconds(line: Line) -> tuple[float, float, float] | None:
    """Seconds of rollout, teacher and update in an update. The first update is excluded, because it warms up.

    The method's questions to models count as the teacher's time.
    """
    runs = []
    for run in line.runs:
        rows = [row for row in run.metrics if any(number(row, f"seconds_{part}") is not None for part in _PARTS)]
        rows = rows[1:] or rows
        if rows:
            means = [mean([number(row, f"seconds_{part}") or 0.0 for row in rows]) for part in (*_PARTS, "ask")]
            runs.append([means[0], means[1] + means[3], means[2]])
    if not runs:
        return None
    rollout, teacher, update = (mean(column) for column in zip(*runs, strict=True))
    return rollout, teacher, update


def matching_grpo(line: Line, lines: Sequence[Line]) -> Line | None:
    """The GRPO line with the same env, backend and model, for the comparison of speed."""
    identity = (line.first.env, line.first.backend, line.first.model)
    grpo = [other for other in lines if other.recipe.casefold() == "grpo"]
    return next((o for o in grpo if (o.first.env, o.first.backend, o.first.model) == identity), None)


def time(lines: Sequence[Line]) -> Html:
    """Seconds by part, tokens and memory."""
    timed = [(line, seconds) for line in lines if (seconds := step_seconds(line)) is not None]
    if not timed:
        return Html("")
    stacks = [Stack(line.name, seconds, _ratio(line, seconds, lines)) for line, seconds in timed]
    rows = [tag("tr", tag("th", line.name, scope="row"), *_time_cells(line, lines)) for line in lines]
    head = ("", *_PARTS, "total", "÷ GRPO", "tokens/s in rollouts", "teacher tokens per update", "memory, MB (peak)")
    key = [tag("li", tag("i", class_=f"dot p{place}"), part) for place, part in enumerate(_PARTS)]
    chart = card("Seconds per update", "", stack_chart("Seconds per update", _PARTS, stacks, "s"))
    return section(
        "time",
        "Time and memory",
        tag("ul", *key, tag("li", "Linear, from 0 s.", class_="soft scale"), class_="legend"),
        grid([chart]),
        wide_table(
            tag("thead", tag("tr", *(tag("th", text, scope="col") for text in head))),
            tag("tbody", *rows),
        ),
        note="Mean seconds per update, without the first one, which warms up. The ratio is to GRPO with the same "
        "environment and model.",
    )


def _time_cells(line: Line, lines: Sequence[Line]) -> list[Html]:
    seconds = step_seconds(line)
    if seconds is None:
        return [tag("td", "no times recorded", colspan="8", class_="soft reason")]
    memory = [max(values) for run in line.runs if (values := run.tail("memory_mb", len(run.metrics)))]
    grpo = matching_grpo(line, lines)
    ratio = _ratio(line, seconds, lines).removesuffix(" GRPO")
    has_teacher = seconds[1] > 0
    texts = (
        *(figure(part) for part in seconds),
        figure(sum(seconds)),
        ratio or ("no GRPO run" if grpo is None else "1×" if grpo is line else "no times"),
        _mean_of(line, "rollout_tokens_per_second") or "not recorded",
        _mean_of(line, "teacher_tokens") or ("not recorded" if has_teacher else "no teacher"),
        f"{max(memory):,.0f}".replace(",", "\u202f") if memory else "not recorded",
    )
    return [tag("td", text) for text in texts]


def _ratio(line: Line, seconds: tuple[float, float, float], lines: Sequence[Line]) -> str:
    grpo = matching_grpo(line, lines)
    base = step_seconds(grpo) if grpo is not None and grpo is not line else None
    return f"{figure(sum(seconds) / sum(base))}× GRPO" if base and sum(base) > 0 else ""


def _mean_of(line: Line, key: str) -> str:
    values = [value for run in line.runs for value in run.tail(key, len(run.metrics))]
    return figure(mean(values)) if values else ""
