"""Everything about one turn: prompt, reply with its tokens, the world's reply, the sources, analyses, state, credit."""

from __future__ import annotations

import json
from collections.abc import Mapping

from agentgym_hindsight.baselines.report.scales import figure
from agentgym_hindsight.hindsight.sources import Feedback
from agentgym_hindsight.hindsight.trajectory import Step, Trajectory
from agentgym_hindsight.markup import Html, tag
from agentgym_hindsight.viewer.layout import fold, link, short
from agentgym_hindsight.viewer.links import Links
from agentgym_hindsight.viewer.task_view import TaskView
from agentgym_hindsight.viewer.teacher_prompt import teacher_prompt_html
from agentgym_hindsight.viewer.tokens import overlay_values, plain_reply, tokens_html
from agentgym_hindsight.viewer.worlds import action_html, action_line, reply_html
from agentgym_hindsight.viewer.worlds.plain import block, cut

__all__ = ["TEACHER_READ", "facts_of", "part_id", "turn_html"]

#: The part of a turn with the teacher's prompt.
TEACHER_READ = "The teacher read"

#: The sources, with when each is known.
_SOURCES = {
    "immediate_feedback": ("Immediate feedback", "known at once"),
    "next_observation": ("Next observation", "known at once"),
    "current_trajectory": ("Current trajectory", "whole at the end"),
    "future_trajectory": ("Future trajectory", "known at the end"),
    "successful_trajectory": ("Successful trajectory", "known when another rollout wins"),
}
#: Keys of ``Step.extra`` that have a place of their own on the page.
_SHOWN = frozenset({"situation", "expert_action", "evaluation", "conversation"})


def turn_html(view: TaskView, member: int, place: int, links: Links, overlay: str = "weight") -> Html:
    """One turn as an article; its heading is an anchor for links."""
    rollout = view.rollouts[member]
    trajectory = rollout.trajectory
    step = trajectory.steps[place]
    tokens = rollout.tokens_of(place)
    marks = [] if step.action_valid else [tag("span", "invalid action", class_="chip bad")]
    parts = {"The policy read": [_prompt(step, tokens.prompt_read if tokens else "")]}
    if tokens:
        addresses = {
            each: links.rollout(rollout.source.slug, rollout.line, place + 1, tokens=each)
            for each in (() if links.exported else overlay_values(tokens))
        }
        parts["The policy wrote"] = [tokens_html(tokens, overlay, addresses, step.action_span)]
    elif step.response:
        parts["The policy wrote"] = [plain_reply(cut(step.response), step.action_span)]
    parts["Action"] = [action_html(trajectory, place)]
    parts["The world replied"] = [reply_html(trajectory, place), _reason(step)]
    parts["State, reward, credit"] = [_state(view, member, place, links), _numbers(view, member, place)]
    if tokens and (tokens.teacher_read or tokens.context or tokens.mask_reason):
        parts[TEACHER_READ] = [teacher_prompt_html(tokens)]
    parts["The five sources"] = [_sources(view, member, place)]
    # An exported file has many turns, whose parts would have the same names.
    ids = {title: None if links.exported else part_id(title) for title in parts}
    jumps = [tag("a", title, href=f"#{name}") for title, name in ids.items() if name]
    return tag(
        "article",
        tag("h2", f"Turn {place + 1} of {len(trajectory.steps)}", *marks),
        tag("nav", *jumps, class_="jumps", aria_label="Parts of the turn") if jumps else "",
        _analyses(trajectory, step),
        *(_part(title, *content, id=ids[title]) for title, content in parts.items()),
        class_="turn",
    )


def part_id(title: str) -> str:
    """The id of a part of the turn's page.

    >>> part_id("State, reward, credit")
    'state-reward-credit'
    """
    return title.lower().replace(",", "").replace(" ", "-")


def _part(title: str, *content: Html, id: str | None = None) -> Html:
    return tag("section", tag("h3", title), *content, class_="part", id=id)


def _prompt(step: Step, read: str) -> Html:
    if read:
        return fold("Prompt, decoded from the recorded ids", block(read), opened=len(read) < 1500)
    if step.prompt:
        return fold("Prompt, as recorded", block(step.prompt), opened=len(step.prompt) < 1500)
    return fold("Observation (no prompt was recorded)", block(step.observation), opened=len(step.observation) < 1500)


def _reason(step: Step) -> Html:
    if not step.detail:
        return Html("")
    return tag("p", tag("b", "Not shown to the agent: "), cut(step.detail, 2000), class_="soft")


def _analyses(trajectory: Trajectory, step: Step) -> Html:
    """What models wrote about this turn, and the judge's words."""
    notes = [
        tag(
            "div",
            tag("b", f"{each.kind} by {short(each.analyser, 60) or 'a model'}: "),
            cut(each.text, 4000),
            class_="pinned",
        )
        for each in trajectory.analyses
        if each.step == step.index
    ]
    judged = step.extra.get("judge")
    if isinstance(judged, str) and judged:
        notes.append(tag("div", tag("b", "judge: "), cut(judged, 4000), class_="pinned"))
    return tag("div", *notes) if notes else Html("")


def facts_of(text: object) -> dict[str, str]:
    """The facts in a sentence that an env records about the agent: ``Location: desk 1. In hand: nothing.``

    >>> facts_of("Location: desk 1. In hand: nothing.")
    {'Location': 'desk 1', 'In hand': 'nothing'}
    """
    if not isinstance(text, str):
        return {}
    pairs = (part.partition(": ") for part in text[:4000].removesuffix(".").split(". "))
    return {name: value for name, found, value in pairs if found}


def _after(trajectory: Trajectory, place: int) -> Mapping[str, str]:
    if place + 1 < len(trajectory.steps):
        return facts_of(trajectory.steps[place + 1].extra.get("situation"))
    return facts_of(trajectory.extra.get("situation"))


def _state(view: TaskView, member: int, place: int, links: Links) -> Html:
    """Facts before and after the turn, the expert's action, and the siblings in the same situation."""
    rollout = view.rollouts[member]
    trajectory, step = rollout.trajectory, rollout.trajectory.steps[place]
    before, after = facts_of(step.extra.get("situation")), _after(trajectory, place)
    rows = []
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name, ""), after.get(name, before.get(name, ""))
        value: tuple[object, ...] = (old,) if old == new else (tag("del", old), " → ", tag("ins", new))
        rows.append(tag("div", tag("dt", name), tag("dd", *value)))
    if step.anchor or step.next_anchor:
        same = "unchanged" if step.anchor == step.next_anchor else f"changed to {short(step.next_anchor, 30)}"
        rows.append(tag("div", tag("dt", "state key"), tag("dd", f"{short(step.anchor, 30)}, {same}")))
    expert = step.extra.get("expert_action")
    if isinstance(expert, str) and expert:
        agrees = " ".join(expert.lower().split()) == " ".join(step.action.lower().split())
        mark = tag(
            "span", "same as the policy" if agrees else "another action", class_=f"chip {'good' if agrees else ''}"
        )
        rows.append(tag("div", tag("dt", "expert's action"), tag("dd", tag("code", cut(expert, 600)), mark)))
    for name, value in list(step.extra.items())[:20]:
        if name not in _SHOWN | {"judge"}:
            rows.append(tag("div", tag("dt", short(str(name), 40)), tag("dd", cut(_plain(value), 600))))
    return tag("div", tag("dl", *rows), _anchor(view, member, place, links))


def _plain(value: object) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError, TypeError):
        return "(nested too deeply)"


def _anchor(view: TaskView, member: int, place: int, links: Links) -> Html:
    """Links to the turns of siblings that were taken in the same situation."""
    number = view.anchor_of.get((member, place))
    rows = view.anchors[number].rows if number is not None else ()
    others = [row for row in rows if (row.member, row.place) != (member, place)]
    if not others:
        return tag("p", "No other turn was taken in this situation.", class_="soft")
    items = []
    for row in others[:12]:
        other = view.rollouts[row.member]
        outcome = other.trajectory.outcome
        text = (
            f"{action_line(row.step.action, 50)} ({outcome}, sibling {other.trajectory.sibling}, turn {row.place + 1})"
        )
        items.append(tag("li", link(links.rollout(other.source.slug, other.line, row.place + 1), text)))
    more = f" and {len(others) - 12} more" if len(others) > 12 else ""
    return tag(
        "div", tag("p", f"In the same situation, {len(others)} more turns{more}:", class_="soft"), tag("ul", *items)
    )


def _numbers(view: TaskView, member: int, place: int) -> Html:
    rollout = view.rollouts[member]
    step = rollout.trajectory.steps[place]
    facts = [("reward", figure(step.reward))]
    tokens = rollout.tokens_of(place)
    if tokens and tokens.advantage is not None:
        facts.append(("advantage in training", figure(tokens.advantage)))
    facts += [
        (f"credit by {name}", figure(values[member, place] if abs(values[member, place]) > 1e-6 else 0.0))
        for name, values in view.credits.items()
        if (member, place) in values
    ]
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in facts), class_="numbers")


def _sources(view: TaskView, member: int, place: int) -> Html:
    """Each source with its provenance and when it is known, or why it is missing."""
    hindsight = view.hindsights[member][place]
    parts = []
    for key, (name, known) in _SOURCES.items():
        feedback: Feedback | None = hindsight[key]
        if feedback is None:
            why = "no other rollout of this task won" if key == "successful_trajectory" else "not recorded"
            parts.append(tag("p", tag("b", name), tag("span", "not available", class_="chip"), why, class_="missing"))
            continue
        provenance = tag("span", feedback.provenance.value, class_="chip here")
        text = feedback.text or "(empty: there are no steps after this one)"
        detail = [tag("p", "Detail: ", cut(feedback.detail, 2000), class_="soft")] if feedback.detail else []
        title = tag(
            "span",
            tag("b", name),
            provenance,
            tag("span", f"{known} · {len(feedback.text):,} characters", class_="soft"),
        )
        parts.append(fold(title, block(text), *detail))
    return tag("div", *parts, class_="sources")
