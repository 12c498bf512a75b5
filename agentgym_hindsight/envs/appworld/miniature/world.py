"""A world: data, a clock that stands still, and the APIs over it.

    world = World.new(7, plant=lambda world: world.insert("notes_notes", owner=world.supervisor.email, title="Tea"))
    world.call("supervisor", "show_profile", {})
    world.delta().summary()
    world.reset()

The clock does not move in an episode: the same deeds lead to the same state, whenever and after whatever they are
done. Reads never write; that somebody is logged in counts in :meth:`World.delta_key`, not in :meth:`World.delta`.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from agentgym_hindsight.envs.appworld.failures import ApiFailure
from agentgym_hindsight.envs.appworld.miniature.accounts import authorize
from agentgym_hindsight.envs.appworld.miniature.api import Api, Call
from agentgym_hindsight.envs.appworld.miniature.database import CAPACITY, Database, Frozen, FullError, Key
from agentgym_hindsight.envs.appworld.miniature.delta import Delta
from agentgym_hindsight.envs.appworld.miniature.hamlet import APPS, NAMES, SCHEMA
from agentgym_hindsight.envs.appworld.miniature.parameter_types import near, quoted, shown
from agentgym_hindsight.envs.appworld.miniature.people import Person
from agentgym_hindsight.envs.appworld.miniature.populate import populate
from agentgym_hindsight.envs.appworld.miniature.schema import Row
from agentgym_hindsight.errors import UsageError

__all__ = ["Plant", "World"]

#: Adds to a populated world what a task needs, before the snapshot.
Plant = Callable[["World"], object]


class World:
    """One world of its own: what is done in it is seen in no other."""

    def __init__(self, frozen: Frozen) -> None:
        self.db = Database(SCHEMA, frozen)
        self._read_facts()
        self.bugs: list[str] = []  # tracebacks of our own mistakes, for tests

    @classmethod
    def new(cls, seed: int, plant: Plant | None = None, *, instruction: str = "") -> World:
        """The world of a seed, with what a task plants in it and what its supervisor asks for."""
        world = cls(_populated(seed))
        if plant is not None:
            plant(world)
        if instruction:
            world.set_instruction(instruction)
        world.seal()
        return world

    @classmethod
    def load(cls, frozen: Frozen) -> World:
        """A world at a snapshot that :meth:`freeze` took."""
        world = cls(frozen)
        world.db.seal()
        return world

    def freeze(self) -> Frozen:
        """The snapshot as a value: keep it to :meth:`load` many worlds that begin alike."""
        return self.db.freeze()

    def seal(self) -> None:
        """Make the present state the snapshot, to which :meth:`reset` goes back."""
        self._read_facts()
        self.db.seal()

    def reset(self) -> None:
        """Back to the snapshot."""
        self.db.reset()

    def close(self) -> None:
        """Free the memory."""
        self.db.close()

    def _read_facts(self) -> None:
        facts = self.db.row("system_world")
        self.seed: int = facts["seed"]
        self.now: str = facts["now"]
        self.db.now = self.now
        rows = self.db.rows("system_people")
        self._people = tuple(Person(**{**row, "relationships": tuple(row["relationships"])}) for row in rows)
        self.supervisor = self.person(facts["supervisor"])

    # -- what a task knows of it --------------------------------------------------------------------------------

    @property
    def people(self) -> tuple[Person, ...]:
        """Everybody in Hamlet."""
        return self._people

    def person(self, email: str) -> Person:
        """Who has that address."""
        for person in self._people:
            if person.email == email:
                return person
        raise UsageError(f"Expected an email address of Hamlet, got {email!r}; try one of world.people.")

    def related(self, relationship: str) -> list[Person]:
        """Who is that to the supervisor: "roommate", "coworker", "friend" …"""
        return [person for person in self._people if relationship in person.relationships]

    @property
    def instruction(self) -> str:
        """What the supervisor asks for."""
        return str(self.db.row("system_world")["instruction"])

    def set_instruction(self, instruction: str) -> None:
        """Say what the supervisor asks for. Before :meth:`seal`."""
        self.db.update("system_world", 1, instruction=instruction)

    # -- rows ---------------------------------------------------------------------------------------------------

    def rows(self, table: str, /, **where: Any) -> list[Row]:
        """The rows whose columns equal the given values, by key."""
        return self.db.rows(table, **where)

    def find(self, table: str, /, **where: Any) -> Row | None:
        """The first such row, or None."""
        return self.db.find(table, **where)

    def row(self, table: str, /, **where: Any) -> Row:
        """The one such row; an error where there is none or more."""
        return self.db.row(table, **where)

    def insert(self, table: str, /, **values: Any) -> int:
        """Add a row; its id. Columns with defaults can be left out."""
        return self.db.insert(table, **values)

    def update(self, table: str, key: Key, /, **values: Any) -> None:
        """Change columns of the row with that id, natural key or content."""
        self.db.update(table, key, **values)

    def delete(self, table: str, key: Key, /) -> None:
        """Remove the row with that id, natural key or content."""
        self.db.delete(table, key)

    # -- what happened in it ------------------------------------------------------------------------------------

    def delta(self, *, system: bool = False) -> Delta:
        """What changed in the apps since the snapshot; ``system=True`` also who logged in, and the submission."""
        return self.db.delta(system=system)

    def delta_key(self) -> str:
        """A name for the state: equal exactly where everything stored is equal, sessions and submission included."""
        return self.db.delta_key()

    @property
    def completed(self) -> str:
        """With what status the task was completed ("success", "fail"), or "" while it goes on."""
        found = self.db.find("system_submission")
        return str(found["status"]) if found else ""

    @property
    def answer(self) -> Any:
        """What was given as the answer; None where there was none."""
        found = self.db.find("system_submission")
        return json.loads(found["answer"]) if found else None

    # -- APIs ---------------------------------------------------------------------------------------------------

    @staticmethod
    def names() -> dict[str, tuple[str, ...]]:
        """Every API by app."""
        return dict(NAMES)

    def call(self, app: str, api: str, arguments: dict[str, Any]) -> Any:
        """Call an API as an agent does: JSON in, JSON out, or an :class:`ApiFailure`, never anything else."""
        try:
            return self._dispatch(_find(app, api), arguments)
        except ApiFailure:
            raise
        except FullError:
            raise ApiFailure(409, f"Storage is full: a task may write {CAPACITY // 1_000_000} MB.") from None
        except Exception:
            self.bugs.append(traceback.format_exc())
            raise ApiFailure(500, f"Internal error in {app}.{api}; nothing was changed.") from None

    def _dispatch(self, api: Api, arguments: dict[str, Any]) -> Any:
        known = api.know(arguments)
        user = authorize(self.db, api.app, api.token(known)) if api.login else ""
        checked = api.check(known)
        call = Call(self.db, user, api.app)
        if not api.writes:
            self.db.read_only = True
            try:
                return api.run(call, checked)
            finally:
                self.db.read_only = False
        if self.completed:
            raise ApiFailure(409, "The task is completed; nothing can be changed any more.")
        with self.db.atomic():
            return api.run(call, checked)


def _find(app: object, api: object) -> Api:
    if type(app) is not str or app not in APPS:
        raise ApiFailure(404, f"There is no app {_name(app)}.{near(app, list(APPS))} Apps: {', '.join(APPS)}.")
    apis = APPS[app].apis
    if type(api) is not str or api not in apis:
        see = f"apis.api_docs.show_api_descriptions(app_name='{app}')"
        raise ApiFailure(404, f"{app} has no API {_name(api)}.{near(api, list(apis))} See {see}.")
    return apis[api]


def _name(value: object) -> str:
    return quoted(value) if type(value) is str else shown(value)


@lru_cache(maxsize=64)  # all the worlds there are tasks in
def _populated(seed: int) -> Frozen:
    db = Database(SCHEMA)
    populate(db, seed)
    db.seal()
    frozen = db.freeze()
    db.close()
    return frozen
