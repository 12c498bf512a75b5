"""Formats of one document a rollout: a single file, a ``.jsonl`` file of one a line, or a folder of files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from agentgym_hindsight.atomic import atomic_file, atomic_folder
from agentgym_hindsight.errors import DataError, MissingDataError, SchemaError, UsageError
from agentgym_hindsight.exports.json_documents import dump_line, problem, read_document, read_lines
from agentgym_hindsight.hindsight.jsonl import LineProblem
from agentgym_hindsight.hindsight.trajectory import Trajectory

__all__ = ["files_of", "into_folder", "read_documents", "write_documents"]


def write_documents(documents: Iterable[Any], out: Path, name: str) -> int:
    """Write the documents and return their number.

    ``out`` with the ending ``.jsonl`` gets one document a line, with ``.json`` the only document, and any other ``out``
    is a folder with the files ``NAME-00000.json``, ``NAME-00001.json`` …
    """
    if out.suffix == ".jsonl":
        with atomic_file(out) as temporary, temporary.open("wb") as file:
            return _count(file.write(dump_line(document)) for document in documents)
    if out.suffix == ".json":
        with atomic_file(out) as temporary:
            for count, document in enumerate(documents):
                if count:
                    raise UsageError(
                        f"Expected one rollout for the file {out}, got more; try --out {out.with_suffix('.jsonl')}, "
                        f"or the folder {out.with_suffix('')}."
                    )
                temporary.write_text(json.dumps(document, allow_nan=False, indent=1) + "\n", encoding="ascii")
            return int(temporary.stat().st_size > 0)
    texts = (json.dumps(document, allow_nan=False, indent=1).encode("ascii") + b"\n" for document in documents)
    return into_folder(texts, out, name, ".json")


def into_folder(contents: Iterable[bytes], out: Path, name: str, suffix: str) -> int:
    """Write one file for each content into a new folder, which appears when it is complete."""
    if out.is_dir() and not any(out.iterdir()):
        out.rmdir()
    if out.exists():
        raise UsageError(f"Expected a new folder for the documents, got {out}, which exists; try another --out.")
    with atomic_folder(out) as temporary:
        return _count((temporary / f"{name}-{i:05}{suffix}").write_bytes(data) for i, data in enumerate(contents))


def files_of(path: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """The files of a folder with one of the endings, in the order of their names; or the file itself."""
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.iterdir() if file.suffix in suffixes and not file.name.startswith("."))
    if not found:
        raise MissingDataError(f"Expected files that end in {' or '.join(suffixes)} in {path}, found none.")
    return found


def read_documents(path: Path, what: str, parse: Callable[[Any], Trajectory]) -> Iterator[Trajectory | LineProblem]:
    """The rollouts of a file or folder of documents. Problems are numbered by line, or by file from 1."""
    number = 0
    for file in files_of(path, (".json", ".jsonl")):
        if file.suffix == ".jsonl":
            for line, data, document in read_lines(file, what):
                yield _parsed(document, parse, line, data, file if path.is_dir() else None)
            continue
        number += 1
        try:
            yield _parsed(read_document(file, what), parse, number, b"", file)
        except DataError as error:
            yield problem(number, error)


def _parsed(
    document: Any, parse: Callable[[Any], Trajectory], number: int, data: bytes, file: Path | None
) -> Trajectory | LineProblem:
    if isinstance(document, LineProblem):
        return document
    try:
        return parse(document)
    except SchemaError as error:
        return problem(number, error if file is None else f"{file}: {error}", data)


def _count(items: Iterable[object]) -> int:
    return sum(1 for _ in items)
