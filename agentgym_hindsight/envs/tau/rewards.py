"""The reward: the agent's database against the one after the reference calls, and the outputs against what was said."""

from __future__ import annotations

import re
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentgym_hindsight.envs.tau.desk import RESPOND, TERMINATING, Desk, DeskTask
from agentgym_hindsight.envs.tau.store import Database, Delta

__all__ = ["Evaluation", "evaluate", "gold_database", "gold_delta", "is_said"]

_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_GOLD: weakref.WeakKeyDictionary[Any, dict[tuple[int, str], tuple[DeskTask, Delta]]] = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class Evaluation:
    """The verdict: whether the databases are equal, which outputs were said, and the records that differ.

    ``differing`` maps a record's table and key to the texts that the agent has and that the reference has.
    """

    reward: float
    database_matches: bool
    outputs: Mapping[str, bool]
    differing: Mapping[tuple[str, str], tuple[str, str]]

    @property
    def official_info(self) -> dict[str, Any]:
        """The parts that the benchmark reports: the outputs if the task has some, else the database."""
        if self.outputs:
            return {"r_outputs": float(all(self.outputs.values())), "outputs": dict(self.outputs)}
        return {"r_actions": self.database_matches}

    @property
    def checks(self) -> tuple[int, int]:
        """How many of the checks pass, and how many there are: one for the database and one an output."""
        return self.database_matches + sum(self.outputs.values()), 1 + len(self.outputs)


def gold_database(desk: Desk, task: DeskTask, rules: str) -> Database:
    """The database after the reference calls. Calls that end the episode are left out; calls may fail."""
    database = Database(desk.initial)
    for name, arguments in task.actions:
        if name not in TERMINATING and name != RESPOND:
            desk.call(database, name, arguments, rules)
    return database


def gold_delta(desk: Desk, task: DeskTask, rules: str) -> Delta:
    """What the reference calls change. It is computed once for each task."""
    known = _GOLD.setdefault(desk.initial, {})
    place = id(task), rules
    if place not in known:
        known[place] = task, dict(gold_database(desk, task, rules).delta)  # with the task, so that its id stays its own
    return known[place][1]


def evaluate(
    desk: Desk, task: DeskTask, database: Database, said: Sequence[str], rules: str, gold: Delta | None = None
) -> Evaluation:
    """Compare the final state and everything that was said with the task."""
    gold = gold_delta(desk, task, rules) if gold is None else gold
    delta = database.delta
    differing = {
        place: (
            delta.get(place) or desk.initial.text(*place),
            gold.get(place) or desk.initial.text(*place),
        )
        for place in sorted({*delta, *gold})
        if delta.get(place) != gold.get(place)
    }
    outputs = {output: is_said(output, said, rules) for output in task.outputs}
    matches = not differing
    return Evaluation(float(matches and all(outputs.values())), matches, outputs, differing)


def is_said(output: str, said: Sequence[str], rules: str) -> bool:
    """Whether a text contains the output. ``official`` accepts it inside of other numbers and words, ``strict`` not.

    >>> is_said("10", ["It costs 2,010."], "official"), is_said("10", ["It costs 2,010."], "strict")
    (True, False)
    >>> is_said("2010", ["It costs $2,010."], "strict")
    True
    """
    wanted = output.lower()
    if rules == "official":
        return any(wanted in text.lower().replace(",", "") for text in said)
    whole = re.compile(rf"(?<![\w])(?<!\d[.,]){re.escape(_THOUSANDS.sub('', wanted))}(?!\w)(?![.,]\d)")
    return any(whole.search(_THOUSANDS.sub("", text.lower())) for text in said)
