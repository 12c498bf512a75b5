"""Test of the task checks: each reference solution must pass; each wrong solution, and doing nothing, must fail.

    python -m agentgym_hindsight.envs.appworld.miniature.examination

prints the result table. The code of the templates runs in this process, without a sandbox. Never run the code of an
agent here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from agentgym_hindsight.envs.appworld.miniature.checks import Verdict, judge
from agentgym_hindsight.envs.appworld.miniature.tasks import PER_TEMPLATE, Made, make, templates
from agentgym_hindsight.envs.appworld.miniature.templates.base import Template
from agentgym_hindsight.envs.appworld.miniature.world import World

__all__ = ["NOTHING", "Ending", "Examined", "examine", "play", "table"]

#: A wrong solution of every task, in addition to those of its template.
NOTHING = ("apis.supervisor.complete_task()",)


class Ending(NamedTuple):
    """The result of turns of code: the verdict, the status given to ``complete_task``, and the exception, if any."""

    verdict: Verdict
    completed: str
    error: BaseException | None


class Examined(NamedTuple):
    """The counts of one template."""

    template: Template
    tasks: int
    passed: int  # reference solutions that passed
    wrong: int  # wrong solutions tried, including NOTHING
    refused: int  # wrong solutions that failed a check


class _Apis:
    """``apis.<app>.<api>(…)`` on a world, without a sandbox."""

    def __init__(self, world: World, app: str = "", api: str = "") -> None:
        self._world, self._app, self._api = world, app, api

    def __getattr__(self, name: str) -> _Apis:
        return _Apis(self._world, self._app or name, name if self._app else "")

    def __call__(self, **arguments: Any) -> Any:
        return json.loads(json.dumps(self._world.call(self._app, self._api, arguments)))


def play(world: World, made: Made, turns: Sequence[str]) -> Ending:
    """Reset the world and run turns of code, until the last one or the first exception."""
    world.reset()
    variables: dict[str, Any] = {"apis": _Apis(world), "print": lambda *_: None}
    error: BaseException | None = None
    try:
        for number, turn in enumerate(turns):
            exec(compile(turn, f"<{made.template.name}, turn {number}>", "exec"), variables)
    except Exception as raised:
        error = raised
    verdict = judge(made.job.goal, world.delta(), world.completed, world.answer)
    return Ending(verdict, world.completed, error)


def examine(kinds: Iterable[Template] | None = None, draws: int | None = None) -> Iterator[Examined]:
    """Run the reference and wrong solutions of tasks.

    ``kinds`` are the templates (default: all), ``draws`` is the number of tasks of each (default: all).
    """
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
    """Format the counts as a Markdown table with totals, precision and recall.

    Precision is the share of passing solutions that are reference solutions. Recall is the share of reference
    solutions that pass.
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
    wrong_passed = wrong - refused
    precision = passed / (passed + wrong_passed) if passed + wrong_passed else 1.0
    recall = passed / tasks if tasks else 1.0
    lines.append(f"| all {len(rows)} | | | {tasks} | {passed} | {refused} of {wrong} |")
    return "\n".join([*lines, "", f"Precision {precision:.4f}, recall {recall:.4f}."])


if __name__ == "__main__":
    print(table(list(examine())))
