"""A chart of a page as an SVG file of its own: with the page's colours, in light and dark, and no other files."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from agentgym_hindsight.atomic import write_text
from agentgym_hindsight.markup import Html

__all__ = ["is_svg_of_audit", "svg_file", "write_charts"]

_GENERATOR = "agentgym-hindsight audit"
#: The rules of the page's style sheet for shapes, each on a line.
_SHAPES = re.compile(r"^\.(?:c\d|grid|axis|tick|mid|label|whisker|bar )[^\n]*\}$", re.MULTILINE)


def svg_file(chart: Html) -> str:
    """The chart, which must be one ``svg`` element, as the text of a file.

    The ground is that of the page, so that the chart can be read in light and dark surroundings.
    """
    css = (files("agentgym_hindsight.baselines.report") / "page.css").read_text(encoding="utf-8")
    rules = [*re.findall(r"^:root \{.*?^\}", css, re.MULTILINE | re.DOTALL)]
    rules += re.findall(r"^@media \(prefers-color-scheme: dark\) \{.*?^\}", css, re.MULTILINE | re.DOTALL)
    rules += [
        "svg { font: 11.5px system-ui, sans-serif; fill: var(--ink); background: var(--paper); }",
        *_SHAPES.findall(css),
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" data-generator="{_GENERATOR}"'
    start, end = chart.index("<svg") + 4, chart.index(">") + 1
    return f"{head}{chart[start:end]}<style>{' '.join(' '.join(rules).split())}</style>{chart[end:]}\n"


def write_charts(folder: Path, charts: dict[str, Html]) -> list[Path]:
    """Write ``NAME.svg`` for every chart that is not empty."""
    written = []
    for name, chart in charts.items():
        if chart:
            folder.mkdir(parents=True, exist_ok=True)
            write_text(folder / f"{name}.svg", svg_file(chart))
            written.append(folder / f"{name}.svg")
    return written


def is_svg_of_audit(path: Path) -> bool:
    """Whether the file is a chart that :func:`write_charts` wrote."""
    with path.open("rb") as file:
        return f'data-generator="{_GENERATOR}"' in file.read(300).decode("utf-8", "replace")
