"""The report of a turn: the printed output, the error and the live variables, each of bounded size."""

from __future__ import annotations

import re
import traceback
from collections import deque
from collections.abc import Mapping
from types import ModuleType, TracebackType

__all__ = ["Output", "clean", "cut", "format_error", "format_syntax_error", "shape"]

_FIRST, _LAST = 3, 6  # frames shown of a long traceback
_COUNTED = frozenset(map(id, (str, bytes, bytearray, list, tuple, dict, set, frozenset)))
_NAME = type.__dict__["__name__"].__get__
#: The attributes of an exception as Python stores them, read past properties of its class with the same names.
_TRACEBACK, _CAUSE, _CONTEXT, _SUPPRESS_CONTEXT = (
    BaseException.__dict__[name].__get__
    for name in ("__traceback__", "__cause__", "__context__", "__suppress_context__")
)
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+>")
_VARIABLES, _SHAPE_CHARS = 200, 4_000


def cut(text: str, limit: int) -> str:
    """Shorten ``text`` to ``limit`` characters by replacing its middle with a note.

    >>> cut("abcdefghij" * 10, 40)
    'abcdefghijabcdefghijabcdefghij\\n… 60 characters left out …\\nabcdefghij'
    """
    if len(text) <= limit:
        return text
    head = limit * 3 // 4
    tail = limit - head
    return f"{text[:head]}\n… {len(text) - limit} characters left out …\n{text[-tail:] if tail else ''}"


def clean(text: str) -> str:
    """Replace what UTF-8 cannot encode (lone surrogates) and what differs between runs (addresses).

    >>> clean("<function f at 0x7f00deadbeef> of \\ud800")
    '<function f at 0x…> of ?'
    """
    return _ADDRESS.sub(" at 0x…>", text.encode("utf-8", "replace").decode())


class Output:
    """``sys.stdout`` of the agent. It keeps the beginning and the end, so its memory is bounded."""

    encoding, errors, newlines, closed = "utf-8", "replace", None, False

    def __init__(self, limit: int) -> None:
        self._head_room = limit * 3 // 4
        self._tail_room = limit - self._head_room
        self._head: list[str] = []
        self._tail = ""
        self._length = 0

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        text = str.__str__(text)  # of a subclass: a plain copy, made without the subclass's methods
        length, taken = len(text), self._head_room
        self._length += length
        if taken and text:  # endless empty texts would fill the list
            self._head.append(text[:taken])
            self._head_room -= min(taken, length)
        if length > taken:
            rest = text[max(taken, length - self._tail_room) :]
            self._tail = (self._tail + rest)[-self._tail_room :]
        return length

    def text(self) -> str:
        head = "".join(self._head)
        missing = self._length - len(head) - len(self._tail)
        return f"{head}\n… {missing} characters left out …\n{self._tail}" if missing > 0 else head + self._tail

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False


def format_error(error: BaseException, sources: Mapping[str, str], limit: int, last_line: str = "") -> str:
    """The frames of the traceback that lie in the agent's code, and the message or ``last_line`` instead of it."""
    parts = [_format_one(error, sources, limit, last_line)]
    while len(parts) < 3:
        direct = _CAUSE(error)
        cause = direct if direct is not None or _SUPPRESS_CONTEXT(error) else _CONTEXT(error)
        if cause is None or last_line:
            break
        link = "which was the cause of:" if direct is not None else "and while this was handled:"
        parts.append(f"{_format_one(cause, sources, limit, '')}\n\n{link}")
        error = cause
    return cut("\n\n".join(reversed(parts)), limit)


def format_syntax_error(error: Exception, limit: int) -> str:
    """A syntax error with the line and the caret."""
    try:
        return cut("".join(traceback.format_exception_only(type(error), error)).rstrip(), limit)
    except Exception:
        return _message(error, limit)


def _format_one(error: BaseException, sources: Mapping[str, str], limit: int, last_line: str) -> str:
    frames = _frames(_TRACEBACK(error), sources)
    head = ["Traceback (most recent call last):"] if frames else []
    return "\n".join([*head, *frames, last_line or _message(error, limit)])


def _frames(trace: TracebackType | None, sources: Mapping[str, str]) -> list[str]:
    first: list[tuple[str, int, str]] = []
    last: deque[tuple[str, int, str]] = deque(maxlen=_LAST)
    count = 0
    while trace is not None:  # may be a million frames; store only the first and last ones
        code = trace.tb_frame.f_code
        if type(code.co_filename) is str and code.co_filename in sources:  # a subclass can have its own __hash__
            count += 1
            name = str.__str__(code.co_name)  # may be of a subclass too
            (first if count <= _FIRST else last).append((code.co_filename, trace.tb_lineno or 0, name))
        trace = trace.tb_next
    left_out = count - len(first) - len(last)
    between = [f"  … {left_out} more frames …"] if left_out else []
    return [_frame(*each, sources) for each in first] + between + [_frame(*each, sources) for each in last]


def _frame(file: str, number: int, function: str, sources: Mapping[str, str]) -> str:
    lines = sources[file].splitlines()
    text = f"\n    {cut(lines[number - 1].strip(), 300)}" if 0 < number <= len(lines) else ""
    return f'  File "{file}", line {number}, in {function}{text}'


def _message(error: BaseException, limit: int) -> str:
    """``Name: text``. Code of the agent may compute the text, so this may raise anything, also SystemExit."""
    try:
        name = type_name(type(error))
        text = "".join(str(error))
    except BaseException:
        return "An exception whose text cannot be shown."
    return f"{name}: {cut(text, limit)}" if text else name


def type_name(kind: type) -> str:
    """The name of a type, read past a metaclass that overrides ``__name__``."""
    return str(_NAME(kind))


def shape(variables: Mapping[str, object]) -> str:
    """Canonical text of the live variables' names, types and lengths. Runs no code of the agent.

    >>> shape({"n": 3, "names": ["Ann", "Bo"], "_hidden": 1, "word": "abc"})
    'n:int names:list[2] word:str[3]'
    """
    found = []
    for name in sorted(key for key in list(variables) if type(key) is str and not key.startswith("_")):
        value = variables[name]
        kind = type(value)
        if name == "apis" or kind is ModuleType:
            continue
        size = f"[{len(value)}]" if id(kind) in _COUNTED else ""  # type: ignore[arg-type]
        found.append(f"{name}:{type_name(kind)}{size}")
        if len(found) == _VARIABLES:
            break
    return cut(" ".join(found), _SHAPE_CHARS)
