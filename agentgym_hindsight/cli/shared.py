"""Functions that several commands use: options that name an env, consoles, progress bars and tables."""

from __future__ import annotations

import argparse
import inspect
import json
import re
import sys
from importlib import import_module
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import load_env_creator
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from agentgym_hindsight.baselines.evaluation.results import CategoryResult, Evaluation
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.registration import ENVS
from agentgym_hindsight.stage import held_out_split
from agentgym_hindsight.tasks import Task, TaskPanel

__all__ = [
    "add_env_arguments",
    "console",
    "default_protocol",
    "env_arguments",
    "make_env",
    "output",
    "panel_of",
    "progress_bar",
    "result_table",
    "task_line",
]

#: Messages and progress go to standard error, results to standard output.
console = Console(stderr=True, highlight=False)


def output() -> Console:
    """The console for results, on standard output. A pipe or a file gets 150 columns, enough for all tables."""
    return _Results(highlight=False, width=None if sys.stdout.isatty() else 150)


class _Results(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # rich would exit with status 1, but `agh list | head` is not a failure


def add_env_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--env``, ``--split`` and ``--set``."""
    parser.add_argument("--env", default=ENVS[0].id, help="id of the environment (default: %(default)s)")
    parser.add_argument("--split", help="split of the tasks (default: valid_unseen or test, else the env's default)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an argument of the env, such as data=embedded or max_steps=30; repeatable",
    )


def env_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments of the env from ``--split`` and ``--set``. A value that is not JSON is text."""
    if options.split is None:
        options.split = held_out_split(getattr(_creator(options.env), "splits", ()))
    arguments: dict[str, Any] = {} if options.split is None else {"split": options.split}
    for pair in options.set:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"Expected --set NAME=VALUE, got {pair!r}; try --set data=embedded.")
        try:
            arguments[name] = json.loads(value)
        except ValueError:
            arguments[name] = value
    return arguments


def default_protocol(env_id: str) -> str:
    """The prompt protocol that suits an env: ``code`` for AppWorld, whose actions are programs."""
    world = getattr(_creator(env_id), "prompt_world", "generic")
    return "code" if world == "appworld" else "verl-agent-2025"


def _creator(env_id: str) -> Any:
    """The entry point of the env, usually its class; None for an unknown id."""
    module, _, name = env_id.rpartition(":")
    if module:
        import_module(module)
    entry = gym.registry[name].entry_point if name in gym.registry else None
    return load_env_creator(entry) if isinstance(entry, str) else entry


def panel_of(env: gym.Env[Any, Any], options: argparse.Namespace, seed: int) -> TaskPanel:
    """The panel of ``--panel``, or the tasks that ``--split`` and ``--tasks`` name, drawn by ``seed``."""
    world: Any = env.unwrapped
    split = options.split or world.split
    if not getattr(options, "panel", None):
        return TaskPanel.of_split(world.backend, split, options.tasks, seed)
    panel = TaskPanel.load(options.panel)
    backend = world.backend.task(split, 0).backend
    others = {task.backend for task in panel} - {backend, "file"}
    if others:
        raise UsageError(
            f"Expected a panel of {backend} tasks, got one of {', '.join(sorted(others))}; "
            "try the --env and the --set data=… or backend=… that the panel was made with."
        )
    return panel


def make_env(options: argparse.Namespace, **more: Any) -> gym.Env[Any, Any]:
    """The env that the options name. An unknown id or argument raises an error that proposes the nearest one."""
    if options.env not in gym.registry and ":" not in options.env:
        raise UnknownNameError("environment id", options.env, [entry.id for entry in ENVS])
    settings = env_arguments(options)
    try:
        return gym.make(options.env, **settings, **more)
    except TypeError as error:
        unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if unknown is None or unknown[1] not in settings:
            raise
        raise UnknownNameError(f"argument of {options.env}", unknown[1], _arguments_of(options.env)) from error


def _arguments_of(env_id: str) -> set[str]:
    """The names of the arguments of an env, including those of its base classes."""
    creator = _creator(env_id)
    constructors = (
        [vars(kind).get("__init__") for kind in creator.__mro__[::-1]] if isinstance(creator, type) else [creator]
    )
    signatures = [inspect.signature(constructor) for constructor in constructors if inspect.isfunction(constructor)]
    parameters = {name: parameter for signature in signatures for name, parameter in signature.parameters.items()}
    return {
        name for name, parameter in parameters.items() if parameter.kind == parameter.KEYWORD_ONLY or name == "split"
    }


def progress_bar() -> Progress:
    """A progress bar on standard error: spinner, name, bar, count, note, time left."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
        console=console,
    )


def result_table(results: dict[str, Evaluation]) -> Table:
    """Success by category with 95 % intervals, one column per policy."""
    table = Table()
    table.add_column("category")
    for name in results:
        table.add_column(name, justify="right")
    categories = sorted({row.name for evaluation in results.values() for row in evaluation.categories})
    for category in categories:
        rows = [{row.name: row for row in evaluation.categories}.get(category) for evaluation in results.values()]
        table.add_row(category, *("" if row is None else _share(row) for row in rows))
    table.add_section()
    table.add_row("all (micro)", *(_share(evaluation.micro) for evaluation in results.values()))
    table.add_row("mean of categories (macro)", *(f"{evaluation.macro:.1%}" for evaluation in results.values()))
    table.add_row("turns", *(f"{evaluation.micro.turns:.1f}" for evaluation in results.values()))
    table.add_row("invalid actions", *(f"{evaluation.micro.invalid:.1%}" for evaluation in results.values()))
    table.add_row("broken rollouts", *(str(evaluation.micro.broken) for evaluation in results.values()))
    return table


def _share(row: CategoryResult) -> str:
    low, high = row.interval
    return f"{row.success:6.1%}  [{low:.1%}, {high:.1%}]  n={row.rollouts}"


def task_line(task: Task) -> str:
    """One task on one line."""
    return f"{task.id}  {task.split:13} {task.category:32} {task.goal}"
