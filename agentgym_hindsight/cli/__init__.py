"""The command line ``agh`` (long name: ``agentgym-hindsight``). A command is one module, imported when it is called."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

from agentgym_hindsight.baselines.requirements import require_train
from agentgym_hindsight.cli.failures import explain
from agentgym_hindsight.cli.parsing import Parser, parse
from agentgym_hindsight.cli.terminal import plain_warnings, prepare_streams, print_error
from agentgym_hindsight.errors import MissingExtraError
from agentgym_hindsight.names import known_name
from agentgym_hindsight.redaction import hide_passwords

__all__ = ["COMMANDS", "command_parser", "full_parser", "main"]

#: Command → its help text. The module ``NAME_command`` has ``arguments(parser)`` and ``run(options) -> int``.
COMMANDS: dict[str, str] = {
    "list": "list the environments and the data that each one would play",
    "doctor": "show what is installed, which data was found, what is missing and how to install it",
    "demo": "train a tiny policy with SERL on generated houses and write a report",
    "play": "play an environment in the terminal and see its hindsight",
    "serve": "serve the shop as a web site, or any environment for clients of OpenEnv",
    "rollout": "play a panel with a scripted policy and write the trajectories as JSONL; resumable",
    "train": "train a policy with SERL or another method, on TRL; resumable",
    "eval": "evaluate models, endpoints or scripted policies on a panel, with confidence intervals",
    "compare": "train several methods under equal conditions (entries × seeds) and print tables with intervals",
    "methods": "list the training methods with their papers, values and evidence",
    "credit": "print the credit that methods give to every turn of recorded rollouts",
    "audit": "measure how well methods know which turns mattered, against the truth by Monte Carlo; resumable",
    "view": "look at rollouts, evaluations and training runs on local pages, also while they are written",
    "report": "write one HTML page about training runs: curves, tables, rollouts, warnings",
    "export": "write rollouts in the formats of other programs, with gap, weights and credit where recorded",
    "import": "read rollouts in the formats of other programs",
    "data": "list tasks, write panels, export and check games, install AppWorld",
    "models": "list models that need no hub, and get one",
    "bench": "measure speed and memory, all figures in one run",
    "parity": "compare this library's engine with the genuine one, turn by turn",
    "anchors": "count how often equal texts hide different states, as a table",
    "completion": "print a script that completes commands, options and names in bash, zsh or fish",
}
#: Commands that always need the extra [train] → their purpose, for the error message.
_NEED_TRAIN = {"train": "training", "compare": "comparing methods"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C.

    No error of a user ends in a traceback. ``AGH_TRACEBACK=1`` raises the error instead of printing it.
    """
    prepare_streams()
    words = list(sys.argv[1:] if arguments is None else arguments)
    called = ""
    try:
        called = _command_name(words)
        with plain_warnings():
            status = _run([called, *words[1:]] if called else words, called)
        _flush()  # here, not at the exit of the interpreter: a full disk is reported like any other error
        if arguments is None and status == 0:
            _leave_processes()
        return status
    except BrokenPipeError:  # `agh list | head`: the reader has closed the pipe
        _discard_output()
        return 0
    except (Exception, KeyboardInterrupt) as error:
        if os.environ.get("AGH_TRACEBACK"):
            raise
        try:
            _flush()
        except OSError:
            _discard_output()
        status, message = explain(error)
        line_break = "\n" if status == 130 else ""  # the terminal has printed ^C
        with suppress(OSError):  # standard error may be full or closed too
            print_error(f"{line_break}agh{f' {called}' if called else ''}: {hide_passwords(message)}")
        return status


def _leave_processes() -> None:
    """End one of several training processes at once, when its work is done.

    gloo's threads can abort an interpreter that exits as usual; torchrun would then report a finished run as failed.
    """
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        os._exit(0)


def full_parser() -> tuple[argparse.ArgumentParser, list[str]]:
    """The parser with the options of all commands, and the commands whose options need an extra that is missing."""
    missing = []
    for name in COMMANDS:
        try:
            _module(name)
        except MissingExtraError:
            missing.append(name)
    return command_parser(*(name for name in COMMANDS if name not in missing)), missing


def command_parser(*called: str) -> argparse.ArgumentParser:
    """The parser of ``agh`` with all commands, and with the options of those that are called."""
    parser = Parser(prog="agh", description="Reinforcement learning of LLM agents from hindsight.")
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="command")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if name in called:  # only this command's module is imported
            _module(name).arguments(command)
    return parser


def _command_name(words: Sequence[str]) -> str:
    """The command, without regard to case; "" if the first word is an option or missing."""
    if not words or words[0].startswith("-"):
        return ""
    return known_name("command", words[0], COMMANDS)


def _run(words: list[str], called: str) -> int:
    parser = command_parser(called)
    options = parse(parser, words)
    if options.version:
        from agentgym_hindsight import __version__

        print(__version__)
        return 0
    if options.command is None:
        parser.print_help()
        return 2
    status: int = _module(options.command).run(options)
    return status


def _module(name: str) -> Any:
    """The module of a command. An extra that the command always needs is checked before the import."""
    if name in _NEED_TRAIN:
        require_train(_NEED_TRAIN[name])
    return import_module(f"agentgym_hindsight.cli.{name}_command")


def _flush() -> None:
    with suppress(AttributeError, ValueError):  # standard output is closed
        sys.stdout.flush()


def _discard_output() -> None:
    """Discard what is still buffered for standard output, which cannot be written."""
    with suppress(AttributeError, OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
