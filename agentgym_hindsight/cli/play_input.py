"""Reading commands in ``agh play``: line editing, a history between sessions, and Tab.

The history is a file that only its owner can read, ``$XDG_STATE_HOME/agentgym_hindsight/play_history``. Without a
folder that can be written it lasts for one session.
"""

from __future__ import annotations

import codeop
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from agentgym_hindsight.cli.terminal import is_plain
from agentgym_hindsight.printable import printable, printable_line

__all__ = ["CommandLine", "history_file", "is_incomplete"]

_LINES = 1000  # of the history
_INDENT = "    "


def history_file() -> Path:
    """The file of earlier commands."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "agentgym_hindsight" / "play_history"


class CommandLine:
    """Reads commands. ``candidates`` returns the commands that Tab offers now; with ``code`` a command is a program."""

    def __init__(self, candidates: Callable[[], Sequence[str]], *, code: bool) -> None:
        self._candidates, self._code = candidates, code
        self._readline: Any = None
        self._matches: list[str] = []

    def __enter__(self) -> CommandLine:
        if sys.stdin is not None and sys.stdin.isatty() and sys.stdout is not None and sys.stdout.isatty():
            with suppress(ImportError):  # Windows has no readline
                import readline

                self._readline = readline
                self._configure()
        return self

    def __exit__(self, *_: object) -> None:
        if self._readline is not None:
            self._readline.set_completer(None)
            _save(self._readline)

    def read(self, prompt: str) -> str:
        """One command: a line, or all lines of a program. Raises EOFError at the end of the input."""
        line = self._line(f"{prompt}> ")
        if not self._code or line.lstrip().startswith(":"):
            return line.strip()
        program = line
        while is_incomplete(program):
            program += "\n" + self._line(". ")
        return program.rstrip()

    def _line(self, prompt: str) -> str:
        try:
            return input(self._styled(printable_line(prompt) + " "))
        except RuntimeError as error:  # standard input is closed
            raise EOFError from error

    def _styled(self, prompt: str) -> str:
        if is_plain(sys.stdout):
            return prompt
        bold, normal = "\x1b[1m", "\x1b[0m"
        if self._readline is None:
            return f"{bold}{prompt}{normal}"
        return f"\x01{bold}\x02{prompt}\x01{normal}\x02"  # readline must know which characters have no width

    def _configure(self) -> None:
        editor = self._readline
        backend = getattr(editor, "backend", None) or ("editline" if "libedit" in (editor.__doc__ or "") else "")
        editor.parse_and_bind("bind ^I rl_complete" if backend == "editline" else "tab: complete")
        if is_plain(sys.stdout) and backend != "editline":
            editor.parse_and_bind("set enable-bracketed-paste off")  # it would print escape sequences
            editor.parse_and_bind("set enable-keypad off")
        editor.set_completer_delims("")  # a command may contain any character: complete the whole line
        editor.set_completer(self._complete)
        editor.set_history_length(_LINES)
        editor.clear_history()
        with suppress(OSError, ValueError):
            editor.read_history_file(str(history_file()))

    def _complete(self, typed: str, number: int) -> str | None:
        if number == 0:
            self._matches = self.matches(typed)
        return self._matches[number] if number < len(self._matches) else None

    def matches(self, typed: str) -> list[str]:
        """What Tab offers: the candidates that begin with the typed text, without regard to case."""
        if self._code and not typed.strip():
            return [typed + _INDENT]  # Tab indents a line of a program
        wanted = typed.lstrip().casefold()
        # A candidate with control characters could not be typed as it is, and the terminal would execute it.
        return [each for each in self._candidates() if each.casefold().startswith(wanted) and printable(each) == each]


def _save(editor: Any) -> None:
    path = history_file()
    with suppress(OSError, ValueError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.is_symlink() or (path.exists() and not path.is_file()):
            return
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        path.chmod(0o600)
        editor.write_history_file(str(path))


def is_incomplete(program: str) -> bool:
    """Whether Python's interactive prompt would wait for more lines."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a SyntaxWarning about the program must not be printed
        try:
            return codeop.compile_command(program) is None
        except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
            return False  # the program is complete but wrong; the environment reports the error
