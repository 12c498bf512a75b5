"""HTML of rollouts for notebooks: escaped text, no script, no colours of its own, of bounded size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from agentgym_hindsight.markup import Html, join, tag

__all__ = ["MOST_ROLLOUTS", "MOST_TURNS", "RolloutView", "TurnView", "group_html", "rollout_html"]

#: The most turns of one output (of all its rollouts together), and the most rollouts of a group.
MOST_TURNS, MOST_ROLLOUTS = 60, 24
#: The most characters of all texts of one output, and of one text of a table.
_BUDGET, _CELL_LIMIT = 160_000, 600

# A grey with half opacity and the notebook's own colours work on light and dark pages.
_CELL = "text-align:left;vertical-align:top;padding:0.2em 0.7em 0.2em 0;"
_ROW = "background:none;border-top:1px solid rgba(128, 128, 128, 0.4);"
_TEXT = "white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:isolate;"
_GREY = "rgba(128, 128, 128, 0.25)"
_TINTS = {"won": "rgba(46, 160, 67, 0.25)", "lost": "rgba(218, 54, 51, 0.2)", "broken": "rgba(218, 54, 51, 0.35)"}


class TurnView(NamedTuple):
    """One turn as texts. ``folded`` are titles and texts that are shown on a click."""

    number: str
    action: str
    reply: str
    reward: str = "0"
    valid: bool = True
    folded: tuple[tuple[str, str], ...] = ()


class RolloutView(NamedTuple):
    """One rollout as texts: its first and its last turns, and the number of turns between them."""

    title: str
    outcome: str
    facts: tuple[str, ...]
    start: str
    first: Sequence[TurnView]
    omitted: int = 0
    last: Sequence[TurnView] = ()


def rollout_html(rollout: RolloutView) -> Html:
    """One rollout: its facts, and a table of its turns."""
    return _root(_head(rollout.title, rollout.outcome, rollout.facts), _turns(rollout, _BUDGET))


def group_html(title: str, facts: Sequence[str], rollouts: Sequence[RolloutView], omitted: int) -> Html:
    """The rollouts of one task: a line for each, with its turns on a click."""
    budget = 2 * _BUDGET // max(len(rollouts), 2)
    parts = [
        tag("details", tag("summary", *_outcome(each.outcome, each.facts)), _turns(each, budget)) for each in rollouts
    ]
    if omitted:
        parts.append(tag("p", f"… {omitted} more rollouts"))
    return _root(_head(title, "", facts), *parts)


def _root(*parts: Html) -> Html:
    # The classes stop MathJax: in "$25.00 and $30.00" it would set the text between the dollar signs as a formula.
    return tag("div", *parts, class_="tex2jax_ignore mathjax_ignore", style="max-width:70em;line-height:1.4;")


def _head(title: str, outcome: str, facts: Sequence[str]) -> Html:
    return tag("div", tag("b", _cut(title, _CELL_LIMIT)), tag("div", *_outcome(outcome, facts)), style=_TEXT)


def _outcome(outcome: str, facts: Sequence[str]) -> list[object]:
    style = f"padding:0 0.4em;border-radius:0.3em;background:{_TINTS.get(outcome, _GREY)};"
    chip: list[object] = [tag("b", outcome, style=style), " "] if outcome else []
    return [*chip, " · ".join(_cut(fact, 120) for fact in facts)]


def _turns(rollout: RolloutView, budget: int) -> Html:
    turns = [*rollout.first, *rollout.last]
    # Half of the budget is for the texts of the table, half for the folded ones.
    cell = _share(budget // 2, 2 * len(turns), _CELL_LIMIT)
    folded = _share(budget // 2, sum(len(turn.folded) for turn in turns), _BUDGET)
    rows = [_row(turn, cell, folded) for turn in turns]
    if rollout.omitted:
        gap = tag("tr", tag("td", f"… {rollout.omitted} more steps", colspan="4", style=_CELL), style=_ROW)
        rows.insert(len(rollout.first), gap)
    head = tag("tr", *(tag("th", name, style=_CELL) for name in ("step", "action", "reply", "reward")), style=_ROW)
    style = "border-collapse:collapse;width:100%;font-size:inherit;"
    table = tag("table", tag("thead", head), tag("tbody", *rows), style=style)
    start = tag("div", _cut(rollout.start, 2 * _CELL_LIMIT), style=f"{_TEXT}margin:0.4em 0;") if rollout.start else ""
    return tag("div", start, table, style="overflow-x:auto;")


def _share(budget: int, texts: int, most: int) -> int:
    return min(most, max(100, budget // max(texts, 1)))


def _row(turn: TurnView, limit: int, folded_limit: int) -> Html:
    folded = [
        tag("details", tag("summary", _cut(name, 60)), tag("div", _cut(text, folded_limit), style=_TEXT))
        for name, text in turn.folded
    ]
    action = tag("code", _cut(turn.action, limit), style=f"{_TEXT}background:none;")
    cells = (
        turn.number,
        join([action, "" if turn.valid else tag("div", tag("i", "invalid"))]),
        join([tag("div", _cut(turn.reply, limit), style=_TEXT), *folded]),
        turn.reward,
    )
    return tag("tr", *(tag("td", cell, style=_CELL) for cell in cells), style=_ROW)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]} … ({len(text) - limit} more characters)"
