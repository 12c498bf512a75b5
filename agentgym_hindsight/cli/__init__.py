"""The command line ``agh`` (long name: ``agentgym-hindsight``). A command is one module, imported when it is called."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from agentgym_hindsight.baselines.requirements import require_train
from agentgym_hindsight.errors import HindsightError, UsageError
from agentgym_hindsight.redaction import hide_passwords

__all__ = ["COMMANDS", "main"]

#: Command → its help text. The module ``NAME_command`` has ``arguments(parser)`` and ``run(options) -> int``.
COMMANDS: dict[str, str] = {
    "list": "list the environments and the data that each one would play",
    "doctor": "show what is installed, which data was found, what is missing and how to install it",
    "demo": "train a tiny policy with SERL on generated houses and write a report",
    "play": "play an environment in the terminal and see its hindsight",
    "serve": "serve the shop as a web site, with the same engine as the environment",
    "rollout": "play a panel with a scripted policy and write the trajectories as JSONL; resumable",
    "train": "train a policy with SERL or another method, on TRL; resumable",
    "eval": "evaluate a model, an endpoint or a scripted policy on a panel, with confidence intervals",
    "compare": "train several methods under equal conditions (entries × seeds) and print tables with intervals",
    "report": "write one HTML page about training runs: curves, tables, rollouts, warnings",
    "data": "list tasks, write panels, export and check games, install AppWorld",
    "bench": "measure speed and memory, all figures in one run",
    "parity": "compare this library's engine with the genuine one, turn by turn",
    "anchors": "count how often equal texts hide different states, as a table",
}
#: Commands that always need the extra [train] → their purpose, for the error message.
_NEED_TRAIN = {"train": "training", "compare": "comparing methods"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    name = words[0] if words and words[0] in COMMANDS else ""
    try:
        return _main(words, name)
    except UsageError as error:
        print(hide_passwords(f"agh {name}: {error}"), file=sys.stderr)
        return 2
    except BrokenPipeError:  # `agh list | head`: the reader has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # discard what is still buffered
        return 0
    except (HindsightError, OSError) as error:
        print(hide_passwords(f"agh {name}: {error}"), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nagh {name}: stopped; finished parts are kept.", file=sys.stderr)
        return 130


def _main(words: list[str], called: str) -> int:
    parser = argparse.ArgumentParser(prog="agh", description="Reinforcement learning of LLM agents from hindsight.")
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="command")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if name == called:  # only this command's module is imported
            _module(name).arguments(command)
    options = parser.parse_args(words)
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
