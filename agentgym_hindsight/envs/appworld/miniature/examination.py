"""The checker examined: every reference solution has to pass it, every wrong way and doing nothing have to fail.

    python -m agentgym_hindsight.envs.appworld.miniature.examination

prints the table. Only code of our own templates is run here, in this process; an agent's never is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from agentgym_hindsight.envs.appworld.miniature.checks import Verdict, judge
from agentgym_hindsight.envs.appworld.miniature.tasks import PER_TEMPLATE, Made, Template, make, templates
from agentgym_hindsight.envs.appworld.miniature.world import World

__all__ = ["NOTHING", "Ending", "Examined", "examine", "play", "table"]

#: The wrong way that every task has besides its own.
NOTHING = ("apis.supervisor.complete_task()",)


class Ending(NamedTuple):
    """How turns of code ended: the verdict, what was said to be done, and the error that stopped them."""

    verdict: Verdict
    completed: str
    error: BaseException | None


class Examined(NamedTuple):
    """What came out for one template."""

    template: Template
    tasks: int
    passed: int  # solutions that pass, as they should
    wrong: int  # wrong ways tried, doing nothing among them
    refused: int  # of which failed a check, as they should


class _Apis:
    """``apis.<app>.<api>(…)`` on a world, without a sandbox between."""

    def __init__(self, world: World, app: str = "", api: str = "") -> None:
        self._world, self._app, self._api = world, app, api

    def __getattr__(self, name: str) -> _Apis:
        return _Apis(self._world, self._app or name, name if self._app else "")

    def __call__(self, **arguments: Any) -> Any:
        return json.loads(json.dumps(self._world.call(self._app, self._api, arguments)))


def play(world: World, made: Made, turns: Sequence[str]) -> Ending:
    """Run turns of code from the snapshot on, until one fails."""
    world.reset()
    variables: dict[str, Any] = {"apis": _Apis(world), "print": lambda *_: None}
    error: BaseException | None = None
    try:
        for number, turn in enumerate(turns):
            exec(compile(turn, f"<{made.template.name}, turn {number}>", "exec"), variables)
    except Exception as raised:  # part of the result
        error = raised
    verdict = judge(made.job.goal, world.delta(), world.completed, world.answer)
    return Ending(verdict, world.completed, error)


def examine(kinds: Iterable[Template] | None = None, draws: int | None = None) -> Iterator[Examined]:
    """Try solution and wrong ways of the first ``draws`` tasks (all, where None) of templates (all, where None)."""
    for kind in templates() if kinds is None else kinds:
        tasks = PER_TEMPLATE[kind.split] if draws is None else min(draws, PER_TEMPLATE[kind.split])
        passed = wrong = refused = 0
        for number in range(tasks):
            made = make(kind.name, number)
            world = World.load(made.frozen)
            passed += play(world, made, made.job.solution).verdict.won
            for turns in (*made.job.wrong.values(), NOTHING):
                wrong += 1
                refused += not play(world, made, turns).verdict.won
            world.close()
        yield Examined(kind, tasks, passed, wrong, refused)


def table(rows: Sequence[Examined]) -> str:
    """The rows in Markdown, with totals and what follows from them.

    Of what passes, ``precision`` should have; of what should pass, ``recall`` does.
    """
    lines = [
        "| template | split | difficulty | tasks | solutions passed | wrong ways refused |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for row in sorted(rows, key=lambda row: (-PER_TEMPLATE[row.template.split], row.template[1:3], row.template.name)):
        name, split, difficulty, _ = row.template
        lines.append(
            f"| `{name}` | {split} | {difficulty} | {row.tasks} | {row.passed} | {row.refused} of {row.wrong} |"
        )
    tasks, passed = sum(row.tasks for row in rows), sum(row.passed for row in rows)
    wrong, refused = sum(row.wrong for row in rows), sum(row.refused for row in rows)
    let_through = wrong - refused
    precision = passed / (passed + let_through) if passed + let_through else 1.0
    recall = passed / tasks if tasks else 1.0
    lines.append(f"| all {len(rows)} | | | {tasks} | {passed} | {refused} of {wrong} |")
    return "\n".join([*lines, "", f"Precision {precision:.4f}, recall {recall:.4f}."])


if __name__ == "__main__":
    print(table(list(examine())))
