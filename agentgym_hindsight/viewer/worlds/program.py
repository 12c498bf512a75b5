"""A program with its output, and the checks at the end of a task."""

from __future__ import annotations

from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.markup import Html, tag
from agentgym_hindsight.viewer.worlds.plain import block, cut

__all__ = ["program_action", "program_reply"]

_MOST_LINES = 400


def program_action(trajectory: Trajectory, place: int) -> Html:
    """The program with numbered lines."""
    lines = trajectory.steps[place].action.split("\n")
    items = [tag("li", cut(line, 2000)) for line in lines[:_MOST_LINES]]
    more = tag("p", f"… {len(lines) - _MOST_LINES} more lines", class_="soft") if len(lines) > _MOST_LINES else ""
    return tag("div", tag("ol", *items, class_="program"), more)


def program_reply(trajectory: Trajectory, place: int) -> Html:
    """What the program printed, and the result of the checks if this was the last turn."""
    step = trajectory.steps[place]
    parts = [tag("p", "Output", class_="soft"), block(step.feedback, "output")]
    evaluation = step.extra.get("evaluation")
    if isinstance(evaluation, str) and evaluation:
        items = []
        for line in evaluation.split("\n")[:200]:
            mark = "good" if line.startswith("passed") else "bad" if line.startswith("failed") else ""
            items.append(tag("li", cut(line, 1000), class_=f"check {mark}"))
        parts += [tag("p", "Checks", class_="soft"), tag("ul", *items, class_="checks")]
    return tag("div", *parts)
