"""Was the task done? Requirements as unit tests have them: each passes or fails, and none may be left out.

Always asked: that the task was completed, that the answer is right, and that nothing else in any app has changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from agentgym_hindsight.envs.appworld.miniature.delta import Delta
from agentgym_hindsight.envs.appworld.miniature.goals import NO_ANSWER, Goal, Wanted

__all__ = ["Verdict", "answers_match", "judge"]


class Verdict(NamedTuple):
    """The requirements that hold and those that do not, in their order."""

    passes: tuple[str, ...]
    failures: tuple[str, ...]
    begun: bool = True  # something that was asked for is there

    @property
    def won(self) -> bool:
        """All of them hold."""
        return not self.failures

    @property
    def score(self) -> float:
        """The share that holds."""
        return len(self.passes) / (len(self.passes) + len(self.failures))

    @property
    def reward(self) -> float:
        """The score where something was done for it: whoever ends at once has damaged nothing, and must not be paid.

        >>> Verdict(("a", "b", "c"), ("d",)).reward, Verdict(("a", "b"), ("d", "e"), begun=False).reward
        (0.75, 0.0)
        """
        return self.score if self.begun else 0.0


def judge(goal: Goal, delta: Delta, completed: str, answer: Any) -> Verdict:
    """The verdict on an end: what changed, with what status the task was completed, what was answered."""
    told: list[tuple[str, bool]] = []
    if goal.answer is not NO_ANSWER:
        told.append(("The answer is right.", answers_match(answer, goal.answer)))
    spare = {table: goal.free(table, delta[table]) for table in delta}
    damaged = set()
    for table in sorted({*spare} | {wanted.table for wanted in goal.wanted}):
        for kind in ("added", "removed", "changed"):
            wanted = [each for each in goal.wanted if (each.table, each.kind) == (table, kind)]
            rows: Sequence[Any] = getattr(spare[table], kind) if table in spare else ()
            met = _pairs(wanted, rows)
            told += [(each.requirement, place in met) for place, each in enumerate(wanted)]
            if len(rows) > len(met):
                damaged.add(table)
    begun = any(holds for _, holds in told)
    told.insert(0, ("The task is completed with status success.", completed == "success"))
    told.append(("Nothing else has changed in any app.", not damaged))
    return Verdict(
        tuple(text for text, holds in told if holds), tuple(text for text, holds in told if not holds), begun
    )


def _pairs(wanted: Sequence[Wanted], rows: Sequence[Any]) -> dict[int, int]:
    """Wanted → row, as many as possible, no row twice: a loose wish must not take the only row of a strict one."""
    taken: dict[int, int] = {}  # row → wanted

    def seat(place: int, tried: set[int]) -> bool:
        for row, value in enumerate(rows):
            if row not in tried and wanted[place].fits(value):
                tried.add(row)
                if row not in taken or seat(taken[row], tried):
                    taken[row] = place
                    return True
        return False

    for place in range(len(wanted)):
        seat(place, set())
    return {place: row for row, place in taken.items()}


def answers_match(given: Any, right: Any) -> bool:
    """Whether an answer means the right one: 12.50 and "12.5", "ada Abel" and "Ada Abel", a list and "a, b".

    >>> answers_match("12.50", 12.5), answers_match("a, b", ["b", "a"]), answers_match(None, "x"), answers_match("7", 8)
    (True, True, False, False)
    """
    if given is None or isinstance(given, dict):
        return False
    if isinstance(right, bool):
        return _words(given) in (("true", "yes") if right else ("false", "no"))
    if isinstance(right, (list, tuple)):
        parts = given.split(",") if isinstance(given, str) else given if isinstance(given, list) else [given]
        return sorted(map(_words, parts)) == sorted(map(_words, right))
    if isinstance(given, list):
        return len(given) == 1 and answers_match(given[0], right)
    if isinstance(right, (int, float)):
        number = _number(given)
        return number is not None and abs(number - right) < 0.005
    return _words(given) == _words(right)


def _number(given: Any) -> float | None:
    if isinstance(given, bool):
        return None
    try:
        number = float(given.strip().lstrip("$") if isinstance(given, str) else given)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if abs(number) < float("inf") else None


def _words(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return " ".join(str(value).casefold().split()).rstrip(".!")
