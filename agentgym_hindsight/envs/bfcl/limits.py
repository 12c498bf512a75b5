"""How many actions an agent may take."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["CONVERSATION_ACTIONS", "LIMITS", "TURN_ACTIONS", "default_max_steps"]

#: Actions with calls in a user turn. The benchmark carries out one more and then ends the conversation as failed.
TURN_ACTIONS = 20
#: Actions of the whole conversation, messages included, in HINT-SD's release. Then the episode ends unchecked.
CONVERSATION_ACTIONS = 20

#: Limit → what it means.
LIMITS: Mapping[str, str] = {
    "turn": f"{TURN_ACTIONS} actions a user turn, as the benchmark",
    "conversation": f"{CONVERSATION_ACTIONS} actions for the whole conversation, as HINT-SD's release",
}


def default_max_steps(limit: str) -> int:
    """The number of env steps that a limit implies. The limit per turn is reached before 400 steps.

    >>> default_max_steps("conversation"), default_max_steps("turn")
    (20, 400)
    """
    return CONVERSATION_ACTIONS if limit == "conversation" else 400
