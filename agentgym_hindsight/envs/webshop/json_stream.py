"""Reading a JSON file record by record, so that a file of any size needs no more memory than its largest record.

The official files are one array or one object each, of up to 1.2 million records and several gigabytes. Plain or gzip.
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

__all__ = ["JsonFile", "estimated_records"]

_CHUNK = 1 << 20
_LONGEST = 1 << 26  # characters of one record: more than that is a missing quote, not a product
_SAMPLED = 200  # records that an estimate is made from
_NEAR = 16  # an error this close to what was read so far may be that more is to come: "\\u12", "-Infin"
_BLANK = re.compile(r"[ \t\n\r]*")
_ANEW = "it is cut off or not the file it is named for; try downloading it anew."
_KINDS = {"[": "a list", "{": "an object", '"': "a text"}


class JsonFile:
    """One file; iterate over :meth:`items` of an array or :meth:`pairs` of an object, once, inside ``with``."""

    def __init__(self, path: Path, *, chunk: int = _CHUNK) -> None:
        if not path.is_file():
            raise MissingDataError(f"Expected a file at {path}, found none; {_ANEW}")
        self.path, self.record, self.key = path, 0, ""
        self._size = path.stat().st_size
        self._raw = cast(BinaryIO, path.open("rb"))
        packed = self._raw.read(2) == b"\x1f\x8b"
        self._raw.seek(0)
        # newline="": what a file has between its records is blank either way, and inside of them escaped
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
        """About how much of the file the records so far take up, from 0 to 1."""
        held = self._gone + len(self._text)
        return min(1.0, self._raw.tell() / self._size * (self.consumed / held)) if held else 0.0

    def items(self, cure: str = _ANEW) -> Iterator[Any]:
        """The records of an array. ``cure``: what to try where the file holds something else."""
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

    def pairs(self, cure: str = _ANEW) -> Iterator[tuple[str, Any]]:
        """Keys and records of an object, in their order; a key that comes twice comes twice."""
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
        """Characters read so far, up to the end of the last record."""
        return self._gone + self._at

    def _open(self, sign: str, kind: str, cure: str) -> None:
        found = self._sign()
        if found != sign:
            got = _KINDS.get(found, repr(found)) if found else "an empty file"
            raise DamagedDataError(f"Expected {kind} in {self.path}, got {got}; {cure}")
        self._at += 1

    def _between(self, end: str) -> bool:
        """Whether the last record was passed; else stands before the next one."""
        sign = self._sign()
        if sign not in (",", end) or not sign:
            raise self._wrong(f"',' or '{end}' after a record")
        self._at += 1
        return sign == end

    def _close(self) -> None:
        if self._sign():
            raise self._wrong("the end of the file")

    def _sign(self) -> str:
        """The next character that is not blank, where the reader then stands; "" at the end of the file."""
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
                raise self._broken("lists within lists without end", self.consumed, False) from error
            taken = end - self._at
            if end >= len(self._text) - 2 and self._more():  # "12" may be the start of "123", "1.5" or "1e-5"
                continue
            self._at += taken  # reading on moved the text, even where nothing came
            return value

    def _more(self) -> bool:
        """Reads on, at least as much as is held unread, so that a long record is not scanned again and again."""
        if self._ended:
            return False
        rest = self._text[self._at :]
        try:
            found = self._file.read(max(self._chunk, len(rest)))
        except (EOFError, OSError, zlib.error, UnicodeDecodeError) as error:
            raise DamagedDataError(
                f"Expected JSON in {self.path}, got {error!r:.200} in or after {self._where()}: {_ANEW}"
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
            f"Expected JSON in {self.path}, got: {what} {self._where()}, character {place} ({why}): {_ANEW}"
        )


def estimated_records(path: Path) -> int:
    """About how many records an array has, from its size and its first records; 0 where that cannot be told."""
    try:
        with JsonFile(path, chunk=1 << 16) as file:
            for _ in file.items():
                if file.record >= _SAMPLED:
                    return int(file.record / max(file.share, 1e-9))
            return file.record
    except (DamagedDataError, MissingDataError):
        return 0  # who reads it all says what is wrong
