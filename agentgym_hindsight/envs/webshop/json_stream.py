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
from agentgym_hindsight.files import open_file

__all__ = ["JsonFile", "estimated_records", "is_gzip"]

_CHUNK = 1 << 20
_MAX_RECORD = 1 << 26  # characters of one record; a longer one is the result of a missing quote
_SAMPLED_RECORDS = 200  # records that an estimate is based on
_END_MARGIN = 16  # an error this close to the end of the buffer may be an incomplete token: "\\u12", "-Infin"
_BLANK = re.compile(r"[ \t\n\r]*")
_FIX = "it is cut off or has other content than its name says; try downloading it again."
_KINDS = {"[": "a list", "{": "an object", '"': "a text"}


def is_gzip(path: Path) -> bool:
    """Whether a file starts with the magic number of gzip."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


class JsonFile:
    """One JSON file. Inside ``with``, iterate once over the :meth:`items` of an array or :meth:`pairs` of an object."""

    def __init__(self, path: Path, *, chunk: int = _CHUNK) -> None:
        open_file(path, "official data", _FIX).close()
        self.path, self.record, self.key = path, 0, ""
        self._size = path.stat().st_size
        compressed = is_gzip(path)
        self._raw = cast(BinaryIO, path.open("rb"))
        # No newline translation: between records all line breaks are white space, and inside records they are escaped.
        plain = cast(BinaryIO, gzip.GzipFile(fileobj=self._raw)) if compressed else self._raw
        self._file = TextIOWrapper(plain, encoding="utf-8", newline="")
        self._scan = json.JSONDecoder().raw_decode
        self._chunk = chunk
        self._text, self._offset, self._discarded, self._ended = "", 0, 0, False

    def __enter__(self) -> JsonFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()
        self._raw.close()

    @property
    def share(self) -> float:
        """The approximate share of the file that has been read, from 0 to 1."""
        characters = self._discarded + len(self._text)
        return min(1.0, self._raw.tell() / self._size * (self.consumed / characters)) if characters else 0.0

    def items(self, fix: str = _FIX) -> Iterator[Any]:
        """The records of an array. ``fix``: the advice in the error if the file is no array."""
        self._open("[", "a list", fix)
        if self._next_character() == "]":
            self._offset += 1
        else:
            while True:
                yield self._value()
                self.record += 1
                if self._read_separator("]"):
                    break
        self._close()

    def pairs(self, fix: str = _FIX) -> Iterator[tuple[str, Any]]:
        """The keys and records of an object, in order. A repeated key is returned each time."""
        self._open("{", "an object", fix)
        if self._next_character() == "}":
            self._offset += 1
        else:
            while True:
                if self._next_character() != '"':
                    raise self._unexpected("a key in quotes")
                self.key = self._value()
                if self._next_character() != ":":
                    raise self._unexpected("':' after a key")
                self._offset += 1
                yield self.key, self._value()
                self.record += 1
                if self._read_separator("}"):
                    break
        self._close()

    @property
    def consumed(self) -> int:
        """Number of characters up to the end of the last record."""
        return self._discarded + self._offset

    def _open(self, bracket: str, kind: str, fix: str) -> None:
        character = self._next_character()
        if character != bracket:
            got = _KINDS.get(character, repr(character)) if character else "an empty file"
            raise DamagedDataError(f"Expected {kind} in {self.path}, got {got}; {fix}")
        self._offset += 1

    def _read_separator(self, end: str) -> bool:
        """Read the separator after a record; true if it ends the array or object."""
        character = self._next_character()
        if character not in (",", end) or not character:
            raise self._unexpected(f"',' or '{end}' after a record")
        self._offset += 1
        return character == end

    def _close(self) -> None:
        if self._next_character():
            raise self._unexpected("the end of the file")

    def _next_character(self) -> str:
        """Move to the next character that is not blank and return it; "" at the end of the file."""
        while True:
            match = _BLANK.match(self._text, self._offset)
            self._offset = match.end() if match else self._offset
            if self._offset < len(self._text):
                return self._text[self._offset]
            if not self._read_more():
                return ""

    def _value(self) -> Any:
        self._next_character()
        while True:
            try:
                value, end = self._scan(self._text, self._offset)
            except JSONDecodeError as error:
                cut_off = error.msg.startswith("Unterminated string") or error.pos >= len(self._text) - _END_MARGIN
                if cut_off and len(self._text) - self._offset < _MAX_RECORD and self._read_more():
                    continue
                raise self._damaged(error.msg, self._discarded + error.pos, self._ended and cut_off) from error
            except RecursionError as error:
                raise self._damaged("too deeply nested", self.consumed, False) from error
            except ValueError as error:  # a number of thousands of digits
                raise self._damaged(str(error), self.consumed, False) from error
            length = end - self._offset
            if end >= len(self._text) - 2 and self._read_more():  # "12" may be the start of "123", "1.5" or "1e-5"
                continue
            self._offset += length  # _read_more() moves the buffer, even at the end of the file
            return value

    def _read_more(self) -> bool:
        """Read on, at least as much as is unread in the buffer, so that long records are not scanned quadratically."""
        if self._ended:
            return False
        unread = self._text[self._offset :]
        try:
            text = self._file.read(max(self._chunk, len(unread)))
        except (EOFError, OSError, zlib.error, UnicodeDecodeError) as error:
            raise DamagedDataError(
                f"Expected JSON in {self.path}, got {error!r:.200} in or after {self._where()}: {_FIX}"
            ) from error
        self._discarded += self._offset
        self._text, self._offset, self._ended = unread + text, 0, not text
        return bool(text)

    def _where(self) -> str:
        return f"record {self.record}" + (f" (after {self.key!r:.80})" if self.key else "")

    def _unexpected(self, expected: str) -> DamagedDataError:
        found = self._text[self._offset : self._offset + 20]
        return self._damaged(f"expected {expected}, got {found!r}", self.consumed, not found)

    def _damaged(self, why: str, position: int, cut_off: bool) -> DamagedDataError:
        what = "the file ends in or after" if cut_off else "an error in or after"
        return DamagedDataError(
            f"Expected JSON in {self.path}, got: {what} {self._where()}, character {position} ({why}): {_FIX}"
        )


def estimated_records(path: Path) -> int:
    """The approximate number of records of an array, from its size and first records; 0 if the file is unreadable."""
    try:
        with JsonFile(path, chunk=1 << 16) as file:
            for _ in file.items():
                if file.record >= _SAMPLED_RECORDS:
                    return int(file.record / max(file.share, 1e-9))
            return file.record
    except (DamagedDataError, MissingDataError):
        return 0  # reading the whole file raises the error
