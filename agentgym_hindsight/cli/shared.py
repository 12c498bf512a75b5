"""Functions that several commands use: options that name an env and its tasks, and the table of results."""

from __future__ import annotations

import argparse
import inspect
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import load_env_creator

from agentgym_hindsight.baselines.evaluation.results import CategoryResult, Evaluation
from agentgym_hindsight.cli.parsing import json_or_text, text
from agentgym_hindsight.cli.tables import Grid
from agentgym_hindsight.cli.terminal import console, output
from agentgym_hindsight.envs.base import HindsightEnv
from agentgym_hindsight.errors import HindsightError, UnknownNameError, UsageError
from agentgym_hindsight.printable import printable_line
from agentgym_hindsight.registration import ENVS
from agentgym_hindsight.stage import held_out_split, known_env
from agentgym_hindsight.tasks import Task, TaskPanel

__all__ = [
    "add_env_arguments",
    "console",
    "default_protocol",
    "env_arguments",
    "make_env",
    "output",
    "panel_of",
    "result_table",
    "task_line",
    "world_of",
]


def add_env_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--env``, ``--split`` and ``--set``."""
    parser.add_argument(
        "--env",
        type=text,
        default=ENVS[0].id,
        help="id of the environment, or its short name such as alfworld (default: %(default)s)",
    )
    parser.add_argument(
        "--split", type=text, help="split of the tasks (default: valid_unseen or test, else the env's default)"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an argument of the env, such as data=embedded or max_steps=30; repeatable",
    )


def env_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments of the env from ``--split`` and ``--set``. A value that is not JSON is text."""
    if hasattr(options, "env"):
        splits: tuple[str, ...] = getattr(_creator(options.env), "splits", ())
        if options.split is None:
            options.split = held_out_split(splits)
        else:  # an env may have splits that its class does not name, so only the case is corrected here
            options.split = {each.casefold(): each for each in splits}.get(options.split.casefold(), options.split)
    arguments: dict[str, Any] = {} if options.split is None else {"split": options.split}
    for pair in options.set:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"Expected --set NAME=VALUE, got {pair!r}; try --set data=embedded.")
        if name == "split":
            raise UsageError("Expected the split in --split, got it in --set; try --split NAME.")
        arguments[name] = json_or_text(f"--set {name}", value)
    return arguments


def default_protocol(env_id: str) -> str:
    """The prompt protocol that suits an env: ``code`` if actions are programs, ``tools`` if they are calls."""
    return {"appworld": "code", "tools": "tools"}.get(world_of(env_id), "verl-agent-2025")


def world_of(env_id: str) -> str:
    """The world of an env, such as ``alfworld``; ``generic`` if its class names none."""
    return str(getattr(_creator(env_id), "prompt_world", "generic"))


def _creator(env_id: str) -> Any:
    """The entry point of the env, usually its class."""
    entry = gym.registry[known_env(env_id).rpartition(":")[2]].entry_point
    return load_env_creator(entry) if isinstance(entry, str) else entry


def panel_of(env: gym.Env[Any, Any], options: argparse.Namespace, seed: int) -> TaskPanel:
    """The panel of ``--panel``, or the tasks that ``--split`` and ``--tasks`` name, drawn by ``seed``."""
    world: Any = env.unwrapped
    split = options.split or world.split
    if not getattr(options, "panel", None):
        return TaskPanel.of_split(world.backend, split, options.tasks, seed)
    panel = TaskPanel.load(options.panel)
    if not len(panel):
        raise UsageError(f"Expected a panel of one task or more in {options.panel}, got none; try agh data panel.")
    backend = world.backend.task(split, 0).backend
    others = {task.backend for task in panel} - {backend, "file"}
    if others:
        raise UsageError(
            f"Expected a panel of {backend} tasks, got one of {', '.join(sorted(others))}; "
            "try the --env and the --set data=… or backend=… that the panel was made with."
        )
    return panel


def make_env(options: argparse.Namespace, **more: Any) -> gym.Env[Any, Any]:
    """The env that the options name. An unknown id or argument raises an error that proposes the nearest one.

    ``options.env`` becomes the id if it was a short name.
    """
    options.env = known_env(options.env)
    settings = env_arguments(options)
    known = _arguments_of(options.env)
    for name in settings:
        if known is not None and name not in known:
            raise UnknownNameError(f"argument of {options.env}", name, known)
    _check_render_mode(options.env, settings.get("render_mode"))
    env = _make(options, {**settings, **more})
    if not isinstance(env.unwrapped, HindsightEnv):
        raise UsageError(
            f"Expected an environment of the kind HindsightEnv, got {options.env!r} ({type(env.unwrapped).__name__}); "
            f"try one of {', '.join(each.id for each in ENVS)}."
        )
    return env


def _make(options: argparse.Namespace, settings: dict[str, Any]) -> gym.Env[Any, Any]:
    try:
        return gym.make(options.env, **settings)
    except (HindsightError, OSError):
        raise
    except gym.error.Error as error:
        raise UsageError(
            f"Expected an environment that can be made, got {options.env!r}: {error}; try agh list."
        ) from error
    except (TypeError, ValueError, AttributeError, LookupError, OverflowError) as error:
        if not options.set:
            raise  # no value of the user's
        given = printable_line(", ".join(options.set), 200)
        raise UsageError(
            f"Expected values that {options.env} accepts, got --set {given} ({type(error).__name__}: "
            f"{printable_line(str(error), 200)}); try values of the kinds that its page in docs/envs names."
        ) from error


def _check_render_mode(env_id: str, mode: object) -> None:
    """Raise before Gymnasium warns."""
    known = (getattr(_creator(env_id), "metadata", None) or {}).get("render_modes", ())
    if mode is not None and mode not in known:
        raise UnknownNameError("render mode", mode, known)


def _arguments_of(env_id: str) -> set[str] | None:
    """The names of the arguments of an env, including those of its base classes; None if it takes any name."""
    creator = _creator(env_id)
    constructors = (
        [vars(kind).get("__init__") for kind in creator.__mro__[::-1]] if isinstance(creator, type) else [creator]
    )
    signatures = [inspect.signature(constructor) for constructor in constructors if inspect.isfunction(constructor)]
    parameters = {name: parameter for signature in signatures for name, parameter in signature.parameters.items()}
    if not isinstance(creator, type) and any(each.kind == each.VAR_KEYWORD for each in parameters.values()):
        return None
    return {
        name for name, parameter in parameters.items() if parameter.kind == parameter.KEYWORD_ONLY or name == "split"
    }


def result_table(results: dict[str, Evaluation]) -> Grid:
    """Success by category with 95 % intervals, one column per policy."""
    evaluations = list(results.values())
    rows = []
    categories = sorted({row.name for evaluation in evaluations for row in evaluation.categories})
    for category in categories:
        found = [{row.name: row for row in evaluation.categories}.get(category) for evaluation in evaluations]
        rows.append([category, *("" if row is None else _share(row) for row in found)])
    rows.append(["all (micro)", *(_share(evaluation.micro) for evaluation in evaluations)])
    rows.append(["mean of categories (macro)", *(f"{evaluation.macro:.1%}" for evaluation in evaluations)])
    rows.append(["turns", *(f"{evaluation.micro.turns:.1f}" for evaluation in evaluations)])
    rows.append(["invalid actions", *(f"{evaluation.micro.invalid:.1%}" for evaluation in evaluations)])
    rows.append(["broken rollouts", *(str(evaluation.micro.broken) for evaluation in evaluations)])
    return Grid("", ["category", *results], rows, text_columns=1, rules=(len(categories),))


def _share(row: CategoryResult) -> str:
    low, high = row.interval
    return f"{row.success:6.1%}  [{low:.1%}, {high:.1%}]  n={row.rollouts}"


def task_line(task: Task) -> str:
    """One task on one line."""
    return f"{task.id}  {task.split:13} {task.category:32} {printable_line(task.goal)}"
