"""``agh play``: a person plays, with the hindsight shown."""

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
#: Worlds in which a command is a program: it may take several lines, and its blanks mean something.
_CODE = frozenset({"appworld"})
_PROGRAMS = "Any Python program: apis.<app>.<api>(name=value, …). A blank line ends an indented block."
_HELP = ":actions legal commands · :hint what the expert would do · :why the sources of the last turn · :new · :quit"


def arguments(parser: argparse.ArgumentParser) -> None:
    add_env_arguments(parser)
    parser.add_argument(
        "--seed", type=int, default=None, help="which walk over the tasks (default: another every time)"
    )
    parser.add_argument("--task", help="the id of a task")
    parser.add_argument("--game-file", help="a single game.tw-pddl (ALFWorld)")


def run(options: argparse.Namespace) -> int:
    out = Console(highlight=False)
    env = make_env(options, expert=True)
    chosen: dict[str, Any] = {}
    if options.task:
        chosen["task_id"] = options.task
    if options.game_file:
        chosen["game_file"] = options.game_file
    out.print(f"[dim]{_HELP}[/dim]")
    seed = options.seed
    try:
        while _episode(env, out, seed, chosen):
            seed, chosen = None, {}
    except EOFError:  # Ctrl-D
        out.print()
    finally:
        env.close()
    return 0


def _episode(env: Any, out: Console, seed: int | None, chosen: dict[str, Any]) -> bool:
    """One game; whether another is wanted."""
    observation, info = env.reset(seed=seed, options=chosen or None)
    out.print(f"[dim]{info['task_id']} · {env.unwrapped.backend.name}[/dim]\n{_page(observation)}")
    code = env.unwrapped.prompt_world in _CODE
    over = False
    while True:
        command = _typed(out, code=code)
        if command in (":quit", ":q"):
            return False
        if command == ":new":
            return True
        if command == ":actions":
            # What can be searched is open: no list could name it.
            searches = ["search[words]"] if info["extra"].get("has_search_bar") else []
            out.print(_PROGRAMS if code else escape("\n".join([*searches, *info["admissible_actions"]])))
        elif command == ":hint":  # not wrapped: a program has to stay one when it is copied
            out.print(escape(info["expert_action"] or "The expert knows no way to win from here."), soft_wrap=True)
        elif command == ":why":
            _show(out, info["hindsight"])
        elif command.startswith(":"):
            out.print(f"[dim]{_HELP}[/dim]")
        elif over:
            out.print("[dim]The game is over: :new for another, :quit to stop.[/dim]")
        else:
            observation, reward, terminated, truncated, info = env.step(command)
            out.print(_page(observation))
            feedback = info["hindsight"].immediate_feedback
            if feedback.detail:
                out.print(f"[dim]why: {escape(feedback.detail)}[/dim]")
            dead_end = info["extra"].get("dead_end", "")
            if dead_end:
                out.print(f"[dim]no way back: {escape(str(dead_end))}[/dim]")
            over = terminated or truncated
            if over:
                ending = "You won" if info["won"] else "Out of turns" if truncated else "Over"
                out.print(
                    f"[bold]{ending}[/bold] after {info['step']} turns, reward {reward:g}. Every turn in hindsight:"
                )
                review = info["extra"].get("review")
                if review is not None:
                    out.print(escape(review.text.removeprefix(feedback.detail).strip()))
                for step, hindsight in enumerate(info["hindsight"].episode):
                    out.print(f"[bold]turn {step + 1}[/bold]")
                    _show(out, hindsight, short=True)


def _typed(out: Console, *, code: bool) -> str:
    """One command: a line, or as many as a program takes."""
    line: str = out.input("[bold]> [/bold]")
    if not code or line.lstrip().startswith(":"):
        return line.strip()
    program = line
    while _goes_on(program):
        program += "\n" + out.input("[bold]. [/bold]")
    return program.rstrip()


def _goes_on(program: str) -> bool:
    """Whether a program lacks lines, by the rule of Python's own prompt."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the program's own affair
        try:
            return codeop.compile_command(program) is None
        except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
            return False  # broken as it is: the world says how


def _show(out: Console, hindsight: Hindsight, *, short: bool = False) -> None:
    for name, feedback in hindsight:
        text = "not known yet" if feedback is None else feedback.text or "(nothing)"
        if short:
            text = " / ".join(text.replace(_SEPARATOR, "\n").split("\n"))
            text = text if len(text) <= 150 else f"{text[:147]}..."
        out.print(f"  [cyan]{name}[/cyan] {_page(text)}")


def _page(text: str) -> str:
    """A shop's page with a line for each string, as a person reads it."""
    return escape(text.replace(_SEPARATOR, "\n"))
