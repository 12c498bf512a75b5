"""The command line: ``agh`` (long: ``agentgym-hindsight``). One command a file; each is imported when it is called."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from agentgym_hindsight.errors import HindsightError, UsageError

__all__ = ["COMMANDS", "main"]

#: command → what it is for. The module of the same name has ``arguments(parser)`` and ``run(options) -> int``.
COMMANDS: dict[str, str] = {
    "list": "the environments, and which data each would play",
    "doctor": "what is installed, which data is there, what is missing and the cure",
    "demo": "a tiny policy, warmed up and trained by SERL on the embedded houses; report included",
    "play": "play yourself, with the hindsight shown",
    "serve": "the shop in a browser, played by the same engine as the env",
    "rollout": "a policy on a panel -> trajectories as JSONL; resumable",
    "train": "SERL and its rivals, on TRL; resumable",
    "eval": "models, endpoints and scripted policies on a panel; success with intervals",
    "compare": "rivals on equal terms: recipes × seeds, tables with intervals",
    "report": "training runs as one HTML page: curves, tables, rollouts, warnings",
    "data": "panels, games, installations: list, check, export, install",
    "bench": "speed, side by side in one run",
    "parity": "our engine against the genuine one, turn by turn",
    "anchors": "how often equal text hides different states, as a table",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    name = next((word for word in given if word in COMMANDS), "")
    try:
        return _main(given, name)
    except UsageError as error:
        print(f"agh {name}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `agh list | head`: the reader has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # discard what is still buffered
        return 0
    except (HindsightError, OSError) as error:
        print(f"agh {name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nagh {name}: stopped; finished parts are kept.", file=sys.stderr)
        return 130


def _main(given: list[str], called: str) -> int:
    parser = argparse.ArgumentParser(prog="agh", description="Reinforcement learning of LLM agents from hindsight.")
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="command")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if name == called:  # only this command's module is imported
            _module(name).arguments(command)
    options = parser.parse_args(given)
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
    return import_module(f"agentgym_hindsight.cli.{name}_command")
