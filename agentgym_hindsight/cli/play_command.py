"""``agh play``: play an environment in the terminal and look at its hindsight."""

from __future__ import annotations

import argparse
import codeop
import warnings
from typing import Any

from rich.console import Console
from rich.markup import escape

from agentgym_hindsight.cli.shared import add_env_arguments, make_env
from agentgym_hindsight.hindsight.sources import Hindsight

_SEPARATOR = " [SEP] "
#: Worlds in which a command is a program. It may have several lines, and its indentation matters.
_CODE = frozenset({"appworld"})
_PROGRAMS = "Any Python program: apis.<app>.<api>(name=value, …). A blank line ends an indented block."
_HELP = ":actions legal commands · :hint the expert's action · :why hindsight of the last turn · :new game · :quit"


def arguments(parser: argparse.ArgumentParser) -> None:
    add_env_arguments(parser)
    parser.add_argument("--seed", type=int, default=None, help="order of the tasks (default: random)")
    parser.add_argument("--task", help="the id of the task to play")
    parser.add_argument("--game-file", help="a game.tw-pddl file to play (ALFWorld)")


def run(options: argparse.Namespace) -> int:
    out = Console(highlight=False)
    env = make_env(options, expert=True)
    reset_options: dict[str, Any] = {}
    if options.task:
        reset_options["task_id"] = options.task
    if options.game_file:
        reset_options["game_file"] = options.game_file
    out.print(f"[dim]{_HELP}[/dim]")
    seed = options.seed
    try:
        while _episode(env, out, seed, reset_options):
            seed, reset_options = None, {}
    except EOFError:  # Ctrl-D
        out.print()
    finally:
        env.close()
    return 0


def _episode(env: Any, out: Console, seed: int | None, reset_options: dict[str, Any]) -> bool:
    """Play one game. Return whether to play another one."""
    observation, info = env.reset(seed=seed, options=reset_options or None)
    out.print(f"[dim]{info['task_id']} · {env.unwrapped.backend.name}[/dim]\n{_with_line_breaks(observation)}")
    code = env.unwrapped.prompt_world in _CODE
    over = False
    while True:
        command = _read_command(out, code=code)
        if command in (":quit", ":q"):
            return False
        if command == ":new":
            return True
        if command == ":actions":
            # Searches are free text, so they are not in the list of admissible actions.
            searches = ["search[words]"] if info["extra"].get("has_search_bar") else []
            out.print(_PROGRAMS if code else escape("\n".join([*searches, *info["admissible_actions"]])))
        elif command == ":hint":  # not wrapped, so that a program can be copied
            out.print(escape(info["expert_action"] or "The expert finds no way to win from here."), soft_wrap=True)
        elif command == ":why":
            _show(out, info["hindsight"])
        elif command.startswith(":"):
            out.print(f"[dim]{_HELP}[/dim]")
        elif over:
            out.print("[dim]The game is over: :new for another, :quit to stop.[/dim]")
        else:
            observation, reward, terminated, truncated, info = env.step(command)
            out.print(_with_line_breaks(observation))
            feedback = info["hindsight"].immediate_feedback
            if feedback.detail:
                out.print(f"[dim]why: {escape(feedback.detail)}[/dim]")
            dead_end = info["extra"].get("dead_end", "")
            if dead_end:
                out.print(f"[dim]dead end: {escape(str(dead_end))}[/dim]")
            over = terminated or truncated
            if over:
                ending = "You won" if info["won"] else "Out of turns" if truncated else "Over"
                out.print(
                    f"[bold]{ending}[/bold] after {info['step']} turns, reward {reward:g}. Hindsight of each turn:"
                )
                review = info["extra"].get("review")
                if review is not None:
                    out.print(escape(review.text.removeprefix(feedback.detail).strip()))
                for step, hindsight in enumerate(info["hindsight"].episode):
                    out.print(f"[bold]turn {step + 1}[/bold]")
                    _show(out, hindsight, short=True)


def _read_command(out: Console, *, code: bool) -> str:
    """One command: a line, or all lines of a program."""
    line: str = out.input("[bold]> [/bold]")
    if not code or line.lstrip().startswith(":"):
        return line.strip()
    program = line
    while _is_incomplete(program):
        program += "\n" + out.input("[bold]. [/bold]")
    return program.rstrip()


def _is_incomplete(program: str) -> bool:
    """Whether Python's interactive prompt would wait for more lines."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a SyntaxWarning about the program must not be printed
        try:
            return codeop.compile_command(program) is None
        except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
            return False  # the program is complete but wrong; the environment reports the error


def _show(out: Console, hindsight: Hindsight, *, short: bool = False) -> None:
    for name, feedback in hindsight:
        text = "not known yet" if feedback is None else feedback.text or "(nothing)"
        if short:
            text = " / ".join(text.replace(_SEPARATOR, "\n").split("\n"))
            text = text if len(text) <= 150 else f"{text[:147]}..."
        out.print(f"  [cyan]{name}[/cyan] {_with_line_breaks(text)}")


def _with_line_breaks(text: str) -> str:
    """The text with line breaks instead of the separators of the shop's pages."""
    return escape(text.replace(_SEPARATOR, "\n"))
