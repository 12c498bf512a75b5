"""Test of the task checks: each reference solution must pass; each wrong solution, and doing nothing, must fail.

    python -m agentgym_hindsight.envs.appworld.miniature.examination

prints the result table, how the right answers are spread, and what strategies earn that do not do what was asked
(``strategies.py``). The code of the templates runs in this process, without a sandbox. Never run the code of an agent
here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from agentgym_hindsight.envs.appworld.miniature.playing import play
from agentgym_hindsight.envs.appworld.miniature.strategies import (
    answers_of,
    answers_table,
    earnings,
    earnings_table,
)
from agentgym_hindsight.envs.appworld.miniature.tasks import PER_TEMPLATE, make, templates
from agentgym_hindsight.envs.appworld.miniature.templates.base import Template
from agentgym_hindsight.envs.appworld.miniature.world import World

__all__ = ["NOTHING", "Examined", "examine", "table"]

#: A wrong solution of every task, in addition to those of its template.
NOTHING = ("apis.supervisor.complete_task()",)


class Examined(NamedTuple):
    """The counts of one template."""

    template: Template
    tasks: int
    passed: int  # reference solutions that passed
    wrong: int  # wrong solutions tried, including NOTHING
    refused: int  # wrong solutions that failed a check


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
        name, split, difficulty = row.template[:3]
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


def main() -> None:
    """Print the three tables."""
    print(f"{table(list(examine()))}\n")
    print(f"{answers_table([row for row in map(answers_of, templates()) if row is not None])}\n")
    print(earnings_table(list(earnings())))


if __name__ == "__main__":
    main()
