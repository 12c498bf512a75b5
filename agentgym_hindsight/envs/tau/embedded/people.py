"""Invented people for both desks: names, addresses, payment methods."""

from __future__ import annotations

from typing import Any

from agentgym_hindsight.envs.draws import SeededDraws
from agentgym_hindsight.envs.invented import CITIES, FIRST_NAMES, LAST_NAMES, STREET_KINDS, STREETS

__all__ = ["DeskDraws", "full_name", "make_people", "split_of"]

Record = dict[str, Any]


class DeskDraws(SeededDraws):
    """Draws of the embedded desks."""

    __slots__ = ()
    edition = "agentgym-hindsight/desks-1"

    def digits(self, count: int) -> str:
        """A text of digits whose first is not 0."""
        return str(1 + self.below(9)) + "".join(str(self.below(10)) for _ in range(count - 1))


def split_of(number: int) -> str:
    """The split of a person's tasks: no person is in two splits."""
    return {0: "valid", 1: "test", 2: "test"}.get(number % 10, "train")


def full_name(user: Record) -> str:
    """First and last name."""
    return f"{user['name']['first_name']} {user['name']['last_name']}"


def address(draws: DeskDraws) -> Record:
    """An invented address."""
    city, state = draws.pick(CITIES)
    return {
        "address1": f"{10 + draws.below(980)} {draws.pick(STREETS)} {draws.pick(STREET_KINDS)}",
        "address2": f"Flat {1 + draws.below(90)}" if draws.chance(0.6) else "",
        "city": city,
        "country": "Nordland",
        "state": state,
        "zip": draws.digits(5),
    }


def make_people(domain: str, seed: int, count: int) -> dict[str, Record]:
    """People by user id. Every full name belongs to one person only."""
    draws = DeskDraws("people", domain, seed)
    names = draws.sample([(first, last) for first in FIRST_NAMES for last in LAST_NAMES], count)
    people = {}
    for first, last in names:
        number = draws.digits(4)
        user_id = f"{first}_{last}_{number}".lower()
        people[user_id] = {
            "name": {"first_name": first, "last_name": last},
            "address": address(draws),
            "email": f"{first}.{last}{number}@post.example".lower(),
        }
    return people
