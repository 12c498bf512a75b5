"""What the commands print: consoles, plain lines and JSON.

Text of worlds, models and files is data. Every text is printed without its control characters, and markup such as
``[red]`` is printed as it is written. With ``NO_COLOR`` or ``TERM=dumb``, and in a pipe, no escape sequence is printed.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from agentgym_hindsight.printable import printable, printable_line

__all__ = [
    "SafeConsole",
    "console",
    "is_plain",
    "output",
    "plain_warnings",
    "prepare_streams",
    "print_error",
    "print_json",
    "print_line",
]

_COLOUR = re.compile("\x1b\\[[0-9;]*m")

#: Columns of a pipe or a file, enough for nearly all tables.
_PIPE_WIDTH = 150


def is_plain(stream: IO[str] | None) -> bool:
    """Whether no escape sequence may be written to the stream."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM", "").lower() in ("dumb", "unknown"):
        return True
    return not (os.environ.get("FORCE_COLOR") or _is_terminal(stream))


def _is_terminal(stream: IO[str] | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty()


class SafeConsole(Console):
    """A console that prints control characters as escapes such as ``\\x1b``. Markup needs ``markup=True``."""

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        plain = is_plain(sys.stderr if stderr else sys.stdout)
        super().__init__(
            stderr=stderr,
            width=width,
            color_system=None if plain else "auto",
            highlight=False,
            markup=False,
            emoji=False,
        )

    @property
    def is_terminal(self) -> bool:
        return not is_plain(self.file)

    def render_str(self, text: str, **options: Any) -> Text:
        """The text of a ``print`` or of a table's cell. It is cleaned before it is measured."""
        return super().render_str(printable(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Everything else: ``Text``, titles, progress bars."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # rich would exit with status 1, but `agh list | head` is not a failure


#: Messages and progress go to standard error, results to standard output.
console = SafeConsole(stderr=True)


def output() -> SafeConsole:
    """The console for results, on standard output."""
    return SafeConsole(width=None if _is_terminal(sys.stdout) else _PIPE_WIDTH)


def print_line(text: str) -> None:
    """Print a text to standard output, without control characters. Its line breaks stay."""
    print(printable(text))


def print_error(text: str) -> None:
    """Print a text to standard error, without control characters. Its line breaks stay."""
    print(printable(text), file=sys.stderr)


def print_json(value: Any) -> None:
    """Print a value as JSON to standard output. NaN and infinity, which JSON does not have, become null."""
    # Escaped, so that it needs no encoding and no control character gets out. json leaves DEL as it is.
    print(json.dumps(_finite(value), indent=1, allow_nan=False).replace("\x7f", "\\u007f"))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Print warnings as one line on standard error. Gymnasium's contain colours, and any may contain foreign text."""

    def show(message: Warning | str, *_: object, **__: object) -> None:
        print_error(f"warning: {printable_line(_COLOUR.sub('', str(message)), 1000)}")

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def prepare_streams() -> None:
    """Let any text be printed and read: what an encoding does not have is escaped, and wrong bytes are replaced.

    A closed standard error becomes the null device. Its number would else be given to the next file that is opened.
    """
    try:
        os.fstat(2)
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        if null != 2:
            os.dup2(null, 2)
            os.close(null)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # for the life of the process
    for stream, errors in ((sys.stdout, "backslashreplace"), (sys.stdin, "replace")):
        # A stream is None if it was closed by the caller; a test's replacement may have no reconfigure.
        with suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(errors=errors)  # type: ignore[union-attr]
