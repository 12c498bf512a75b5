"""The page of a rollout: its turns as a list, and one of them in full."""

from __future__ import annotations

from agentgym_hindsight.baselines.report.scales import figure
from agentgym_hindsight.markup import Html, tag
from agentgym_hindsight.viewer.layout import chip, crumbs, link, short
from agentgym_hindsight.viewer.links import Links
from agentgym_hindsight.viewer.rollouts import Rollout
from agentgym_hindsight.viewer.task_view import TaskView
from agentgym_hindsight.viewer.tokens import strongest
from agentgym_hindsight.viewer.turn_html import TEACHER_READ, part_id, turn_html
from agentgym_hindsight.viewer.worlds import action_line
from agentgym_hindsight.viewer.worlds.plain import cut

__all__ = ["head_html", "rollout_html", "rollout_position", "timeline_html"]

_MOST_LISTED = 400


def rollout_position(rollout: Rollout, links: Links) -> Html:
    """Where the page of a rollout is."""
    source, trajectory = rollout.source, rollout.trajectory
    task = None if rollout.problem else links.task(source.slug, rollout.task, rollout.update)
    return crumbs(
        (links.home(), "runs"),
        (links.source(source.slug), source.name),
        (task, trajectory.goal or f"task {trajectory.task_id}"),
        (None, f"rollout {trajectory.sibling}"),
    )


def rollout_html(view: TaskView, line: int, turn: int, links: Links, overlay: str = "weight") -> Html:
    """The whole page, at a turn (from 1)."""
    member = view.member(line)
    rollout = view.rollouts[member]
    steps = rollout.trajectory.steps
    head = head_html(view, member, links)
    if not steps:
        return tag("div", head, tag("p", "This rollout has no turn."))
    place = min(max(turn - 1, 0), len(steps) - 1)
    slug = rollout.source.slug

    def address(number: int) -> str | None:
        return links.rollout(slug, line, number + 1, tokens=overlay if overlay != "weight" else None)

    moves = [
        link(address(place - 1), "← turn before", rel="prev", class_="button")
        if place
        else tag("span", "← turn before", class_="button off"),
        link(address(place + 1), "next turn →", rel="next", class_="button")
        if place + 1 < len(steps)
        else tag("span", "next turn →", class_="button off"),
    ]
    body = tag(
        "div",
        tag("nav", *moves, class_="moves", aria_label="Turns"),
        turn_html(view, member, place, links, overlay),
        class_="detail",
    )
    return tag("div", head, tag("div", timeline_html(view, member, links, place, overlay), body, class_="columns"))


def head_html(view: TaskView, member: int, links: Links) -> Html:
    """Outcome, goal, facts, the siblings, and the shortest ways to what people look for."""
    rollout = view.rollouts[member]
    trajectory = rollout.trajectory
    facts = [
        f"{len(trajectory.steps)} turns",
        f"score {figure(trajectory.score)}",
        f"return {figure(trajectory.total_reward)}",
    ]
    facts += [f"update {rollout.update}"] if rollout.update >= 0 else []
    facts += [f"seed {trajectory.seed}"] if trajectory.seed is not None else []
    facts += [
        short(each, 60)
        for each in (trajectory.policy, trajectory.category, trajectory.split, trajectory.env_id, trajectory.backend)
        if each
    ]
    parts = [
        tag("h1", chip(trajectory.outcome), cut(trajectory.goal or f"Task {trajectory.task_id}", 600)),
        tag("p", " · ".join(facts), class_="soft"),
    ]
    if trajectory.broken:
        parts.append(tag("p", tag("b", "Broken: "), cut(trajectory.broken, 2000), class_="note"))
    parts += [
        tag(
            "div",
            tag("b", f"{each.kind} by {short(each.analyser, 60) or 'a model'}: "),
            cut(each.text, 4000),
            class_="pinned",
        )
        for each in trajectory.analyses
        if each.step is None
    ]
    parts.append(_siblings(view, member, links))
    parts.append(_ways(view, member, links))
    return tag("div", *parts, class_="head")


def _siblings(view: TaskView, member: int, links: Links) -> Html:
    if len(view.rollouts) < 2:
        return Html("")
    items = []
    for number, each in enumerate(view.rollouts):
        rel = "sibling-next" if number == member + 1 else "sibling-prev" if number == member - 1 else None
        text = f"{each.trajectory.sibling}: {each.trajectory.outcome}, {len(each.trajectory.steps)} turns"
        address = links.rollout(each.source.slug, each.line)
        current = "page" if number == member else None
        items.append(
            tag("li", link(address, text, aria_current=current, rel=rel, class_=f"tab o-{each.trajectory.outcome}"))
        )
    return tag(
        "nav", tag("b", "Siblings: "), tag("ul", *items, class_="tabs"), class_="siblings", aria_label="Siblings"
    )


def _ways(view: TaskView, member: int, links: Links) -> Html:
    """Links to where this rollout parts from another one, to the strongest weight, and to the first cut context."""
    rollout = view.rollouts[member]
    ways = []
    if view.parting and member in view.parting[:2]:
        won, lost, place = view.parting
        ways.append(
            link(
                links.difference(view.rollouts[won].name, view.rollouts[lost].name)
                or links.rollout(rollout.source.slug, rollout.line, place + 1),
                f"the winner and a rollout that did not win part at turn {place + 1}",
            )
        )
    best = None
    for place, tokens in enumerate(rollout.tokens):
        found = strongest(tokens) if tokens and not tokens.mask_reason else None
        if tokens and found and (best is None or abs(found[1] - 1) > abs(best[2] - 1) + 1e-6):
            best = place, found[0], found[1]
    if best:
        tokens = rollout.tokens[best[0]]
        text = short(repr(tokens.texts[best[1]]), 40) if tokens else ""
        ways.append(
            link(
                links.rollout(rollout.source.slug, rollout.line, best[0] + 1),
                f"weighed most: {text} in turn {best[0] + 1}, weight {figure(best[2])}",
            )
        )
    cuts = [place for place, tokens in enumerate(rollout.tokens) if tokens and tokens.context_cut]
    if cuts:
        address = links.rollout(rollout.source.slug, rollout.line, cuts[0] + 1)
        if address and not links.exported:
            address += f"#{part_id(TEACHER_READ)}"
        turns = f"{len(cuts)} turns, first in turn {cuts[0] + 1}" if len(cuts) > 1 else f"turn {cuts[0] + 1}"
        ways.append(link(address, f"the teacher's context was cut in {turns}"))
    return tag("p", "Go to: ", *(tag("span", way, class_="way") for way in ways)) if ways else Html("")


def timeline_html(view: TaskView, member: int, links: Links, current: int = -1, overlay: str = "weight") -> Html:
    """All turns, one line each: action, validity, reward, how many other turns share the situation, analyses."""
    rollout = view.rollouts[member]
    noted = {each.step for each in rollout.trajectory.analyses}
    parted = view.parting[2] if view.parting and member in view.parting[:2] else -1
    credits = view.credits.get("gigpo", {})
    steps = rollout.trajectory.steps
    first = max(0, min(current - _MOST_LISTED // 2, len(steps) - _MOST_LISTED))
    items = []
    for place, step in list(enumerate(steps))[first : first + _MOST_LISTED]:
        marks = []
        if not step.action_valid:
            marks.append(tag("span", "✗", title="invalid action", class_="bad"))
        if step.reward:
            marks.append(
                tag(
                    "span",
                    f"{'+' if step.reward > 0 else ''}{figure(step.reward)}",
                    title="reward",
                    class_="good" if step.reward > 0 else "bad",
                )
            )
        number = view.anchor_of.get((member, place))
        if number is not None and len(view.anchors[number]) > 1:
            marks.append(
                tag(
                    "span",
                    f"⚓{len(view.anchors[number])}",
                    title=f"{len(view.anchors[number])} turns of the siblings were taken in this situation",
                )
            )
        if step.index in noted or step.extra.get("judge"):
            marks.append(tag("span", "✎", title="a model wrote about this turn"))
        if place == parted:
            marks.append(tag("span", "≠", title="here the first winner and the first other rollout part"))
        value = credits.get((member, place), 0.0)
        if abs(value) >= 0.005:
            marks.append(
                tag(
                    "span",
                    f"credit {'+' if value > 0 else '−'}{abs(value):.2f}",
                    title="credit by GiGPO",
                    class_="credit",
                )
            )
        address = links.rollout(
            rollout.source.slug, rollout.line, place + 1, tokens=overlay if overlay != "weight" else None
        )
        content = (
            tag("span", f"{place + 1}", class_="no"),
            tag("span", action_line(step.action, 90), class_="what"),
            tag("span", *marks, class_="marks"),
        )
        items.append(tag("li", link(address, *content, aria_current="step" if place == current else None)))
    note = (
        tag("p", f"turns {first + 1} to {first + len(items)} of {len(steps)}", class_="soft")
        if len(items) < len(steps)
        else ""
    )
    return tag("nav", note, tag("ol", *items), class_="timeline", aria_label="Turns of the rollout")
