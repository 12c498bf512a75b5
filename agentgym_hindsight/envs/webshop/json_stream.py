"""Read a JSON file, plain or gzip, record by record, with the memory of its largest record.

Each official file is one array or one object with up to 1.2 million records and several gigabytes.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from io import TextIOWrapper
from json import JSONDecodeError
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, cast

from agentgym_hindsight.errors import DamagedDataError, MissingDataError

__all__ = ["JsonFile", "estimated_records", "is_gzip"]

_CHUNK = 1 << 20
_LONGEST = 1 << 26  # characters of one record; a longer one is the result of a missing quote
_SAMPLED = 200  # records that an estimate is based on
_NEAR = 16  # an error this close to the end of the buffer may be an incomplete token: "\\u12", "-Infin"
_BLANK = re.compile(r"[ \t\n\r]*")
_CURE = "it is cut off or has other content than its name says; try downloading it again."
_KINDS = {"[": "a list", "{": "an object", '"': "a text"}


def is_gzip(path: Path) -> bool:
    """Whether a file starts with the magic number of gzip."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


class JsonFile:
    """One JSON file. Inside ``with``, iterate once over the :meth:`items` of an array or :meth:`pairs` of an object."""

    def __init__(self, path: Path, *, chunk: int = _CHUNK) -> None:
        if not path.is_file():
            raise MissingDataError(f"Expected a file at {path}, found none; {_CURE}")
        self.path, self.record, self.key = path, 0, ""
        self._size = path.stat().st_size
        packed = is_gzip(path)
        self._raw = cast(BinaryIO, path.open("rb"))
        # newline="": line breaks between records are blanks in any form, and inside of records they are escaped
        plain = cast(BinaryIO, gzip.GzipFile(fileobj=self._raw)) if packed else self._raw
        self._file = TextIOWrapper(plain, encoding="utf-8", newline="")
        self._scan = json.JSONDecoder().raw_decode
        self._chunk = chunk
        self._text, self._at, self._gone, self._ended = "", 0, 0, False

    def __enter__(self) -> JsonFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        self._raw.close()

    @property
    def share(self) -> float:
        """The approximate share of the file that the records so far take, from 0 to 1."""
        held = self._gone + len(self._text)
        return min(1.0, self._raw.tell() / self._size * (self.consumed / held)) if held else 0.0

    def items(self, cure: str = _CURE) -> Iterator[Any]:
        """The records of an array. ``cure``: the advice of the error if the file is no array."""
        self._open("[", "a list", cure)
        if self._sign() == "]":
            self._at += 1
        else:
            while True:
                yield self._value()
                self.record += 1
                if self._between("]"):
                    break
        self._close()

    def pairs(self, cure: str = _CURE) -> Iterator[tuple[str, Any]]:
        """The keys and records of an object, in order; repeated keys are repeated."""
        self._open("{", "an object", cure)
        if self._sign() == "}":
            self._at += 1
        else:
            while True:
                if self._sign() != '"':
                    raise self._wrong("a key in quotes")
                self.key = self._value()
                if self._sign() != ":":
                    raise self._wrong("':' after a key")
                self._at += 1
                yield self.key, self._value()
                self.record += 1
                if self._between("}"):
                    break
        self._close()

    @property
    def consumed(self) -> int:
        """Number of characters up to the end of the last record."""
        return self._gone + self._at

    def _open(self, sign: str, kind: str, cure: str) -> None:
        found = self._sign()
        if found != sign:
            got = _KINDS.get(found, repr(found)) if found else "an empty file"
            raise DamagedDataError(f"Expected {kind} in {self.path}, got {got}; {cure}")
        self._at += 1

    def _between(self, end: str) -> bool:
        """Read the separator after a record; true if it ends the array or object."""
        sign = self._sign()
        if sign not in (",", end) or not sign:
            raise self._wrong(f"',' or '{end}' after a record")
        self._at += 1
        return sign == end

    def _close(self) -> None:
        if self._sign():
            raise self._wrong("the end of the file")

    def _sign(self) -> str:
        """Move to the next character that is not blank and return it; "" at the end of the file."""
        while True:
            match = _BLANK.match(self._text, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def _value(self) -> Any:
        self._sign()
        while True:
            try:
                value, end = self._scan(self._text, self._at)
            except JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated string") or error.pos >= len(self._text) - _NEAR
                if cut and len(self._text) - self._at < _LONGEST and self._more():
                    continue
                raise self._broken(error.msg, self._gone + error.pos, self._ended and cut) from error
            except RecursionError as error:
                raise self._broken("too deeply nested", self.consumed, False) from error
            taken = end - self._at
            if end >= len(self._text) - 2 and self._more():  # "12" may be the start of "123", "1.5" or "1e-5"
                continue
            self._at += taken  # _more() moves the buffer, even at the end of the file
            return value

    def _more(self) -> bool:
        """Read on, at least as much as is unread in the buffer, so that long records are not scanned quadratically."""
        if self._ended:
            return False
        rest = self._text[self._at :]
        try:
            found = self._file.read(max(self._chunk, len(rest)))
        except (EOFError, OSError, zlib.error, UnicodeDecodeError) as error:
            raise DamagedDataError(
                f"Expected JSON in {self.path}, got {error!r:.200} in or after {self._where()}: {_CURE}"
            ) from error
        self._gone += self._at
        self._text, self._at, self._ended = rest + found, 0, not found
        return bool(found)

    def _where(self) -> str:
        return f"record {self.record}" + (f" (after {self.key!r:.80})" if self.key else "")

    def _wrong(self, expected: str) -> DamagedDataError:
        found = self._text[self._at : self._at + 20]
        return self._broken(f"expected {expected}, got {found!r}", self.consumed, not found)

    def _broken(self, why: str, place: int, cut: bool) -> DamagedDataError:
        what = "the file ends in or after" if cut else "an error in or after"
        return DamagedDataError(
            f"Expected JSON in {self.path}, got: {what} {self._where()}, character {place} ({why}): {_CURE}"
        )


def estimated_records(path: Path) -> int:
    """The approximate number of records of an array, from its size and first records; 0 if the file is unreadable."""
    try:
        with JsonFile(path, chunk=1 << 16) as file:
            for _ in file.items():
                if file.record >= _SAMPLED:
                    return int(file.record / max(file.share, 1e-9))
            return file.record
    except (DamagedDataError, MissingDataError):
        return 0  # reading the whole file raises the error
