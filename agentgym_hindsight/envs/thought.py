"""A turn in which the agent only writes a thought: part of the episode, but no action in the world."""

from __future__ import annotations

from typing import Any

__all__ = ["Thought"]


class Thought(str):
    """Text that an agent writes instead of an action. The env returns ``reply`` and does not change its world.

    It is a string, so it passes through every wrapper. The turn counts towards the limit and is recorded like an
    action.

    >>> thought = Thought("think: the apple may be in the fridge", reply="OK.")
    >>> thought.reply, thought.startswith("think:")
    ('OK.', True)
    """

    reply: str

    def __new__(cls, text: str, reply: str = "OK.") -> Thought:
        thought = super().__new__(cls, text)
        thought.reply = reply
        return thought

    def __reduce__(self) -> tuple[Any, ...]:
        return Thought, (str(self), self.reply)
