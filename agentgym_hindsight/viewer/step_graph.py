"""The situations that the rollouts of a task went through, as SVG: circles are situations, arrows are actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from agentgym_hindsight.hindsight.anchors import anchor_keys
from agentgym_hindsight.markup import Html, tag
from agentgym_hindsight.viewer.links import Links
from agentgym_hindsight.viewer.task_view import TaskView
from agentgym_hindsight.viewer.worlds import action_line

__all__ = ["graph_svg"]

_COLUMN, _ROW, _MOST_STATES = 170, 50, 120
#: Size of a label of an arrow, to leave out those that would cover another one.
_LABEL_WIDTH, _LABEL_HEIGHT = 118.0, 12.0
_WON, _ENDED = "won", "not won"


@dataclass(slots=True)
class _State:
    """A situation: the earliest turn at which it was reached, and its visits by rollouts that won and others."""

    depth: int
    name: str = ""
    turns: list[tuple[int, int]] = field(default_factory=list)
    won: int = 0
    x: float = 0.0
    y: float = 0.0


def graph_svg(view: TaskView, links: Links) -> Html:
    """The drawing, with a link from each arrow to its turn; a note if there are more situations than it shows."""
    states, edges = _graph(view)
    if not edges:
        return Html("")
    kept = sorted(states, key=lambda key: (key not in (_WON, _ENDED), -len(states[key].turns), states[key].depth))
    shown = set(kept[:_MOST_STATES])
    width, height = _place({key: state for key, state in states.items() if key in shown})
    taken = [(states[key].x, states[key].y) for key in sorted(shown)]
    lines = []
    for (start, end), turns in edges.items():
        if start not in shown or end not in shown or start == end:
            continue
        member, place = turns[0]
        step = view.group[member].steps[place]
        won = sum(view.group[each].won for each, _ in turns)
        names = dict.fromkeys(action_line(view.group[m].steps[p].action, 60) for m, p in turns)
        title = f"{' | '.join(list(names)[:4])}: {len(turns)} turns, {won} of rollouts that won"
        colour = "g-won" if won == len(turns) else "g-lost" if not won else "g-both"
        rollout = view.rollouts[member]
        one, other = states[start], states[end]
        shapes = (
            tag("title", title),
            tag("path", d=_path(one, other), class_=f"edge {colour}", stroke_width=1.0 + min(4.0, 0.7 * len(turns))),
            _label(action_line(step.action, 22), one, other, taken),
        )
        address = links.rollout(rollout.source.slug, rollout.line, place + 1)
        lines.append(tag("a", *shapes, href=address) if address else tag("g", *shapes))
    numbers = {anchor.key: number for number, anchor in enumerate(view.anchors)}
    circles = [_node(key, states[key], numbers.get(key), links) for key in kept[:_MOST_STATES]]
    note = f" The {_MOST_STATES} most visited of {len(states)} situations." if len(states) > len(shown) else ""
    loops = sum(len(turns) for (start, end), turns in edges.items() if start == end)
    note += f" {loops} turns that left the situation unchanged are not drawn." if loops else ""
    drawn = [pair for pair in edges if shown.issuperset(pair) and pair[0] != pair[1]]
    top = min([0.0, *(_top(states[start], states[end]) for start, end in drawn)])
    name = f"{len(states)} situations of {len(view.group)} rollouts"
    svg = tag(
        "svg",
        tag("title", name),
        *lines,
        *circles,
        viewBox=f"0 {top:.0f} {width:.0f} {height - top:.0f}",
        width=f"{width:.0f}",
        height=f"{height - top:.0f}",
        role="img",
        class_="graph",
    )
    key = tag(
        "p",
        "A circle is a situation, with its number of turns; an arrow is an action, and a link to its turn. ",
        tag("span", "solid: only of rollouts that won", class_="k-won"),
        " · ",
        tag("span", "dashed: only of others", class_="k-lost"),
        " · grey: of both.",
        note,
        class_="soft",
    )
    return tag("div", key, tag("div", svg, class_="wide graph-box", tabindex="0", role="region", aria_label=name))


def _graph(view: TaskView) -> tuple[dict[str, _State], dict[tuple[str, str], list[tuple[int, int]]]]:
    states: dict[str, _State] = {}
    edges: dict[tuple[str, str], list[tuple[int, int]]] = {}
    kind = view.kind
    for member, pairs in enumerate(anchor_keys(view.group, kind)):
        trajectory = view.group[member]
        for place, (before, after) in enumerate(pairs):
            last = place + 1 == len(pairs)
            if last and trajectory.won:
                after = _WON
            elif last:
                after = _ENDED
            state = states.setdefault(before, _State(place))
            state.depth = min(state.depth, place)
            state.turns.append((member, place))
            state.won += trajectory.won
            end = states.setdefault(after, _State(place + 1))
            end.depth = min(end.depth, place + 1) if after not in (_WON, _ENDED) else max(end.depth, place + 1)
            edges.setdefault((before, after), []).append((member, place))
    deepest = max((state.depth for state in states.values()), default=0)
    for end_name in (_WON, _ENDED):
        if end_name in states:
            states[end_name].depth = deepest
    return states, edges


def _place(states: dict[str, _State]) -> tuple[float, float]:
    """Columns by the earliest turn, rows by the mean row of the situations before: few arrows cross."""
    columns: dict[int, list[_State]] = {}
    for state in states.values():
        columns.setdefault(state.depth, []).append(state)
    for number, depth in enumerate(sorted(columns)):
        members: Sequence[_State] = sorted(columns[depth], key=lambda state: -state.won)
        for row, state in enumerate(members):
            state.x, state.y = 40.0 + number * _COLUMN, 30.0 + row * _ROW + (number % 2) * 12
    return 80.0 + (len(columns) - 1) * _COLUMN, 60.0 + max(len(members) for members in columns.values()) * _ROW


def _label(text: str, start: _State, end: _State, taken: list[tuple[float, float]]) -> Html:
    """The action beside its arrow, nearer to its end; nothing where it would cover a circle or another label."""
    for share in (0.6, 0.5, 0.42):
        x, y = start.x + share * (end.x - start.x), start.y + share * (end.y - start.y) - 4
        if all(abs(x - a) > _LABEL_WIDTH * 0.55 or abs(y - b) > _LABEL_HEIGHT for a, b in taken):
            taken.append((x, y))
            return tag("text", text, x=x, y=y, class_="mid")
    return Html("")


def _bend(start: _State, end: _State) -> float:
    """How far an arrow that leads back is bent upwards, so that it does not cover those that lead on."""
    return 0.0 if end.x > start.x else -50.0 - 0.1 * abs(start.x - end.x)


def _top(start: _State, end: _State) -> float:
    """At most the highest y of an arrow: the curve rises by half of its bend above its higher end."""
    return min(start.y, end.y) + _bend(start, end) / 2 - 4.0


def _path(start: _State, end: _State) -> str:
    bend = _bend(start, end)
    middle = (start.x + end.x) / 2
    return f"M{start.x:.0f} {start.y:.0f} Q{middle:.0f} {(start.y + end.y) / 2 + bend:.0f} {end.x:.0f} {end.y:.0f}"


def _node(key: str, state: _State, number: int | None, links: Links) -> Html:
    if key in (_WON, _ENDED):
        return tag(
            "g",
            tag(
                "rect",
                x=state.x - 30,
                y=state.y - 13,
                width=60,
                height=26,
                rx=5,
                class_=f"node {'n-won' if key == _WON else 'n-lost'}",
            ),
            tag("text", f"{'✓' if key == _WON else '✗'} {key}", x=state.x, y=state.y + 4, class_="mid"),
        )
    share = state.won / len(state.turns) if state.turns else 0.0
    title = (
        f"situation {'' if number is None else number + 1}: {len(state.turns)} turns, {state.won} of rollouts that won"
    )
    shade = "n-won" if share == 1 else "n-both" if share else "n-lost"
    circle = tag("circle", cx=state.x, cy=state.y, r=9.0 + min(8.0, len(state.turns)), class_=f"node {shade}")
    text = tag("text", str(len(state.turns)), x=state.x, y=state.y + 4, class_="mid")
    shapes = (tag("title", title), circle, text)
    return (
        tag("a", *shapes, href=f"#situation-{number + 1}")
        if number is not None and not links.exported
        else tag("g", *shapes)
    )
