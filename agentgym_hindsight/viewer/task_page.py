"""The page of a task: its rollouts, where they part, the graph of situations, and what was tried in each situation."""

from __future__ import annotations

from statistics import fmean

from agentgym_hindsight.baselines.report.scales import figure
from agentgym_hindsight.hindsight.anchors import ANCHOR_KINDS, AnchorGroup
from agentgym_hindsight.markup import Html, tag
from agentgym_hindsight.viewer.layout import chip, crumbs, fold, link, short, table
from agentgym_hindsight.viewer.links import Links
from agentgym_hindsight.viewer.step_graph import graph_svg
from agentgym_hindsight.viewer.task_view import TaskView
from agentgym_hindsight.viewer.worlds import action_line
from agentgym_hindsight.viewer.worlds.plain import cut

__all__ = ["task_html", "task_position"]

_MOST_SITUATIONS = 60


def task_position(view: TaskView, links: Links) -> Html:
    """Where the page of a task is."""
    source, trajectory = view.rollouts[0].source, view.rollouts[0].trajectory
    return crumbs(
        (links.home(), "runs"), (links.source(source.slug), source.name), (None, trajectory.goal or trajectory.task_id)
    )


def task_html(view: TaskView, links: Links) -> Html:
    """The whole page."""
    first = view.rollouts[0]
    trajectory = first.trajectory
    won = sum(each.won for each in view.group)
    facts = [f"{len(view.group)} rollouts, {won} won", f"task {trajectory.task_id}"]
    facts += [f"update {first.update}"] if first.update >= 0 else []
    facts += [short(each, 60) for each in (trajectory.category, trajectory.split, trajectory.env_id) if each]
    parts = [
        tag("h1", cut(trajectory.goal or f"Task {trajectory.task_id}", 600)),
        tag("p", " · ".join(facts), class_="soft"),
    ]
    parts.append(_parting(view, links))
    parts.append(_members(view, links))
    kinds = [
        link(
            links.task(first.source.slug, first.task, first.update, anchor=kind),
            kind,
            class_="tab",
            aria_current="true" if kind == view.kind else None,
        )
        for kind in ANCHOR_KINDS
    ]
    tabs = tag("nav", tag("span", "Same situation by: ", class_="soft"), *kinds, class_="tabs", aria_label="Anchors")
    parts += [
        tag("h2", "Situations"),
        Html("") if links.exported else tabs,
        graph_svg(view, links),
        _situations(view, links),
    ]
    return tag("div", *parts)


def _parting(view: TaskView, links: Links) -> Html:
    if view.parting is None:
        return Html("")
    won, lost, place = view.parting
    winner, loser = view.rollouts[won], view.rollouts[lost]
    address = links.difference(winner.name, loser.name) or links.rollout(loser.source.slug, loser.line, place + 1)
    actions = [
        each.trajectory.steps[place].action if place < len(each.trajectory.steps) else "(it has ended)"
        for each in (winner, loser)
    ]
    return tag(
        "p",
        link(address, f"The first winner and the first other rollout part at turn {place + 1}"),
        ": the winner did ",
        tag("code", action_line(actions[0], 80)),
        ", the other ",
        tag("code", action_line(actions[1], 80)),
        ".",
        class_="callout",
    )


def _members(view: TaskView, links: Links) -> Html:
    head = ["rollout", "outcome", "turns", "invalid", "return", "policy", "first actions"]
    rows = []
    for each in view.rollouts:
        trajectory = each.trajectory
        rows.append(
            [
                link(links.rollout(each.source.slug, each.line), f"sibling {trajectory.sibling}"),
                chip(trajectory.outcome),
                str(len(trajectory.steps)),
                str(sum(not step.action_valid for step in trajectory.steps)),
                figure(trajectory.total_reward),
                short(trajectory.policy, 30),
                tag("span", " → ".join(action_line(step.action, 30) for step in trajectory.steps[:4]), class_="soft"),
            ]
        )
    return table(head, rows, class_="list", name="Rollouts of the task")


def _situations(view: TaskView, links: Links) -> Html:
    shared = [(number, anchor) for number, anchor in enumerate(view.anchors) if len(anchor) > 1]
    alone = len(view.anchors) - len(shared)
    parts = [
        fold(
            _title(number, anchor),
            _tried(view, anchor, links),
            opened=number < 3,
            class_="situation",
            id=None if links.exported else f"situation-{number + 1}",
        )
        for number, anchor in shared[:_MOST_SITUATIONS]
    ]
    more = f"{len(shared) - _MOST_SITUATIONS} more shared situations; " if len(shared) > _MOST_SITUATIONS else ""
    parts.append(tag("p", f"{more}{alone} situations with a single turn are not listed.", class_="soft"))
    return tag("div", *parts)


def _title(number: int, anchor: AnchorGroup) -> Html:
    observation = anchor.rows[0].step.observation or anchor.rows[0].step.prompt
    return tag(
        "span",
        tag("b", f"Situation {number + 1}"),
        f" · {len(anchor)} turns · ",
        tag("span", short(observation, 110), class_="soft"),
    )


def _tried(view: TaskView, anchor: AnchorGroup, links: Links) -> Html:
    """The actions that were tried in a situation, with the outcomes of their rollouts and the credit of their turns."""
    by_action: dict[str, list[tuple[int, int]]] = {}
    for row in anchor.rows:
        by_action.setdefault(" ".join(row.step.action.lower().split()), []).append((row.member, row.place))
    names = list(view.credits)
    rows = []
    for turns in by_action.values():
        member, place = turns[0]
        returns = [view.group[m].total_reward for m, _ in turns]
        credit = [
            [values[turn] for turn in turns if turn in values] for values in (view.credits[name] for name in names)
        ]
        where = [
            link(
                links.rollout(view.rollouts[m].source.slug, view.rollouts[m].line, p + 1),
                f"{view.group[m].sibling}·{p + 1}",
                class_=f"turn-link o-{view.group[m].outcome}",
                title=f"sibling {view.group[m].sibling}, turn {p + 1}, {view.group[m].outcome}",
            )
            for m, p in turns[:24]
        ]
        more = f" … {len(turns) - 24} more" if len(turns) > 24 else ""
        rows.append(
            [
                tag("code", action_line(view.group[member].steps[place].action, 120)),
                str(len(turns)),
                f"{sum(view.group[m].won for m, _ in turns)} of {len(turns)}",
                figure(sum(returns) / len(returns)),
                *(_credit(fmean(values)) if values else "" for values in credit),
                tag("span", *where, more),
            ]
        )
    rows.sort(key=lambda row: -int(str(row[1])))
    head = ["action", "tried", "won", "mean return", *(f"credit by {name}" for name in names), "turns (sibling·turn)"]
    return table(head, rows, name="Actions tried in this situation")


def _credit(value: float) -> str:
    """Credits are float32: what is closer to 0 than their precision is 0."""
    return figure(value if abs(value) > 1e-6 else 0.0)
