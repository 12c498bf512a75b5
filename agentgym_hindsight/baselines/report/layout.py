"""The parts that sections of the page are made of: headings, cards, legends, tables."""

from __future__ import annotations

from collections.abc import Sequence

from agentgym_hindsight.baselines.report.curves import colour_class
from agentgym_hindsight.baselines.report.lines import Line
from agentgym_hindsight.markup import Html, tag

__all__ = ["card", "grid", "legend", "section", "wide_table"]


def section(name: str, title: str, *content: Html, note: str = "") -> Html:
    """A section with a heading; empty if it has no content."""
    if not any(content):
        return Html("")
    return tag("section", tag("h2", title), tag("p", note, class_="soft") if note else "", *content, id=name)


def card(title: str, note: str, *content: Html) -> Html:
    """One chart with its title and a note."""
    return tag("figure", tag("figcaption", tag("b", title), tag("span", note, class_="soft")), *content)


def grid(cards: Sequence[Html]) -> Html:
    """Cards side by side, three in a row on a wide screen; cards of the last rows are wider, so that they are full."""
    shown = [each for each in cards if each]
    if len(shown) % 3 == 1 and len(shown) > 1:  # two rows of two instead of a row of three and a single card
        shown[-4:] = [Html(each.replace("<figure>", '<figure class="half">', 1)) for each in shown[-4:]]
    return tag("div", *shown, class_="grid-of-cards") if shown else Html("")


def legend(lines: Sequence[Line], scale: str) -> Html:
    """The colours of the lines, and the scale of the charts below."""
    items = [
        tag("li", tag("i", class_=f"dot {colour_class(line.colour)}"), f"{line.name} ({_seeds(line)})")
        for line in lines
    ]
    return tag("ul", *items, tag("li", scale, class_="soft scale"), class_="legend")


def wide_table(*parts: Html) -> Html:
    """A table that scrolls sideways on a narrow screen, and says so there."""
    hint = tag("p", "Scroll the table sideways: it has more columns. →", class_="soft swipe")
    return tag("div", hint, tag("div", tag("table", *parts), class_="wide", tabindex="0"))


def _seeds(line: Line) -> str:
    return f"{len(line.runs)} seeds" if len(line.runs) > 1 else "1 seed"
