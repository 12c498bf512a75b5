"""Facts that all apps of one world share: people, time, a trip, bills."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from agentgym_hindsight.envs.appworld.miniature.database import Database
from agentgym_hindsight.envs.appworld.miniature.people import Person, draw_people
from agentgym_hindsight.envs.draws import SeededDraws

__all__ = ["Story"]

_PLACES = (
    ("Lake Orrin", "cabin"),
    ("Mount Sella", "hut"),
    ("Port Vesper", "guest house"),
    ("Pine Hollow", "campsite"),
    ("Saltmarsh Bay", "beach house"),
    ("Old Karst", "inn"),
)
_PROJECTS = ("Lighthouse", "Marigold", "Compass", "Quartz", "Harvest", "Tideline", "Paper Boat", "North Star")
_CAFES = ("Café Lumen", "The Copper Pot", "Noodle Barn", "Olive & Thyme", "Bread and Salt", "Blue Plate")


class Story:
    """The shared facts of a world, and methods that draw times and insert rows."""

    def __init__(self, db: Database, seed: int) -> None:
        self.db, self.seed = db, seed
        draws = self.draws("story")
        self.now = datetime(2027, 1, 4) + timedelta(
            days=draws.below(900), hours=8 + draws.below(10), minutes=draws.below(60)
        )
        self.people = draw_people(seed, self.now.year)
        self.me = self.people[0]
        self.place, self.lodging = draws.pick(_PLACES)
        self.travellers = draws.sample(self.related("friend"), 3)
        self.host, self.nights = self.travellers[0], 2 + draws.below(4)
        self.lodging_cost = float(20 * (6 + draws.below(20)))
        self.project, self.other_project = draws.sample(_PROJECTS, 2)
        self.cafes = draws.sample(_CAFES, 3)
        self.bills = {
            name: round(low + draws.below(high - low) + draws.below(100) / 100, 2)
            for name, low, high in (("electricity", 60, 140), ("water", 25, 60), ("internet", 30, 55))
        }
        self.rent = float(50 * (24 + draws.below(20)))

    def draws(self, part: str) -> SeededDraws:
        """Return a separate random source for one part of the world, so that a change in one part affects no other."""
        return SeededDraws("hamlet", part, self.seed)

    def related(self, relationship: str) -> list[Person]:
        """Return the people with this relationship to the supervisor."""
        return [person for person in self.people if relationship in person.relationships]

    @property
    def others(self) -> list[Person]:
        """All people except the supervisor."""
        return self.people[1:]

    def day(self, offset: int) -> str:
        """Return the date ``offset`` days from today."""
        return (self.now + timedelta(days=offset)).date().isoformat()

    def at(self, offset: int, clock: str) -> str:
        """Return the time of day ``clock``, ``offset`` days from today."""
        return f"{self.day(offset)}T{clock}:00"

    def past(self, draws: SeededDraws, days: int) -> str:
        """Draw a time in the last ``days`` days."""
        return self.at(-1 - draws.below(days), f"{7 + draws.below(15):02}:{draws.below(60):02}")

    def add(self, table: str, **values: Any) -> int:
        """Insert a row and return its id."""
        return self.db.insert(table, **values)
