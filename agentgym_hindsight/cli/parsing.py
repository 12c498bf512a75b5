"""The parser of the command line: values are checked when they are read, and errors say what to try."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.names import known_name
from agentgym_hindsight.printable import printable, printable_line
from agentgym_hindsight.redaction import hide_passwords

__all__ = [
    "LARGEST_SEED",
    "Parser",
    "json_or_text",
    "name_of",
    "number",
    "parse",
    "path",
    "seed",
    "server_and_model",
    "source",
    "text",
    "whole",
]

#: numpy and the trainers take 32 bits.
LARGEST_SEED = 2**32 - 1


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are exceptions. ``agh`` prints them in one place."""

    def error(self, message: str) -> NoReturn:
        cure = "" if "; try " in message or "did you mean" in message else f"; try {self.prog} --help"
        raise UsageError(f"{message.rstrip('.')}{cure}.")


def parse(parser: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Namespace:
    """Parse the words. An unknown option raises an error that proposes the nearest one."""
    options, unknown = parser.parse_known_args(words)
    for word in unknown:
        if word.startswith("--"):
            chosen = _chosen_parser(parser, options)
            name = word.partition("=")[0]
            known = [flag for action in chosen._actions for flag in action.option_strings if flag.startswith("--")]
            raise UnknownNameError(f"option of {chosen.prog}", name, known)
    if unknown:
        raise UsageError(f"Expected no further word, got {unknown[0]!r}; try {parser.prog} --help.")
    return options


def _chosen_parser(parser: argparse.ArgumentParser, options: argparse.Namespace) -> argparse.ArgumentParser:
    """The parser of the command (and its verb) that the options belong to."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            name = getattr(options, action.dest, None)
            if name in action.choices:
                chosen: argparse.ArgumentParser = action.choices[name]
                return _chosen_parser(chosen, options)
    return parser


def whole(least: int = 0, most: int | None = None, *, example: int | None = None) -> Callable[[str], int]:
    """The type of an option: a whole number in a range."""
    limits = f"of {least} or more" if most is None else f"from {least} to {most}"
    tried = least if example is None else example

    def read(given: str) -> int:
        try:
            value = int(given)
        except ValueError:
            value = None
        if value is None or value < least or (most is not None and value > most):
            raise argparse.ArgumentTypeError(f"Expected a whole number {limits}, got {_short(given)}; try {tried}")
        return value

    return read


def whole_or(*words: str) -> Callable[[str], int | str]:
    """The type of an option: a whole number, or one of these words."""
    read_whole = whole()

    def read(given: str) -> int | str:
        word = given.strip().casefold()
        if word in words:
            return word
        try:
            return read_whole(given)
        except argparse.ArgumentTypeError as error:
            number, _, tried = str(error).partition(", got ")
            raise argparse.ArgumentTypeError(f"{number} or {' or '.join(words)}, got {tried}") from None

    return read


#: The type of ``--seed``.
seed = whole(0, LARGEST_SEED)


def number(least: float = 0.0, most: float = math.inf, *, example: float) -> Callable[[str], float]:
    """The type of an option: a finite number in a range."""
    limits = f"of {least:g} or more" if most == math.inf else f"from {least:g} to {most:g}"

    def read(given: str) -> float:
        try:
            value = float(given)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or not least <= value <= most:
            raise argparse.ArgumentTypeError(f"Expected a number {limits}, got {_short(given)}; try {example:g}")
        return value

    return read


def name_of(kind: str, known: Iterable[str]) -> Callable[[str], str]:
    """The type of an option: one of the known names, without regard to case. Use it together with ``choices``."""
    names = list(known)

    def read(given: str) -> str:
        try:
            return known_name(kind, given, names)
        except UnknownNameError as error:
            raise argparse.ArgumentTypeError(str(error).rstrip(".")) from None

    return read


def path(given: str) -> str:
    """The type of an option: the path of a file or folder."""
    if not given.strip():
        raise argparse.ArgumentTypeError("Expected a path, got an empty text; try leaving the option out")
    if "\0" in given:
        raise argparse.ArgumentTypeError(f"Expected a path, got {_short(given)}; try one without a NUL character")
    return given


def source(given: str) -> str:
    """The type of an option: the path of a file or folder that is read. Devices and pipes may have no end."""
    found = Path(path(given))
    try:
        special = found.exists() and not found.is_file() and not found.is_dir()
    except (OSError, ValueError):  # the command that reads it says why it cannot
        special = False
    if special:
        raise argparse.ArgumentTypeError(
            f"Expected a file or a folder, got the device or pipe {_short(given)}; try a file"
        )
    return given


def text(given: str) -> str:
    """The type of an option: a text that is not empty."""
    if not given.strip():
        raise argparse.ArgumentTypeError("Expected a name, got an empty text; try leaving the option out")
    return given


def server_and_model(option: str, address: str) -> tuple[str, str]:
    """The URL and the model of ``URL#MODEL``.

    >>> server_and_model("--analyser ", "http://localhost:8000/v1#my-model")
    ('http://localhost:8000/v1', 'my-model')
    """
    url, _, model = address.rpartition("#")
    if not url or not model:
        raise UsageError(
            f"Expected {option}URL#MODEL, got {hide_passwords(f'{option}{address}')!r}; "
            f"try {option}http://localhost:8000/v1#my-model."
        )
    return url, model


def json_or_text(option: str, value: str) -> Any:
    """The value of ``option=value``: JSON, or a text. What begins like a list, a mapping or a quoted text must be JSON.

    >>> json_or_text("--set a", "[1, 2]"), json_or_text("--set a", "embedded"), json_or_text("--set a", "NaN")
    ([1, 2], 'embedded', 'NaN')
    """
    try:
        return json.loads(value, parse_constant=lambda constant: constant)  # NaN is a text, not a number
    except (ValueError, RecursionError) as error:
        if value.lstrip()[:1] in ("{", "[", '"'):
            cause = "deeper nesting than can be read" if isinstance(error, RecursionError) else str(error)
            raise UsageError(
                f"Expected JSON in {option}=…, got {printable_line(value, 60)!r} ({cause}); "
                "try quotes around the whole, as in --set 'task_types=[\"pick_two_obj_and_place\"]'."
            ) from None
        return value


def _short(given: str) -> str:
    shown = repr(printable(given))
    return shown if len(shown) <= 80 else f"{shown[:79]}…"
