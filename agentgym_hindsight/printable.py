"""Text of worlds, models and files made safe for a terminal: control characters are shown, not executed."""

from __future__ import annotations

import re

__all__ = ["printable", "printable_line"]

# C0 without tab and line feed, DEL, C1 (0x9b starts an escape sequence too), direction controls (they reorder what a
# person reads), the Unicode line separators, and lone surrogates (they cannot be written as UTF-8).
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_BREAKS = re.compile(r"[\t\n ]+")


def printable(text: str) -> str:
    r"""The text with control characters written as escapes, such as ``\x1b``. Tabs and line feeds stay.

    A carriage return before a line feed is removed: it belongs to the line break.

    >>> print(printable("a\r\nb \x1b[2Jc"))
    a
    b \x1b[2Jc
    """
    return _UNSAFE.sub(_escape, text.replace("\r\n", "\n"))


def printable_line(text: str, width: int | None = None) -> str:
    r"""The text on one line, for tables and reprs: printable, with runs of blanks and line breaks as one blank.

    A longer text than ``width`` ends with ``…``.

    >>> printable_line("two\n\tlines\x07"), printable_line("a long text", 6)
    ('two lines\\x07', 'a lon…')
    """
    if width is not None:
        text = text[: 20 * width + 100]  # only the beginning is shown: do not scan megabytes for it
    line = _BREAKS.sub(" ", printable(text)).strip()
    return line if width is None or len(line) <= width else line[: max(width - 1, 0)].rstrip() + "…"


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
