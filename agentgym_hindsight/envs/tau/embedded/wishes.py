"""What a customer wants, before it becomes a task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agentgym_hindsight.envs.tau.desk import DeskTask

__all__ = ["Wish", "made_task"]

Call = tuple[str, dict[str, Any]]


@dataclass
class Wish:
    """The first message, the facts by topic, the reference calls, and what the customer has to be told.

    ``manner`` tells a user that is a model what to do if the wish is refused.
    """

    opening: str
    facts: dict[str, str]
    calls: Sequence[Call]
    outputs: tuple[str, ...] = ()
    manner: str = ""


def made_task(kind: str, user_id: str, wish: Wish, who: tuple[dict[str, str], Call]) -> DeskTask:
    """The task: the customer's proof of identity, its calls, and the instruction for users that are models."""
    proof, find = who
    facts = {**proof, **wish.facts}
    told = " ".join(facts.values())
    instruction = f'You write: "{wish.opening}" If you are asked, you know: {told} {wish.manner}'.strip()
    return DeskTask(user_id, instruction, (find, *wish.calls), wish.outputs, kind, wish.opening, facts)
