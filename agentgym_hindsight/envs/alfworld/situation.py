"""What an agent knows about itself from the replies so far: where it is, what it holds, what it moved."""

from __future__ import annotations

import re

__all__ = ["Situation"]

_ARRIVED = re.compile(r"go to (.+)")
_TAKEN = re.compile(r"You pick up the (.+) from the (.+)\.")
_MOVED = re.compile(r"You (?:move|put) the (.+) (?:to|in/on) the (.+)\.")
_TREATED = re.compile(r"You (heat|cool|clean) the (.+) using the .+\.")
_SLICED = re.compile(r"You sliced the (.+) with the .+\.")
_NAMES = {"heat": "hot", "cool": "cold", "clean": "clean"}
_LONGEST = 300  # a reply that lists a receptacle is longer; only its beginning matters


class Situation:
    """Follows commands and replies. ``text`` is part of augmented anchors; no policy sees it.

    >>> situation = Situation()
    >>> situation.follow("go to desk 1", "You arrive at desk 1. On the desk 1, you see a mug 2.")
    >>> situation.follow("take mug 2 from desk 1", "You pick up the mug 2 from the desk 1.")
    >>> situation.text
    'Location: desk 1. In hand: mug 2. Moved: nothing.'
    """

    def __init__(self) -> None:
        self._location, self._held = "middle of the room", ""
        self._states: dict[str, list[str]] = {}  # thing -> what was done to it
        self._moved: list[str] = []

    @property
    def text(self) -> str:
        """One line: location, thing in hand with what was done to it, and moved things in their order."""
        states = self._states.get(self._held, [])
        held = f"{self._held} ({', '.join(states)})" if states else self._held or "nothing"
        return f"Location: {self._location}. In hand: {held}. Moved: {', '.join(self._moved) or 'nothing'}."

    def follow(self, command: str, reply: str) -> None:
        """Update after a command and its reply."""
        reply = reply[:_LONGEST]
        if reply.startswith("You arrive at ") or (reply.startswith("On the ") and command.startswith("go to ")):
            if arrived := _ARRIVED.fullmatch(command.strip()[:_LONGEST]):
                self._location = arrived[1]
        elif taken := _TAKEN.fullmatch(reply):
            self._held = taken[1]
        elif moved := _MOVED.fullmatch(reply):
            self._held = ""
            self._moved.append(f"{moved[1]} to {moved[2]}")
        elif treated := _TREATED.fullmatch(reply):
            self._add(treated[2], _NAMES[treated[1]])
        elif sliced := _SLICED.fullmatch(reply):
            self._add(sliced[1], "sliced")

    def copy(self) -> Situation:
        """An independent copy."""
        copied = Situation()
        copied._location, copied._held, copied._moved = self._location, self._held, list(self._moved)
        copied._states = {thing: list(states) for thing, states in self._states.items()}
        return copied

    def _add(self, thing: str, state: str) -> None:
        states = self._states.setdefault(thing, [])
        opposite = {"hot": "cold", "cold": "hot"}.get(state)
        if opposite in states:
            states.remove(opposite)
        if state not in states:
            states.append(state)
            states.sort()
