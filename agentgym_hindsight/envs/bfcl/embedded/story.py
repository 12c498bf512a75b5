"""A task while it is made: a live world on which the reference calls run, and what the user says about them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from agentgym_hindsight.envs.bfcl.embedded.apis import FUNCTIONS
from agentgym_hindsight.envs.bfcl.embedded.functions import call_function
from agentgym_hindsight.envs.bfcl.embedded.names import WorldDraws, names_of
from agentgym_hindsight.envs.bfcl.embedded.populate import populated
from agentgym_hindsight.envs.bfcl.embedded.records import Record, Records
from agentgym_hindsight.envs.tools import ToolCall

__all__ = ["Errand", "ImpossibleError", "Story"]

T = TypeVar("T")


def _short(value: Any) -> Any:
    """A whole number as people write it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class ImpossibleError(Exception):
    """The drawn world has nothing that an errand needs: another world is drawn."""


@dataclass
class Errand:
    """What the user wants in one turn.

    ``vague`` is the same without a parameter that nobody can guess, and ``detail`` gives it afterwards. ``hold`` names
    functions without which it cannot be done, whatever other functions there are.
    """

    text: str
    vague: str = ""
    detail: str = ""
    hold: tuple[str, ...] = ()
    calls: list[ToolCall] = field(default_factory=list)
    needed: list[str] = field(default_factory=list)  # the results that have to be seen


class Story:
    """The world of a task. Errands draw from it, call its functions and so change it."""

    def __init__(self, apis: tuple[str, ...], split: str, is_long: bool, exact: bool, draws: WorldDraws) -> None:
        self.draws, self.split = draws, split
        #: Whether the user names things by their whole path or id where that saves a search.
        self.exact = exact
        self.tables = populated(apis, split, is_long, draws)
        self.records = Records(self.tables)
        #: The names that were used, so that one task is about different things.
        self.used: set[str] = set()
        self._calls: list[ToolCall] = []
        self._needed: list[str] = []

    def make(self, maker: Callable[[Story], Errand]) -> Errand:
        """An errand with its reference calls."""
        self._calls, self._needed = [], []
        errand = maker(self)
        errand.calls, errand.needed = self._calls, self._needed
        return errand

    def call(self, function: str, /, **arguments: Any) -> dict[str, Any]:
        """A reference call. It must succeed."""
        call = ToolCall(function, {name: _short(value) for name, value in arguments.items()})
        result = call_function(self.records, FUNCTIONS, call)
        if result.error:
            raise ImpossibleError(f"{function}: {result.error}")
        self._calls.append(call)
        self._last = result.text
        value: dict[str, Any] = json.loads(result.text)
        return value

    def ask(self, function: str, /, **arguments: Any) -> dict[str, Any]:
        """A reference call whose result the user wants to know."""
        value = self.call(function, **arguments)
        self._needed.append(self._last)
        return value

    def pick(self, items: Sequence[T]) -> T:
        """One of the items. Raises :class:`ImpossibleError` if there are none."""
        if not items:
            raise ImpossibleError("nothing to pick from")
        return self.draws.pick(items)

    def name(self, kind: str) -> str:
        """A name of the split that was not used in this task."""
        name = self.pick([each for each in self.draws.sample(names_of(kind, self.split), 12) if each not in self.used])
        self.used.add(name)
        return name

    def record(self, table: str, where: Callable[[Record], bool] = lambda record: True) -> tuple[str, Record]:
        """A record of the world that was not used in this task, with its key."""
        rows = [row for row in self.records.rows(table) if row[0] not in self.used and where(row[1])]
        key, record = self.pick(rows)
        self.used.add(key)
        return key, record

    def rows(self, table: str) -> list[tuple[str, Record]]:
        """All records of a table with their keys."""
        return list(self.records.rows(table))

    def say(
        self,
        *full: str,
        vague: str | tuple[str, ...] = (),
        detail: str | tuple[str, ...] = (),
        hold: str | tuple[str, ...] = (),
    ) -> Errand:
        """The errand in one of several phrasings."""
        return Errand(self.pick(full), self._one(vague), self._one(detail), (hold,) if isinstance(hold, str) else hold)

    def _one(self, texts: str | tuple[str, ...]) -> str:
        return texts if isinstance(texts, str) else self.pick(texts) if texts else ""
