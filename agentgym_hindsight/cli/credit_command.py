"""``agh credit``: the credit that methods give to every turn of recorded rollouts. Needs no model and no torch."""

from __future__ import annotations

import argparse
import json
from typing import Any

from rich.table import Table
from rich.text import Text

from agentgym_hindsight.baselines.methods import recipe, recipe_name
from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.methods.recorded import credit_of
from agentgym_hindsight.baselines.methods.rows import Array
from agentgym_hindsight.cli.shared import console, output
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.anchors import ANCHOR_KINDS
from agentgym_hindsight.hindsight.jsonl import LineProblem, iter_jsonl
from agentgym_hindsight.hindsight.trajectory import Group, Trajectory, group_by_task
from agentgym_hindsight.names import known_name
from agentgym_hindsight.printable import printable_line


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", help="JSONL files of rollouts, written by `agh rollout` or `agh eval`")
    parser.add_argument(
        "--method",
        action="append",
        metavar="NAME",
        help="a method without a teacher, such as grpo or crbc; repeatable (default: grpo)",
    )
    parser.add_argument(
        "--anchor",
        help=f"which turns share a state: {', '.join(ANCHOR_KINDS)} (default: that of each method, observation)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="METHOD.NAME=VALUE",
        help="a value of a method, such as crbc.beta=0.95; repeatable. Here the penalty of invalid actions is 0",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per turn")


def run(options: argparse.Namespace) -> int:
    anchor = None if options.anchor is None else known_name("anchor", options.anchor, ANCHOR_KINDS)
    methods = _methods(options.method or ["grpo"], options.set)
    groups = group_by_task(trajectory for trajectory in _read(options.files) if not trajectory.broken)
    if not groups:
        raise UsageError("Expected at least one unbroken rollout, got none; try a file of `agh rollout`.")
    credits = credit_of(groups, methods, anchor)
    (_print_json if options.json else _print_tables)(groups, credits)
    return 0


def _methods(names: list[str], settings: list[str]) -> dict[str, Method]:
    methods = {}
    for typed in names:
        name = recipe_name(typed)
        method = recipe(name)
        methods[name] = method.changed(penalty=0.0) if hasattr(method.credit, "penalty") else method
    for pair in settings:
        target, equals, value = pair.partition("=")
        name, dot, option = target.rpartition(".")  # an own method, package.module:NAME, contains dots
        if not (equals and dot):
            raise UsageError(f"Expected --set METHOD.NAME=VALUE, got {pair!r}; try --set crbc.beta=0.95.")
        name = known_name("method of --method", name, methods)
        methods[name] = methods[name].changed(**{option: _value(value)})
    return methods


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _read(files: list[str]) -> list[Trajectory]:
    trajectories = []
    for name in files:
        for item in iter_jsonl(name):
            if isinstance(item, LineProblem):
                console.print(
                    f"{name}, line {item.line_number}: {printable_line(item.cause)}; skipped.",
                    soft_wrap=True,
                    markup=False,
                )
            else:
                trajectories.append(item)
    return trajectories


def _print_json(groups: tuple[Group, ...], credits: dict[str, list[Array]]) -> None:
    rollout = 0
    for group in groups:
        for member, trajectory in enumerate(group):
            for place, step in enumerate(trajectory.steps):
                credit = {name: float(values[rollout][place]) for name, values in credits.items()}
                line = {"task": group.task_id, "member": member, "step": step.index, "action": step.action}
                print(json.dumps({**line, "credit": credit}))
            rollout += 1


def _print_tables(groups: tuple[Group, ...], credits: dict[str, list[Array]]) -> None:
    """One table per task: the turns of its rollouts, and the credit of each method."""
    rollout = 0
    for group in groups:
        title = Text(f"{group.task_id}  {printable_line(group[0].goal)}")
        table = Table("rollout", "step", "action", title=title, title_justify="left")
        for name in credits:
            table.add_column(name, justify="right")
        for member, trajectory in enumerate(group):
            outcome = "won" if trajectory.won else "lost"
            for place, step in enumerate(trajectory.steps):
                numbers = [f"{values[rollout][place]:+.3f}" for values in credits.values()]
                head = f"{member} {outcome}" if place == 0 else ""
                table.add_row(head, str(step.index), Text(printable_line(step.action, 60)), *numbers)
            table.add_section()
            rollout += 1
        output().print(table)
