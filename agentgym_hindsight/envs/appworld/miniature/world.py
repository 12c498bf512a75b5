"""A world: data, a fixed clock, and the APIs over the data.

    world = World.new(7)
    world.insert("notes_notes", owner=world.supervisor.email, title="Tea")
    world.seal()  # what is stored now is the snapshot
    world.call("supervisor", "show_profile", {})
    world.delta().summary()
    world.reset()

The clock does not advance during an episode, so the resulting state does not depend on when an action is executed.
Read APIs never write. Sessions are part of :meth:`World.delta_key`, but not of :meth:`World.delta`.
"""

from __future__ import annotations

import json
import traceback
from functools import lru_cache
from typing import Any

from agentgym_hindsight.envs.appworld.failures import ApiFailure
from agentgym_hindsight.envs.appworld.miniature.accounts import authorize
from agentgym_hindsight.envs.appworld.miniature.api import Api, Call
from agentgym_hindsight.envs.appworld.miniature.database import CAPACITY, Database, Frozen, FullError, Key
from agentgym_hindsight.envs.appworld.miniature.delta import Delta
from agentgym_hindsight.envs.appworld.miniature.hamlet import APPS, NAMES, SCHEMA
from agentgym_hindsight.envs.appworld.miniature.parameter_types import quoted, suggestion, value_text
from agentgym_hindsight.envs.appworld.miniature.people import Person
from agentgym_hindsight.envs.appworld.miniature.populate import populate
from agentgym_hindsight.envs.appworld.miniature.schema import Raw, Row
from agentgym_hindsight.errors import UsageError

__all__ = ["World"]


class World:
    """One world. Worlds share no state."""

    def __init__(self, frozen: Frozen) -> None:
        self.db = Database(SCHEMA, frozen)
        self._read_facts()
        self.bugs: list[str] = []  # tracebacks of unexpected exceptions in APIs; tests read them

    @classmethod
    def new(cls, seed: int) -> World:
        """Make the world of a seed."""
        return cls.load(_populated(seed))

    @classmethod
    def load(cls, frozen: Frozen) -> World:
        """Make a world from a snapshot that :meth:`freeze` returned."""
        world = cls(frozen)
        world.db.seal()
        return world

    def freeze(self) -> Frozen:
        """Return the snapshot as a value, from which :meth:`load` makes any number of equal worlds."""
        return self.db.freeze()

    def seal(self) -> None:
        """Make the current state the snapshot to which :meth:`reset` returns."""
        self._read_facts()
        self.db.seal()

    def reset(self) -> None:
        """Return to the snapshot."""
        self.db.reset()

    def close(self) -> None:
        """Free the memory."""
        self.db.close()

    def _read_facts(self) -> None:
        facts = self.db.row("system_world")
        self.seed: int = facts["seed"]
        self.now: str = facts["now"]
        self.db.now = self.now
        self._people = _people(tuple(self.db.raw_rows("system_people")))
        self.supervisor = self.person(facts["supervisor"])

    # -- people and the instruction -----------------------------------------------------------------------------

    @property
    def people(self) -> tuple[Person, ...]:
        """All people of the world."""
        return self._people

    def person(self, email: str) -> Person:
        """Return the person with this email address."""
        for person in self._people:
            if person.email == email:
                return person
        raise UsageError(f"Expected an email address of Hamlet, got {email!r}; try one of world.people.")

    def related(self, relationship: str) -> list[Person]:
        """Return the people with this relationship to the supervisor, such as "roommate", "coworker" or "friend"."""
        return [person for person in self._people if relationship in person.relationships]

    @property
    def instruction(self) -> str:
        """The task's instruction, given by the supervisor."""
        return str(self.db.row("system_world")["instruction"])

    def set_instruction(self, instruction: str) -> None:
        """Set the task's instruction. Call it before :meth:`seal`."""
        self.db.update("system_world", 1, instruction=instruction)

    # -- rows ---------------------------------------------------------------------------------------------------

    def rows(self, table: str, /, **where: Any) -> list[Row]:
        """Return the rows whose columns equal the given values, ordered by key."""
        return self.db.rows(table, **where)

    def find(self, table: str, /, **where: Any) -> Row | None:
        """Return the first matching row, or None."""
        return self.db.find(table, **where)

    def row(self, table: str, /, **where: Any) -> Row:
        """Return the only matching row. No match, or several, is an error."""
        return self.db.row(table, **where)

    def highest(self, table: str, column: str) -> int:
        """Return the largest value of a column of whole numbers, or 0 if the table is empty."""
        return self.db.highest(table, column)

    def insert(self, table: str, /, **values: Any) -> int:
        """Add a row and return its id. Columns with defaults can be omitted."""
        return self.db.insert(table, **values)

    def update(self, table: str, key: Key, /, **values: Any) -> None:
        """Change columns of the row with this id, natural key or content."""
        self.db.update(table, key, **values)

    def delete(self, table: str, key: Key, /) -> None:
        """Remove the row with this id, natural key or content."""
        self.db.delete(table, key)

    # -- changes since the snapshot -----------------------------------------------------------------------------

    def delta(self, *, system: bool = False) -> Delta:
        """Return the changes in the apps since the snapshot; with ``system=True`` also sessions and the submission."""
        return self.db.delta(system=system)

    def delta_key(self) -> str:
        """Return a key of the state. Equal keys mean equal stored data, including sessions and the submission."""
        return self.db.delta_key()

    @property
    def completed(self) -> str:
        """The status with which the task was completed ("success" or "fail"), or "" before that."""
        submission = self.db.find("system_submission")
        return str(submission["status"]) if submission else ""

    @property
    def answer(self) -> Any:
        """The submitted answer, or None."""
        submission = self.db.find("system_submission")
        return json.loads(submission["answer"]) if submission else None

    # -- APIs ---------------------------------------------------------------------------------------------------

    @staticmethod
    def names() -> dict[str, tuple[str, ...]]:
        """Return the names of all APIs, by app."""
        return dict(NAMES)

    def call(self, app: str, api: str, arguments: dict[str, Any]) -> Any:
        """Call an API with JSON values. Return JSON values or raise :class:`ApiFailure`, and no other exception."""
        try:
            return self._dispatch(_find_api(app, api), arguments)
        except ApiFailure:
            raise
        except FullError:
            raise ApiFailure(409, f"Storage is full: a task may write {CAPACITY // 1_000_000} MB.") from None
        except Exception:
            self.bugs.append(traceback.format_exc())
            raise ApiFailure(500, f"Internal error in {app}.{api}; nothing was changed.") from None

    def _dispatch(self, api: Api, arguments: dict[str, Any]) -> Any:
        checked_names = api.check_names(arguments)
        user = authorize(self.db, api.app, api.token(checked_names)) if api.login else ""
        checked = api.check_values(checked_names)
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


def _find_api(app: object, api: object) -> Api:
    if type(app) is not str or app not in APPS:
        raise ApiFailure(
            404, f"There is no app {_name_text(app)}.{suggestion(app, list(APPS))} Apps: {', '.join(APPS)}."
        )
    apis = APPS[app].apis
    if type(api) is not str or api not in apis:
        listing = f"apis.api_docs.show_api_descriptions(app_name='{app}')"
        raise ApiFailure(404, f"{app} has no API {_name_text(api)}.{suggestion(api, list(apis))} See {listing}.")
    return apis[api]


def _name_text(value: object) -> str:
    return quoted(value) if type(value) is str else value_text(value)


@lru_cache(maxsize=64)  # a world's facts are read several times while a task is made
def _people(rows: tuple[Raw, ...]) -> tuple[Person, ...]:
    decoded = map(SCHEMA["system_people"].decode, rows)
    return tuple(Person(**{**row, "relationships": tuple(row["relationships"])}) for row in decoded)


@lru_cache(maxsize=64)  # the tasks use 60 worlds
def _populated(seed: int) -> Frozen:
    db = Database(SCHEMA)
    populate(db, seed)
    db.seal()
    frozen = db.freeze()
    db.close()
    return frozen
