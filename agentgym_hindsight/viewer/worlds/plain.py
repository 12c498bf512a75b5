"""Text as it is: for worlds without a drawing, and for what a drawing does not understand."""

from __future__ import annotations

from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.markup import Html, tag

__all__ = ["block", "cut", "plain_action", "plain_reply"]

#: Characters of one text on a page. ``?whole=1`` shows all.
MOST_CHARACTERS = 20_000


def cut(text: str, most: int = MOST_CHARACTERS) -> str:
    """The text, or its beginning with the number of characters that are left out."""
    return text if len(text) <= most else f"{text[:most]} … ({len(text) - most:,} more characters)"


def block(text: str, class_: str = "") -> Html:
    """A text with its line breaks."""
    return tag("pre", cut(text) or "(empty)", class_=f"text {class_}".strip())


def plain_action(trajectory: Trajectory, place: int) -> Html:
    return block(trajectory.steps[place].action, "action")


def plain_reply(trajectory: Trajectory, place: int) -> Html:
    return block(trajectory.steps[place].feedback)
