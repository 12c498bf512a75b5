"""What strategies earn that do not do what was asked: constant answers, giving up, damage.

    python -m agentgym_hindsight.envs.appworld.miniature.examination

prints the tables. None of these strategies may pay more than doing the task right, and a constant answer may win few
tasks of a template.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from agentgym_hindsight.envs.appworld.miniature.checks import answers_match
from agentgym_hindsight.envs.appworld.miniature.goals import NO_ANSWER
from agentgym_hindsight.envs.appworld.miniature.playing import play
from agentgym_hindsight.envs.appworld.miniature.tasks import PER_TEMPLATE, Made, make, templates
from agentgym_hindsight.envs.appworld.miniature.templates.base import Template
from agentgym_hindsight.envs.appworld.miniature.templates.common import Turns, answer, login, replaced, with_extra_turn
from agentgym_hindsight.envs.appworld.miniature.world import World

__all__ = [
    "STRATEGIES",
    "Answers",
    "Earned",
    "answers_of",
    "answers_table",
    "earnings",
    "earnings_table",
]

#: A change that no task asks for.
DAMAGE = f"{login('notes')}\napis.notes.create_note(access_token=notes_token, title='Left behind')"
_COMPLETE = "apis.supervisor.complete_task("


class Answers(NamedTuple):
    """The right answers of a template that asks a question."""

    template: Template
    tasks: int
    different: int
    commonest: Any
    times: int  # tasks for which the commonest answer is right

    @property
    def share(self) -> float:
        """The share of the tasks that an agent wins which always gives the commonest answer."""
        return self.times / self.tasks


class Earned(NamedTuple):
    """The rewards of one strategy."""

    strategy: str
    mean: float  # over all tasks
    largest: float  # the largest mean over the tasks of one template
    won: int
    tasks: int


def _wrong_ways(made: Made, _: Any) -> Iterable[Turns]:
    return [tuple(turns) for turns in made.job.wrong.values()]


#: Programs by strategy, given a task and the commonest answer of its template (``NO_ANSWER`` if it asks no question).
STRATEGIES: Mapping[str, Callable[[Made, Any], Iterable[Turns]]] = {
    "the reference solution": lambda made, _: [made.job.solution],
    "completes at once": lambda *_: [(f"{_COMPLETE})",)],
    "gives up at once (`status='fail'`)": lambda *_: [(f"{_COMPLETE}status='fail')",)],
    "always answers 0": lambda *_: [(answer("0"),)],
    "always answers 1": lambda *_: [(answer("1"),)],
    "answers with a list of 0 to 40": lambda *_: [(answer("list(range(41))"),)],
    "always the commonest answer of the template": lambda _, commonest: [
        (f"{_COMPLETE})" if commonest is NO_ANSWER else answer(repr(commonest)),)
    ],
    "damage only": lambda *_: [(DAMAGE, f"{_COMPLETE})")],
    "the reference solution, then damage": lambda made, _: [with_extra_turn(made.job.solution, DAMAGE)],
    "the reference solution, then `status='fail'`": lambda made, _: [
        replaced(made.job.solution, _COMPLETE, f"{_COMPLETE}status='fail', ")
    ],
    "the wrong ways of the templates": _wrong_ways,
}


def answers_of(kind: Template) -> Answers | None:
    """The spread of the right answers of a template; None if it asks no question."""
    groups: list[list[Any]] = []
    tasks = PER_TEMPLATE[kind.split]
    for number in range(tasks):
        right = make(kind.name, number).job.goal.answer
        if right is NO_ANSWER:
            return None
        group = next((group for group in groups if answers_match(right, group[0])), None)
        if group is None:
            groups.append([right])
        else:
            group.append(right)
    commonest = max(groups, key=len)
    return Answers(kind, tasks, len(groups), commonest[0], len(commonest))


def earnings(kinds: Iterable[Template] | None = None, draws: int | None = None) -> Iterator[Earned]:
    """Play all strategies on the first ``draws`` tasks (default: all) of templates (default: all)."""
    rewards: dict[str, dict[str, list[float]]] = {name: {} for name in STRATEGIES}
    won = dict.fromkeys(STRATEGIES, 0)
    for kind in templates() if kinds is None else kinds:
        tasks = PER_TEMPLATE[kind.split] if draws is None else min(draws, PER_TEMPLATE[kind.split])
        spread = answers_of(kind)
        for number in range(tasks):
            made = make(kind.name, number)
            world = World.load(made.frozen)
            for name, programs in STRATEGIES.items():
                verdicts = [
                    play(world, made, turns).verdict
                    for turns in programs(made, NO_ANSWER if spread is None else spread.commonest)
                ]
                rewards[name].setdefault(kind.name, []).append(_mean([each.score for each in verdicts]))
                won[name] += all(each.won for each in verdicts)
            world.close()
    for name, by_template in rewards.items():
        every = [reward for listed in by_template.values() for reward in listed]
        yield Earned(name, _mean(every), max(map(_mean, by_template.values())), won[name], len(every))


def answers_table(rows: Sequence[Answers]) -> str:
    """Format the spread of the answers as a Markdown table, the largest share first."""
    lines = [
        "| template | tasks | different answers | commonest answer | its share |",
        "| --- | ---: | ---: | --- | ---: |",
    ]
    lines += [
        f"| `{row.template.name}` | {row.tasks} | {row.different} | {row.commonest} | {100 * row.share:.1f} % |"
        for row in sorted(rows, key=lambda row: (-row.share, row.template.name))
    ]
    return "\n".join(lines)


def earnings_table(rows: Sequence[Earned]) -> str:
    """Format the rewards of the strategies as a Markdown table."""
    lines = ["| strategy | mean reward | largest mean of a template | tasks won |", "| --- | ---: | ---: | ---: |"]
    lines += [f"| {row.strategy} | {row.mean:.3f} | {row.largest:.3f} | {row.won} of {row.tasks} |" for row in rows]
    return "\n".join(lines)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
