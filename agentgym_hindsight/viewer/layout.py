"""The frame of every page, and the small parts that pages share."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from agentgym_hindsight.markup import Html, tag
from agentgym_hindsight.printable import printable_line
from agentgym_hindsight.viewer.links import Links

__all__ = ["chip", "crumbs", "fold", "frame", "link", "script", "short", "style", "table"]

_KEYS = (
    ("j, ↓ / k, ↑", "next / previous row or turn"),
    ("Enter", "open the marked row"),
    ("→ / ←", "next / previous turn"),
    ("n / p", "next / previous rollout of the task"),
    ("u", "up: turn → task → list → runs"),
    ("/", "search"),
    ("g", "first page: all runs"),
    ("?", "this help"),
)


def style() -> str:
    """The style sheets: that of ``agh report``, and ours."""
    report = (files("agentgym_hindsight.baselines.report") / "page.css").read_text(encoding="utf-8")
    return report + (files("agentgym_hindsight.viewer") / "viewer.css").read_text(encoding="utf-8")


def script() -> str:
    """The script. Pages work without it; it adds keys and live updates."""
    return (files("agentgym_hindsight.viewer") / "viewer.js").read_text(encoding="utf-8")


def short(text: str, width: int = 80) -> str:
    """The beginning of a text, on one line."""
    return printable_line(text, width)


def link(address: str | None, *content: object, **attributes: object) -> Html:
    """A link; only its content where there is no address."""
    if address is None:
        return tag("span", *content, class_=attributes.get("class_"), title=attributes.get("title"))
    return tag("a", *content, href=address, **attributes)


def chip(outcome: str, *more: object, brief: bool = False) -> Html:
    """How a rollout ended: a sign, a word and a colour; ``brief``: without the word."""
    colour = {"won": "good", "lost": "bad", "broken": "bad"}.get(outcome, "")
    sign = {"won": "✓ ", "lost": "✗ ", "broken": "⚠ ", "truncated": "… "}.get(outcome, "")
    return tag("span", sign, "" if brief else outcome, *more, class_=f"chip {colour}".strip())


def fold(title: object, *content: object, opened: bool = False, class_: str = "fold", id: str | None = None) -> Html:
    """Content that is shown on a click."""
    return tag("details", tag("summary", title), *content, class_=class_, open=opened, id=id)


def table(head: Sequence[object], rows: Sequence[Sequence[object]], *, class_: str = "", name: str = "") -> Html:
    """A table whose first column is the heading of its row. It scrolls sideways on a narrow screen."""
    cells = [tag("th", each, scope="col") for each in head]
    body = [
        tag("tr", tag("th", row[0], scope="row"), *(tag("td", each) for each in row[1:]), data_row=True) for row in rows
    ]
    whole = tag("table", tag("thead", tag("tr", *cells)), tag("tbody", *body), class_=class_ or None)
    return tag("div", whole, class_="wide", tabindex="0", role="region", aria_label=name or "table")


def crumbs(*parts: tuple[str | None, str]) -> Html:
    """Where the page is: links from all runs down to it."""
    items = [tag("li", link(address, short(name, 60))) for address, name in parts]
    up = parts[-2][0] if len(parts) > 1 else None
    return tag(
        "nav",
        tag("ol", *items),
        link(up, "up", rel="up", class_="hidden-up") if up else "",
        class_="crumbs",
        aria_label="Position",
    )


def frame(title: str, *main: object, links: Links, where: Html, live: str = "", note: str = "") -> str:
    """A whole page of the server. ``live`` is the address that tells whether the files have changed."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name_="color-scheme", content="light dark"),
        tag("title", short(title, 120)),
        tag("link", rel="stylesheet", href="/viewer.css"),
        tag("link", rel="icon", href="/icon.svg"),
        tag("script", src="/viewer.js", defer=True),
    )
    body = tag(
        "body",
        tag("a", "Skip to the page", href="#main", class_="skip"),
        tag("header", link(links.home(), "agh view", class_="brand"), where, class_="top"),
        tag("p", note, class_="soft live", role="status", aria_live="polite", data_live=live or None),
        tag("main", *main, id="main"),
        tag("footer", tag("p", "Press ? for keys.", class_="soft"), help_dialog()),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def help_dialog() -> Html:
    rows = [tag("div", tag("dt", tag("kbd", key)), tag("dd", what)) for key, what in _KEYS]
    close = tag("form", tag("button", "Close"), method="dialog")
    return tag("dialog", tag("h2", "Keys"), tag("dl", *rows), close, id="keys", aria_label="Keys")
