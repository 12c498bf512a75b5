"""A page of a shop: buttons for what can be clicked, the rest as text."""

from __future__ import annotations

from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.markup import Html, tag
from agentgym_hindsight.viewer.worlds.plain import cut, plain_action, plain_reply

__all__ = ["shop_action", "shop_reply"]

_SEPARATOR = " [SEP] "
_MOST_PARTS = 400


def shop_action(trajectory: Trajectory, place: int) -> Html:
    return plain_action(trajectory, place)


def shop_reply(trajectory: Trajectory, place: int) -> Html:
    """The page after an action. What the next turn can click is drawn as a button; its choice is marked."""
    step = trajectory.steps[place]
    if _SEPARATOR not in step.feedback:
        return plain_reply(trajectory, place)
    following = trajectory.steps[place + 1] if place + 1 < len(trajectory.steps) else None
    actions = following.admissible_actions if following else ()
    targets = {action[6:-1] for action in actions if action.startswith("click[") and action.endswith("]")}
    chosen = following.action.lower() if following else ""
    parts: list[Html] = []
    for part in step.feedback[:40_000].split(_SEPARATOR)[:_MOST_PARTS]:
        name = part.strip().strip("'").strip()
        target = name.lower().removesuffix(" (selected)")
        selected = name.endswith(" (selected)")
        if target in targets:
            is_next = chosen == f"click[{target}]"
            mark = tag("span", " ← clicked next", class_="soft") if is_next else ""
            class_ = "button" + (" pressed" if selected else "") + (" chosen" if is_next else "")
            parts.append(tag("span", tag("span", name, class_=class_), mark, " "))
        elif name:
            parts.append(tag("p", cut(name, 2000), class_="price" if name.startswith("$") else None))
    note = f"next: {cut(following.action, 300)}" if following and chosen.startswith("search[") else ""
    return tag("div", *parts, tag("p", note, class_="soft") if note else "", class_="shop")
