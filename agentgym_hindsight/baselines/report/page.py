"""The report: reads run folders and writes one self-contained HTML file."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from agentgym_hindsight.baselines.report.collapse import CollapseWarning, collapse_warnings
from agentgym_hindsight.baselines.report.headline import HeadlineRow, headline
from agentgym_hindsight.baselines.report.layout import section
from agentgym_hindsight.baselines.report.lines import Line, group_runs
from agentgym_hindsight.baselines.report.mechanics import time, weights
from agentgym_hindsight.baselines.report.result_tables import headline_table
from agentgym_hindsight.baselines.report.runs import Problem, read_runs
from agentgym_hindsight.baselines.report.sections import categories, provenance, rollouts
from agentgym_hindsight.baselines.report.training_curves import curves
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.markup import Html, tag

__all__ = ["Report", "is_report", "render", "write_report"]

_GENERATOR = "agentgym-hindsight"


@dataclass(frozen=True, slots=True)
class Report:
    """The content of the page as values."""

    out: Path
    lines: tuple[Line, ...]
    rows: tuple[HeadlineRow, ...]
    warnings: tuple[CollapseWarning, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def write_report(runs: Sequence[Path], out: Path, title: str = "Training report") -> Report:
    """Read run folders, or folders that contain them at any depth, and write one self-contained page to ``out``."""
    if not runs:
        raise UsageError("Expected at least one run folder, got none; try `agh report RUN`.")
    if out.is_dir():
        raise UsageError(f"Expected a file to write, got the folder {out}; try --out {out / 'report.html'}.")
    loaded, problems = read_runs([Path(run) for run in runs])
    lines = group_runs(loaded)
    warnings = tuple(warning for line in lines for warning in collapse_warnings(line))
    report = Report(out, lines, headline(lines), warnings, problems, _notes(lines))
    page = render(report, title)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page, encoding="utf-8", newline="\n")
    return report


def is_report(path: Path) -> bool:
    """Whether the file is a page that :func:`write_report` wrote."""
    with path.open("rb") as file:
        head = file.read(2000).decode("utf-8", "replace")
    # Older pages do not name their generator; they begin with the same security policy.
    return head.startswith("<!doctype html>") and (
        f'content="{_GENERATOR}"' in head or "script-src &#x27;sha256-" in head or "script-src 'sha256-" in head
    )


def _notes(lines: Sequence[Line]) -> tuple[str, ...]:
    """Warnings about figures that cannot be compared."""
    notes = []
    worlds = sorted({f"{line.first.env} ({line.first.backend})" for line in lines if line.embedded})
    if worlds:
        notes.append(
            f"Played in embedded worlds, not the benchmark's games: {', '.join(worlds)}. These figures compare recipes "
            "with each other. They cannot be compared with published figures."
        )
    for line in lines:
        seeds = [run.seed for run in line.runs]
        repeated = sorted({seed for seed in seeds if seeds.count(seed) > 1})
        if repeated:
            notes.append(f"{line.name} has seed {', '.join(repeated)} more than once, so its interval is too narrow.")
    panels: dict[tuple[str, str], set[str]] = {}
    for measured in (measured for line in lines for run in line.runs for measured in run.evaluations):
        panels.setdefault((measured.split, measured.label), set()).add(measured.panel)
    for (split, label), different in sorted(panels.items()):
        if len(different) > 1:
            what = " on ".join(filter(None, (label, split)))
            notes.append(f"The runs were evaluated ({what}) on {len(different)} different panels of games.")
    return tuple(notes)


def render(report: Report, title: str) -> str:
    """The page as text."""
    style, script = _text("page.css"), _text("page.js")
    # Browsers run only the script with this hash, so text of a rollout cannot run even if it is not escaped.
    script_hash = b64encode(sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{script_hash}'; "
        "base-uri 'none'; form-action 'none'"
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name_="generator", content=_GENERATOR),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", Html(style)),
    )
    sections = [
        _warnings(report.warnings),
        section(
            "results",
            "Before and after",
            headline_table(report.rows),
            note="Success (micro) with its 95 % interval: Student's t over seeds, or Wilson's over the games of a "
            "single seed. Macro, score, turns and invalid actions: before → after. pp: percentage points.",
        ),
        curves(report.lines),
        categories(report.lines),
        weights(report.lines),
        time(report.lines),
        rollouts(report.lines),
        provenance(report.lines),
        _problems(report.problems),
    ]
    runs = sum(len(line.runs) for line in report.lines)
    summary = (
        f"{runs} {'runs' if runs > 1 else 'run'}, {len(report.lines)} {'lines' if len(report.lines) > 1 else 'line'}"
    )
    body = tag(
        "body",
        tag("header", tag("h1", title), tag("p", summary, class_="soft")),
        tag("main", *(tag("p", note, class_="note") for note in report.notes), *sections),
        tag("footer", "Written by agh report. One file that loads no other files.", class_="soft"),
        tag("script", Html(script)),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _text(name: str) -> str:
    return (files("agentgym_hindsight.baselines.report") / name).read_text(encoding="utf-8")


def _warnings(warnings: Sequence[CollapseWarning]) -> Html:
    if not warnings:
        return Html("")
    items = [tag("li", tag("b", f"{warning.line}, seed {warning.seed}: "), warning.sentence) for warning in warnings]
    return tag("section", tag("h2", "Signs of collapse"), tag("ul", *items), id="warnings")


def _problems(problems: Sequence[Problem]) -> Html:
    if not problems:
        return Html("")
    summary = f"{len(problems)} {'items' if len(problems) > 1 else 'item'} could not be read"
    listed = tag("details", tag("summary", summary), tag("ul", *(tag("li", problem) for problem in problems[:200])))
    return section("problems", "Skipped", listed, note="A killed run may leave an incomplete last line.")
