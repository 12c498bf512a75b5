"""``agh play``: play an environment in the terminal and look at its hindsight."""

from __future__ import annotations

import argparse
from typing import Any

from rich.text import Text

from agentgym_hindsight.cli.parsing import seed, source, text
from agentgym_hindsight.cli.play_input import CommandLine
from agentgym_hindsight.cli.shared import add_env_arguments, make_env
from agentgym_hindsight.cli.terminal import SafeConsole, output
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.hindsight.sources import Hindsight
from agentgym_hindsight.printable import printable

_SEPARATOR = " [SEP] "
#: Worlds in which a command is a program. It may have several lines, and its indentation matters.
_CODE = frozenset({"appworld"})
_PROGRAMS = "Any Python program: apis.<app>.<api>(name=value, …). A blank line ends an indented block."
_HELP = ":actions legal commands · :hint the expert's action · :why hindsight of the last turn · :new game · :quit"
_COMMANDS = (":actions", ":help", ":hint", ":new", ":quit", ":why")
#: Typed alone, they stop the program, unless the world has such an action.
_STOP = frozenset({"quit", "exit"})


def arguments(parser: argparse.ArgumentParser) -> None:
    add_env_arguments(parser)
    parser.add_argument("--seed", type=seed, default=None, help="order of the tasks (default: random)")
    parser.add_argument("--task", type=text, help="the id of the task to play; agh data list prints ids")
    parser.add_argument("--game-file", type=source, help="a game.tw-pddl file to play (ALFWorld)")


def run(options: argparse.Namespace) -> int:
    env = make_env(options, expert=True)
    game = _Game(env, output())
    try:
        game.start(options.seed, _chosen_task(options), options)
        with CommandLine(game.candidates, code=game.code) as line:
            game.show_start(help_first=True)
            while game.play(line):
                game.start(None, {}, options)
                game.show_start()
    except EOFError:  # Ctrl-D
        print()
    finally:
        env.close()
    return 0


def _chosen_task(options: argparse.Namespace) -> dict[str, Any]:
    given = {"task_id": options.task, "game_file": options.game_file}
    return {name: value for name, value in given.items() if value}


class _Game:
    """An env in the terminal: the present state of its episode, and what is printed about it."""

    def __init__(self, env: Any, out: SafeConsole) -> None:
        self._env, self._out = env, out
        self._world: Any = env.unwrapped
        self._observation = ""
        self._info: dict[str, Any] = {}
        self._over = False
        self.code = self._world.prompt_world in _CODE

    def start(self, order: int | None, task: dict[str, Any], options: argparse.Namespace) -> None:
        """Start the task that is given, or the next one."""
        try:
            self._observation, self._info = self._env.reset(seed=order, options=task or None)
        except UnknownNameError as error:
            if error.kind.startswith("task id"):
                raise UsageError(
                    f"Expected the id of a task of {options.env}, got {options.task!r}; "
                    f"try one that `agh data list --env {options.env} --split {self._world.split}` prints."
                ) from error
            if error.kind == "reset option":
                raise UsageError(
                    f"Expected --game-file with ALFWorld only, got it with {options.env}; try --task ID."
                ) from error
            raise
        self._over = False

    def show_start(self, *, help_first: bool = False) -> None:
        if help_first:
            self._out.print(_HELP, style="dim")
        self._out.print(f"{self._info['task_id']} · {self._world.backend.name}", style="dim")
        self._out.print(_with_line_breaks(self._observation))

    def candidates(self) -> list[str]:
        """What Tab offers: the admissible actions and the commands of this program."""
        # Searches are free text, so they are not in the list of admissible actions.
        searches = ["search["] if self._has_search_bar() else []
        return [*searches, *self._info["admissible_actions"], *_COMMANDS]

    def play(self, line: CommandLine) -> bool:
        """Play one episode. Return whether to play another one."""
        while True:
            command = line.read(self._turn())
            if command in (":quit", ":q", ":exit") or self._is_stop(command):
                return False
            if command == ":new":
                return True
            self._answer(command)

    def _turn(self) -> str:
        if self._over:
            return ""
        limit = getattr(self._world, "max_steps", None)
        return f"turn {self._info['step'] + 1}{f' of {limit}' if limit else ''} "

    def _is_stop(self, command: str) -> bool:
        """``quit`` and ``exit``, unless the world has such an action. In a program they would have no effect."""
        word = command.strip().casefold()
        return word in _STOP and word not in {each.casefold() for each in self._info["admissible_actions"]}

    def _answer(self, command: str) -> None:
        info = self._info
        if command == ":actions":
            actions = ["search[words]"] if self._has_search_bar() else []
            if info["extra"].get("tools_text"):  # a world of functions: any call or message is legal
                actions.append(info["extra"]["tools_text"])
            self._out.print(_PROGRAMS if self.code else "\n".join([*actions, *info["admissible_actions"]]))
        elif command == ":hint":  # not wrapped, so that a program can be copied
            self._out.print(info["expert_action"] or "The expert finds no way to win from here.", soft_wrap=True)
        elif command == ":why":
            self._show(info["hindsight"])
        elif command.startswith(":"):
            self._out.print(_HELP, style="dim")
        elif self._over:
            self._out.print("The game is over: :new for another, :quit to stop.", style="dim")
        elif command.strip():  # an empty line costs no turn
            self._step(command)

    def _step(self, command: str) -> None:
        out = self._out
        self._observation, reward, terminated, truncated, self._info = self._env.step(command)
        info = self._info
        out.print(_with_line_breaks(self._observation))
        feedback = info["hindsight"].immediate_feedback
        if feedback.detail:
            out.print(f"why: {feedback.detail}", style="dim")
        dead_end = info["extra"].get("dead_end", "")
        if dead_end:
            out.print(f"dead end: {dead_end}", style="dim")
        self._over = terminated or truncated
        if not self._over:
            return
        ending = "You won" if info["won"] else "Out of turns" if truncated else "Over"
        out.print(Text.assemble((ending, "bold"), self._ending(reward)))
        review = info["extra"].get("review")
        if review is not None:
            out.print(review.text.removeprefix(feedback.detail).strip())
        for step, hindsight in enumerate(info["hindsight"].episode):
            out.print(f"turn {step + 1}", style="bold")
            self._show(hindsight, short=True)

    def _ending(self, reward: float) -> str:
        return f" after {self._info['step']} turns, reward {reward:g}. Hindsight of each turn:"

    def _show(self, hindsight: Hindsight, *, short: bool = False) -> None:
        for name, feedback in hindsight:
            text = "not known yet" if feedback is None else feedback.text or "(nothing)"
            if short:
                text = " / ".join(_with_line_breaks(text).split("\n"))
                text = text if len(text) <= 150 else f"{text[:147]}..."
            self._out.print(Text.assemble("  ", (name, "cyan"), f" {printable(_with_line_breaks(text))}"))

    def _has_search_bar(self) -> bool:
        return bool(self._info["extra"].get("has_search_bar"))


def _with_line_breaks(text: str) -> str:
    """The text with line breaks instead of the separators of the shop's pages."""
    return text.replace(_SEPARATOR, "\n")
