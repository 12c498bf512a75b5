"""One self-contained file with the pages of rollouts: it loads no other file, and its script is fixed by a hash."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from agentgym_hindsight.atomic import atomic_file
from agentgym_hindsight.baselines.report.scales import figure
from agentgym_hindsight.markup import Html, tag
from agentgym_hindsight.viewer.browse import Filter, home_html, selected_lines
from agentgym_hindsight.viewer.compare import (
    Side,
    compare_html,
    compare_position,
    compared_rollouts,
    difference_html,
    difference_position,
    sides_of,
)
from agentgym_hindsight.viewer.layout import chip, help_dialog, link, script, short, style, table
from agentgym_hindsight.viewer.links import ExportLinks
from agentgym_hindsight.viewer.rollout_page import head_html, rollout_position, timeline_html
from agentgym_hindsight.viewer.rollouts import read_rollout, read_siblings
from agentgym_hindsight.viewer.sources import Source, Sources
from agentgym_hindsight.viewer.task_page import task_html, task_position
from agentgym_hindsight.viewer.task_view import TaskView
from agentgym_hindsight.viewer.turn_html import turn_html

__all__ = ["Exported", "export_page", "is_export"]

_GENERATOR = "agentgym-hindsight view"


@dataclass(frozen=True, slots=True)
class Exported:
    """What an exported file has: rollouts, those that were left out, and its bytes."""

    rollouts: int
    left_out: int
    size: int


def is_export(path: Path) -> bool:
    """Whether the file is a page of :func:`export_page`."""
    with path.open("rb") as file:
        head = file.read(2000).decode("utf-8", "replace")
    return head.startswith("<!doctype html>") and f'content="{_GENERATOR}"' in head


def export_page(sources: Sources, out: Path, most: int = 200) -> Exported:
    """Write the first ``most`` rollouts of the sources, whole tasks first, into one file.

    Of two sources, or of one source with two policies, it has their comparison, over all of their rollouts. Two sources
    have half of the room each, or more if the other needs less.
    """
    found = sources.find()
    sides = [Side(source) for source in found] if len(found) == 2 else sides_of(found)
    compared = (sides[0], sides[1]) if len(sides) == 2 else None
    lines = [selected_lines(source, Filter(), most) for source in found]
    if len(lines) == 2:  # a long first file leaves room for the second
        lines[0] = lines[0][: max(most - most // 2, most - len(lines[1]))]
    chosen = [(source, line) for source, own in zip(found, lines, strict=True) for line in own][:most]
    total = sum(int(source.rows("SELECT count(*) FROM rollout")[0][0]) for source in found if source.index is not None)
    numbers = {(source.slug, line): number for number, (source, line) in enumerate(chosen, 1)}
    tasks: dict[tuple[str, int, str], Source] = {}
    for source, line in chosen:
        update, task = source.rows("SELECT update_, task FROM rollout WHERE line = ?", [line])[0]
        tasks.setdefault((source.slug, int(update), str(task)), source)
    pairs = _pairs(*compared, numbers) if compared else None
    differences = None if pairs is None else {pair: number for number, pair in enumerate(pairs, 1)}
    links = ExportLinks(numbers, {key: number for number, key in enumerate(tasks, 1)}, differences)
    style_text, script_text = style(), script()
    digest = b64encode(sha256(script_text.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'"
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name_="generator", content=_GENERATOR),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("title", "Rollouts"),
        tag("style", Html(style_text)),
    )
    with atomic_file(out) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        # Written piece by piece: hundreds of rollouts are many megabytes.
        file.write(f'<!doctype html>\n<html lang="en">{head}<body class="export"><main id="main">')
        file.write(_home(found, list(tasks), links))
        if compared:
            for section in _comparison(*compared, differences or {}, links):
                file.write(section)
        for section in _sections(tasks, numbers, links):
            file.write(section)
        footer = tag(
            "footer", tag("p", "Written by agh view. One file that loads no other files.", class_="soft"), help_dialog()
        )
        file.write(f"</main>{footer}{tag('script', Html(script_text))}</body></html>\n")
    return Exported(len(chosen), total - len(chosen), out.stat().st_size)


def _home(sources: list[Source], tasks: list[tuple[str, int, str]], links: ExportLinks) -> Html:
    by_slug = {source.slug: source for source in sources}
    rows = []
    for slug, update, task in tasks:
        siblings = by_slug[slug].rows(
            "SELECT line, outcome, goal, total FROM rollout WHERE update_ = ? AND task = ? ORDER BY line LIMIT 64",
            [update, task],
        )
        chips = [link(links.rollout(slug, int(line)), chip(str(outcome))) for line, outcome, _, _ in siblings]
        mean = sum(float(total) for *_, total in siblings) / max(len(siblings), 1)
        rows.append(
            [
                link(links.task(slug, task, update), short(str(siblings[0][2]) or task, 110)),
                short(by_slug[slug].name, 40),
                str(update) if update >= 0 else "",
                tag("span", *chips, class_="chips"),
                figure(mean),
            ]
        )
    head = ["task", "run or file", "update", "rollouts", "mean return"]
    listed = table(head, rows, class_="list", name="Tasks")
    address = links.compare()
    compared = tag("p", link(address, "Compare the two on the same tasks"), class_="callout") if address else ""
    return tag("section", home_html(sources, links), compared, tag("h2", "Tasks"), listed, id="home")


def _pairs(first: Side, second: Side, numbers: Mapping[tuple[str, int], int]) -> list[tuple[str, str]]:
    """The names of the rollouts side by side: one pair a task of both, if both rollouts are in the file."""
    return [
        (f"{first.source.slug}:{one}", f"{second.source.slug}:{other}")
        for one, other in compared_rollouts(first, second)
        if (first.source.slug, one) in numbers and (second.source.slug, other) in numbers
    ]


def _comparison(
    first: Side, second: Side, differences: Mapping[tuple[str, str], int], links: ExportLinks
) -> Iterator[Html]:
    position = compare_position(first, second, links)
    yield tag("section", position, compare_html(first, second, links), id="compare")
    for (one, other), number in differences.items():
        rollouts = [
            read_rollout(side.source, int(name.rpartition(":")[2])) for side, name in ((first, one), (second, other))
        ]
        if rollouts[0] is not None and rollouts[1] is not None:
            pair = rollouts[0], rollouts[1]
            shown = difference_html(*pair, links, whole=True)
            yield tag("section", difference_position(*pair, links), shown, id=f"difference-{number}")


def _sections(
    tasks: dict[tuple[str, int, str], Source], numbers: dict[tuple[str, int], int], links: ExportLinks
) -> Iterator[Html]:
    for number, ((slug, update, task), source) in enumerate(tasks.items(), 1):
        read = read_siblings(source, task, update)
        view = TaskView(read) if read else None
        if view is not None:
            yield tag("section", task_position(view, links), task_html(view, links), id=f"task-{number}")
        for line in [
            int(each)
            for (each,) in source.rows(
                "SELECT line FROM rollout WHERE update_ = ? AND task = ? ORDER BY line", [update, task]
            )
        ]:
            if (slug, line) in numbers:
                yield _rollout(view, source, line, numbers[slug, line], links)


def _rollout(view: TaskView | None, source: Source, line: int, number: int, links: ExportLinks) -> Html:
    if view is None or not any(each.line == line for each in view.rollouts):  # a damaged line, or beyond the limit
        rollout = read_rollout(source, line)
        if rollout is None:
            return Html("")
        view = TaskView([rollout])
    member = view.member(line)
    steps = view.rollouts[member].trajectory.steps
    turns = [
        tag("div", turn_html(view, member, place, links), id=f"rollout-{number}-turn-{place + 1}")
        for place in range(len(steps))
    ]
    body = tag("div", timeline_html(view, member, links), tag("div", *turns, class_="detail"), class_="columns")
    position = rollout_position(view.rollouts[member], links)
    empty = "" if steps else tag("p", "This rollout has no turn.", id=f"rollout-{number}-turn-1")
    return tag("section", position, head_html(view, member, links), body, empty, id=f"rollout-{number}")
