"""Chosen options in an address: JSON, or a Python dict of strings as in the original.

Addresses are untrusted input, so they are read by a small parser instead of ``literal_eval``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

__all__ = ["LONGEST", "read_options", "read_strings", "write_options"]

#: Maximal number of characters: ten times that of the official product with the most options.
LONGEST = 4000

_STRING = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_PAIR = re.compile(rf"\s*({_STRING})\s*:\s*({_STRING})\s*(?:,|$)", re.DOTALL)
_ITEM = re.compile(rf"\s*({_STRING})\s*(?:,|$)", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_SIGNS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def write_options(options: Iterable[tuple[str, str]]) -> str:
    """The text of options in an address."""
    return json.dumps(dict(options), ensure_ascii=False)


def read_options(text: str) -> dict[str, str] | None:
    """Axis -> value; None if the text is no dict of strings.

    >>> read_options('{"color": "red", "size": "8"}'), read_options("{'color': 'men\\\\'s'}"), read_options("{open()}")
    ({'color': 'red', 'size': '8'}, {'color': "men's"}, None)
    """
    pairs = _all_matches(_PAIR, text, "{", "}")
    return None if pairs is None else {_string(axis): _string(value) for axis, value in pairs}


def read_strings(text: str) -> list[str] | None:
    """A Python or JSON list of strings; None if the text is no such list.

    >>> read_strings("['red', 'shoes']"), read_strings("red+shoes")
    (['red', 'shoes'], None)
    """
    strings = _all_matches(_ITEM, text, "[", "]")
    return None if strings is None else [_string(value) for (value,) in strings]


def _all_matches(pattern: re.Pattern[str], text: str, start: str, end: str) -> list[tuple[str, ...]] | None:
    text = text.strip()
    if len(text) > LONGEST or not (text.startswith(start) and text.endswith(end) and len(text) > 1):
        return None
    text, position, matches = text[1:-1].strip(), 0, []
    while position < len(text):
        match = pattern.match(text, position)
        if match is None:
            return None
        matches.append(match.groups())
        position = match.end()
    return matches


def _string(quoted: str) -> str:
    text = _ESCAPE.sub(_unescape, quoted[1:-1])
    # JSON writes characters beyond U+FFFF as two surrogates.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _unescape(match: re.Match[str]) -> str:
    short, long, byte, sign = match.groups()
    if sign is not None:
        return _SIGNS.get(sign, sign)
    number = int(short or long or byte, 16)
    return chr(number) if number <= 0x10FFFF else "�"
