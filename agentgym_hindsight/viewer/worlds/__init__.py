"""Drawings of a world's replies: a house, a page of a shop, a program with its output, tool calls; else plain text."""

from __future__ import annotations

from collections.abc import Callable

from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.markup import Html
from agentgym_hindsight.printable import printable_line
from agentgym_hindsight.viewer.worlds.house import house_action, house_reply
from agentgym_hindsight.viewer.worlds.plain import plain_action, plain_reply
from agentgym_hindsight.viewer.worlds.program import program_action, program_reply
from agentgym_hindsight.viewer.worlds.shop import shop_action, shop_reply
from agentgym_hindsight.viewer.worlds.tool_calls import call_line, tool_action, tool_reply

__all__ = ["action_html", "action_line", "reply_html"]

#: Draws the action, or the reply, of one turn of a rollout.
Draw = Callable[[Trajectory, int], Html]

_WORLDS: dict[str, tuple[Draw, Draw]] = {
    "alfworld": (house_action, house_reply),
    "webshop": (shop_action, shop_reply),
    "appworld": (program_action, program_reply),
    "taubench": (tool_action, tool_reply),
    "bfcl": (tool_action, tool_reply),
}


def action_html(trajectory: Trajectory, place: int) -> Html:
    """The action of a turn as its world's renderer draws it."""
    return _world(trajectory)[0](trajectory, place)


def action_line(action: str, width: int) -> str:
    """An action on one line; a tool call as its name and arguments."""
    return printable_line(call_line(action) if action.startswith("<tool_call>") else action, width)


def reply_html(trajectory: Trajectory, place: int) -> Html:
    """The world's reply to the action of a turn."""
    return _world(trajectory)[1](trajectory, place)


def _world(trajectory: Trajectory) -> tuple[Draw, Draw]:
    name = trajectory.env_id[:100].rpartition(":")[2].lower()
    found = next((draws for prefix, draws in _WORLDS.items() if name.startswith(prefix)), None)
    return found or (plain_action, plain_reply)
