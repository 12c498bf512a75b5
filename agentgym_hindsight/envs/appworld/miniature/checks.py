"""The checks of a task. Each requirement passes or fails; a task is won if all pass.

Every task also requires that it was completed and that nothing else in any app has changed. A task that asks a
question also requires the right answer.

Partial credit is the share of what was asked for (the wanted changes and the answer) that holds. It needs a task that
is completed with status success and without damage. So damage, giving up and doing nothing pay 0, and no action that
was not asked for can raise the credit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from agentgym_hindsight.envs.appworld.miniature.delta import Delta
from agentgym_hindsight.envs.appworld.miniature.goals import NO_ANSWER, Goal, Wanted

__all__ = ["Verdict", "answers_match", "judge"]


class Verdict(NamedTuple):
    """The requirements that hold, those that do not, and the partial credit."""

    passes: tuple[str, ...]
    failures: tuple[str, ...]
    score: float  # 0 to 1, and 1 only if the task is won; also the reward

    @property
    def won(self) -> bool:
        """Whether all requirements hold."""
        return not self.failures


def judge(goal: Goal, delta: Delta, completed: str, answer: Any) -> Verdict:
    """Check a final state: the changes, the status with which the task was completed, and the answer."""
    results: list[tuple[str, bool]] = []
    if goal.answer is not NO_ANSWER:
        results.append(("The answer is right.", answers_match(answer, goal.answer)))
    relevant = {table: goal.without_allowed(table, delta[table]) for table in delta}
    damaged = set()
    for table in sorted({*relevant} | {wanted.table for wanted in goal.wanted}):
        for kind in ("added", "removed", "changed"):
            wanted = [each for each in goal.wanted if (each.table, each.kind) == (table, kind)]
            rows: Sequence[Any] = getattr(relevant[table], kind) if table in relevant else ()
            matching = _matching(wanted, rows)
            results += [(each.requirement, index in matching) for index, each in enumerate(wanted)]
            others = (row for place, row in enumerate(rows) if place not in matching.values())
            if any(not any(each.begins(row) for each in wanted) for row in others):
                damaged.add(table)
    share = sum(holds for _, holds in results) / len(results) if results else 1.0
    completed_well = completed == "success"
    results.insert(0, ("The task is completed with status success.", completed_well))
    results.append(("Nothing else has changed in any app.", not damaged))
    return Verdict(
        tuple(text for text, holds in results if holds),
        tuple(text for text, holds in results if not holds),
        share if completed_well and not damaged else 0.0,
    )


def _matching(wanted: Sequence[Wanted], rows: Sequence[Any]) -> dict[int, int]:
    """A maximum bipartite matching of wanted changes to rows, as indices.

    A greedy assignment is not enough: a requirement that several rows meet could take the only row of another one.
    """
    assigned: dict[int, int] = {}  # row → wanted

    def assign(index: int, tried: set[int]) -> bool:
        for row, value in enumerate(rows):
            if row not in tried and wanted[index].fits(value):
                tried.add(row)
                if row not in assigned or assign(assigned[row], tried):
                    assigned[row] = index
                    return True
        return False

    for index in range(len(wanted)):
        assign(index, set())
    return {index: row for row, index in assigned.items()}


def answers_match(answer: Any, expected: Any) -> bool:
    """Return whether an answer equals the right one in meaning.

    Numbers match to half a cent and can be text ("12.50" is 12.5). Words match in any case, with a final full stop or
    not. Lists match in any order and can be text ("a, b").

    >>> answers_match("12.50", 12.5), answers_match("a, b", ["b", "a"]), answers_match(None, "x"), answers_match("7", 8)
    (True, True, False, False)
    """
    if answer is None or isinstance(answer, dict):
        return False
    if isinstance(expected, bool):
        return _words(answer) in (("true", "yes") if expected else ("false", "no"))
    if isinstance(expected, (list, tuple)):
        parts = answer.split(",") if isinstance(answer, str) else answer if isinstance(answer, list) else [answer]
        return sorted(map(_words, parts)) == sorted(map(_words, expected))
    if isinstance(answer, list):
        return len(answer) == 1 and answers_match(answer[0], expected)
    if isinstance(expected, (int, float)):
        number = _number(answer)
        return number is not None and abs(number - expected) < 0.005
    return _words(answer) == _words(expected)


def _number(answer: Any) -> float | None:
    if isinstance(answer, bool):
        return None
    try:
        number = float(answer.strip().lstrip("$") if isinstance(answer, str) else answer)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if abs(number) < float("inf") else None


def _words(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return " ".join(str(value).casefold().split()).rstrip(".!")
