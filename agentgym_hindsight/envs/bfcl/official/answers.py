"""What the answer of a row gives: the results of each turn, and the objects after it.

They are computed once, shared by all episodes, and never changed.
"""

from __future__ import annotations

from functools import lru_cache
from threading import RLock
from typing import NamedTuple

from agentgym_hindsight.envs.bfcl.official.calls import ApiObjects
from agentgym_hindsight.envs.bfcl.official.expressions import run_text
from agentgym_hindsight.envs.bfcl.official.package import Modules
from agentgym_hindsight.envs.bfcl.official.rows import Entry

__all__ = ["Wanted", "wanted"]


class Wanted(NamedTuple):
    """The results of the answer's calls of a turn, and the objects after them."""

    results: list[str]
    objects: ApiObjects


class _Answer:
    def __init__(self, modules: Modules, entry: Entry) -> None:
        self._entry = entry
        self._present = ApiObjects(modules, entry)
        self._turns: list[Wanted] = []

    def turn(self, number: int) -> Wanted:
        """The turn, after those before it."""
        while len(self._turns) <= number:
            calls = self._entry.answer[len(self._turns)]
            if self._turns:  # the objects that this turn does not use are those of the turn before
                used = {self._present.owners.get(text.partition("(")[0].strip(), "") for text in calls}
                self._present = self._present.copy(used)
            results = [run_text(self._present, text) for text in calls]
            self._turns.append(Wanted(results, self._present))
        return self._turns[number]


_LOCK = RLock()


def wanted(modules: Modules, entry: Entry, turn: int) -> Wanted:
    """The results and the objects of a turn of a row's answer."""
    with _LOCK:
        return _answer(modules, entry).turn(turn)


@lru_cache(maxsize=512)
def _answer(modules: Modules, entry: Entry) -> _Answer:
    return _Answer(modules, entry)
