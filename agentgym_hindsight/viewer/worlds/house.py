"""A house: where the agent is, what it holds, and which things it has seen in which places so far."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from agentgym_hindsight.envs.alfworld.situation import Situation
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.markup import Html, tag
from agentgym_hindsight.viewer.worlds.plain import block, plain_action

__all__ = ["House", "house_action", "house_reply"]

_LONGEST, _MOST_PLACES, _MOST_THINGS, _MOST_TURNS = 4000, 80, 60, 500
_SEES = (", you see ", "In it, you see ")


class House:
    """What the replies of a house have told so far.

    >>> house = House()
    >>> house.follow("go to desk 1", "You arrive at desk 1. On the desk 1, you see a mug 2, and a pen 1.")
    >>> house.follow("take pen 1 from desk 1", "You pick up the pen 1 from the desk 1.")
    >>> house.places, house.held
    ({'desk 1': ['mug 2']}, 'pen 1')
    """

    def __init__(self) -> None:
        self.places: dict[str, list[str]] = {}
        self.closed: set[str] = set()
        self.visited: set[str] = set()
        self.situation = Situation()
        self.held = ""

    @property
    def location(self) -> str:
        return self.situation.text.removeprefix("Location: ").partition(".")[0]

    def look_around(self, text: str) -> None:
        """The first observation lists the places."""
        _, found, rest = text[:_LONGEST].partition("Looking quickly around you, you see ")
        if found:
            for name in _things(rest.partition(".\n")[0].rstrip(".")):
                self.places.setdefault(name, [])

    def follow(self, command: str, reply: str) -> None:
        """Update after a command and its reply."""
        reply = reply[:_LONGEST]
        self.situation.follow(command, reply)
        taken, moved = _between(reply, "You pick up the ", " from the "), _between(reply, "You move the ", " to the ")
        moved = moved or _between(reply, "You put the ", " in/on the ")
        if taken:
            self.held = taken[0]
            if taken[0] in self.places.get(taken[1], ()):
                self.places[taken[1]].remove(taken[0])
        elif moved:
            self.held = ""
            self.places.setdefault(moved[1], []).append(moved[0])
        place = self.location
        self.visited.add(place)
        if place in self.places or " you see " in reply:
            if f"The {place} is closed" in reply or reply.startswith(f"You close the {place}"):
                self.closed.add(place)
            elif f"The {place} is open" in reply:
                self.closed.discard(place)
            for words in _SEES:
                before, found, rest = reply.partition(words)
                if found and (words != _SEES[0] or before.endswith(place)):
                    self.places[place] = _things(rest.partition(".")[0])
                    break


def _between(reply: str, start: str, middle: str) -> tuple[str, str] | None:
    """The two names in a reply such as "You pick up the mug 1 from the desk 1."."""
    if not reply.startswith(start):
        return None
    first, found, second = reply[len(start) :].partition(middle)
    return (first, second.rstrip(".")) if found else None


def _things(listed: str) -> list[str]:
    """The names in "a mug 2, a pen 1, and a book 3"."""
    names = (part.strip().removeprefix("and ").removeprefix("a ").removeprefix("an ") for part in listed.split(","))
    return [name for name in names if name and name != "nothing"]


def house_action(trajectory: Trajectory, place: int) -> Html:
    return plain_action(trajectory, place)


def house_reply(trajectory: Trajectory, place: int) -> Html:
    """The reply, and a plan of the house as it is known after it."""
    if place >= _MOST_TURNS:  # each plan reads all turns before it
        return block(trajectory.steps[place].feedback)
    before, after = _known(trajectory, place), _known(trajectory, place + 1)
    return tag("div", block(trajectory.steps[place].feedback), _plan(after, before.places, before.held))


def _known(trajectory: Trajectory, turns: int) -> House:
    house = House()
    for step in islice(trajectory.steps, turns):
        if step.index == 0:
            house.look_around(step.observation)
        house.follow(step.action, step.feedback)
    return house


def _plan(house: House, before: Mapping[str, list[str]], held_before: str) -> Html:
    if not house.places:
        return Html("")
    cells, unseen = [], []
    for name, things in islice(sorted(house.places.items(), key=lambda item: (not item[1], item[0])), _MOST_PLACES):
        is_here, is_closed = name == house.location, name in house.closed
        known = before.get(name, [])
        listed = [tag("li", thing, class_=None if thing in known else "new") for thing in things[:_MOST_THINGS]]
        gone = [tag("li", thing, class_="gone") for thing in known if thing not in things][:_MOST_THINGS]
        if not (listed or gone or is_here or is_closed):
            unseen.append(name if name not in house.visited else f"{name} (empty)")
            continue
        marks = [tag("span", "agent here", class_="chip here")] if is_here else []
        marks += [tag("span", "closed", class_="chip")] if is_closed else []
        cells.append(tag("div", tag("b", name), *marks, tag("ul", *listed, *gone), class_="place"))
    held = tag("p", "In hand: ", tag("b", house.held or "nothing"), class_="new" if house.held != held_before else "")
    return tag(
        "details",
        tag("summary", f"The house as seen so far: {len(house.places)} places, agent at {house.location}"),
        held,
        tag("div", *cells, class_="places"),
        tag("p", "Nothing seen there: ", ", ".join(unseen), ".", class_="soft") if unseen else "",
        class_="fold",
        open=True,
    )
