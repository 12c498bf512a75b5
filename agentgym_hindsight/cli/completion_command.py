"""``agh completion``: print the script that completes commands, options and names in a shell."""

from __future__ import annotations

import argparse

from agentgym_hindsight.cli.completion_scripts import SCRIPTS
from agentgym_hindsight.cli.completion_words import command_words
from agentgym_hindsight.cli.parsing import name_of
from agentgym_hindsight.cli.terminal import console

_INSTALL = {
    "bash": 'eval "$(agh completion bash)"   # in ~/.bashrc',
    "zsh": 'eval "$(agh completion zsh)"   # in ~/.zshrc, after compinit',
    "fish": "agh completion fish > ~/.config/fish/completions/agh.fish",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", type=name_of("shell", SCRIPTS), choices=list(SCRIPTS), help="the shell")


def run(options: argparse.Namespace) -> int:
    from agentgym_hindsight.cli import full_parser  # it imports the modules of all commands

    parser, missing = full_parser()
    print(SCRIPTS[options.shell](command_words(parser)), end="")
    if missing:
        console.print(f"Without the options of {', '.join(missing)}: the extra [train] is not installed.")
    if console.is_terminal:
        console.print(f"To use it: {_INSTALL[options.shell]}", soft_wrap=True)
    return 0
