"""What can be completed: the commands, their options and the values of these, read from the real parsers."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from agentgym_hindsight.cli.eval_policies import KINDS, PROMPTED
from agentgym_hindsight.cli.parsing import path, source
from agentgym_hindsight.hindsight.anchors import ANCHOR_KINDS
from agentgym_hindsight.registration import ENVS
from agentgym_hindsight.stage import short_name
from agentgym_hindsight.wrappers.parsing import PARSERS
from agentgym_hindsight.wrappers.protocols import PROTOCOLS

__all__ = ["CommandWords", "Value", "command_words"]


class Value(NamedTuple):
    """The values of an option or an argument: known words, files, or both. Neither: any text."""

    words: tuple[str, ...] = ()
    files: bool = False


class CommandWords(NamedTuple):
    """A command such as ``("data", "panel")``, what may follow it, and the commands below it."""

    path: tuple[str, ...]
    summary: str
    options: dict[str, Value | None]  # the flag → its value; None if it takes none
    meanings: dict[str, str]  # the flag → its help text
    arguments: Value
    below: tuple[CommandWords, ...] = ()

    @property
    def all(self) -> Iterator[CommandWords]:
        """This command and all below it."""
        yield self
        for each in self.below:
            yield from each.all


#: The destination of an option whose words the parser does not know → the words.
_WORDS: dict[str, tuple[str, ...]] = {
    "env": tuple(entry.id for entry in ENVS) + tuple(short_name(entry.id) for entry in ENVS),
    "policy": tuple(dict.fromkeys(kind.partition(":")[0] for kind in (*KINDS, *PROMPTED) if kind != "PATH")),
    "model": ("tiny:S", "tiny:M", "tiny:L"),
    "where": ("step", "anchor"),
    "protocol": tuple(PROTOCOLS),
    "parser": tuple(PARSERS),
    "anchor": ANCHOR_KINDS,
}
#: These take a file or a folder too.
_FILES = frozenset({"policy", "model", "config"})


def command_words(parser: argparse.ArgumentParser, names: tuple[str, ...] = (), summary: str = "") -> CommandWords:
    """The words of a parser and of the commands below it."""
    options: dict[str, Value | None] = {}
    meanings: dict[str, str] = {}
    arguments, below = Value(), list[CommandWords]()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            below += [command_words(each, (*names, name), helps.get(name, "")) for name, each in action.choices.items()]
        elif action.option_strings:
            for flag in action.option_strings:
                options[flag] = None if action.nargs == 0 else _value(action)
                meanings[flag] = _meaning(action)
        else:
            arguments = _value(action)
    return CommandWords(names, summary, options, meanings, arguments, tuple(below))


def _value(action: argparse.Action) -> Value:
    words: Sequence[str] = tuple(map(str, action.choices or ())) or _WORDS.get(action.dest, ())
    if action.dest in ("recipe", "entries", "config", "credit", "method"):
        words = _trained(action.dest)
    return Value(tuple(words), action.type in (path, source, Path) or action.dest in _FILES)


def _trained(name: str) -> tuple[str, ...]:
    """Methods, sets of methods and shipped configurations; none without the extra [train]."""
    from agentgym_hindsight.baselines.methods import RECIPES
    from agentgym_hindsight.baselines.training.configuration import shipped_configurations

    if name == "config":
        return tuple(shipped_configurations())
    if name in ("recipe", "credit", "method"):
        return tuple(RECIPES)
    from agentgym_hindsight.cli.compare_command import SETS

    return (*SETS, *RECIPES)


def _meaning(action: argparse.Action) -> str:
    """The help text up to the first semicolon or bracket, without the characters that a shell would read."""
    text = (action.help or "").split("(")[0].split(";")[0]
    return "".join(character for character in text if character not in "'\"`[]:\\$%").strip(" ,")
