"""Reads the official data: a folder with one sub folder a domain, or a clone of the benchmark's repository.

Files may be compressed (``.xz``, ``.gz``). The clone's tasks and schemas are Python files: their literals are read, and
no code of them runs.
"""

from __future__ import annotations

import ast
import gzip
import json
import lzma
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from agentgym_hindsight.envs.tau.desk import Desk, DeskTask
from agentgym_hindsight.envs.tau.store import InitialState
from agentgym_hindsight.errors import DamagedDataError, MissingDataError

__all__ = ["DATA_VARIABLE", "SPLITS", "TABLES", "find_domain", "has_domain", "kind_of_actions", "load_desk"]

DATA_VARIABLE = "TAU_BENCH_DATA"
TABLES: Mapping[str, tuple[str, ...]] = {
    "retail": ("orders", "products", "users"),
    "airline": ("flights", "reservations", "users"),
}
SPLITS = ("train", "dev", "test")
_OPENERS: Mapping[str, Callable[..., Any]] = {"": open, ".xz": lzma.open, ".gz": gzip.open}
_MOST_BYTES = 256 * 2**20  # of one file, decompressed: the largest official one has 5 MB
_CURE = f"try {DATA_VARIABLE} with a clone of github.com/sierra-research/tau-bench, or domain data laid out like it."


def find_domain(folder: Path, domain: str) -> Path | None:
    """The folder of a domain's data below the given one, or None."""
    for inner in ("", "tau_bench/envs"):
        candidate = folder / inner / domain
        if any(_file(place, TABLES[domain][0] + ".json") for place in (candidate, candidate / "data")):
            return candidate
    return None


def has_domain(folder: str | os.PathLike[str] | None, domain: str) -> bool:
    """Whether a folder has the official data of a domain."""
    return folder is not None and find_domain(Path(folder), domain) is not None


def load_desk(folder: str | os.PathLike[str], domain: str) -> Desk:
    """The official desk of a domain. It is loaded once a process and shared; nothing changes it."""
    place = find_domain(Path(folder), domain)
    if place is None:
        raise MissingDataError(
            f"Expected the {domain} data of tau-bench ({', '.join(f'{name}.json' for name in TABLES[domain])}) in "
            f"{os.fspath(folder)}, got none; {_CURE}"
        )
    return _load(place.resolve(), domain)


@lru_cache(maxsize=8)
def _load(place: Path, domain: str) -> Desk:
    data = place / "data" if (place / "data").is_dir() else place
    tables = {}
    for name in TABLES[domain]:
        tables[name] = _read_json(data, f"{name}.json")
        if not isinstance(tables[name], dict) or not all(isinstance(row, dict) for row in tables[name].values()):
            raise DamagedDataError(f"Expected {name}.json in {data} to map ids to records, got another form; {_CURE}")
    tasks = {split: rows for split in SPLITS if (rows := _tasks(place, split)) is not None}
    if not tasks:
        raise DamagedDataError(f"Expected tasks_test.json or tasks_test.py in {place}, got neither; {_CURE}")
    policy = _read(place, "wiki.md")
    if policy is None:
        raise DamagedDataError(f"Expected the policy wiki.md in {place}, got none; {_CURE}")
    return Desk(domain, InitialState(tables), policy, tuple(_schemas(place)), tasks, "official")


def _file(folder: Path, name: str) -> tuple[Path, Callable[..., Any]] | None:
    for ending, opener in _OPENERS.items():
        path = folder / f"{name}{ending}"
        if path.is_file():
            return path, opener
    return None


def _read(folder: Path, name: str) -> str | None:
    found = _file(folder, name)
    if found is None:
        return None
    path, opener = found
    try:
        with opener(path, "rb") as stream:
            data = stream.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise DamagedDataError(f"Expected at most {_MOST_BYTES >> 20} MiB in {path}, got more; {_CURE}")
        return str(data, "utf-8")
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise DamagedDataError(
            f"Expected a readable file {path}, got {type(error).__name__}: {error}; {_CURE}"
        ) from error


def _read_json(folder: Path, name: str) -> Any:
    text = _read(folder, name)
    if text is None:
        raise MissingDataError(f"Expected {name} in {folder}, got no such file; {_CURE}")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DamagedDataError(
            f"Expected JSON in {folder / name}, got {type(error).__name__}: {error}; {_CURE}"
        ) from error


def _tasks(place: Path, split: str) -> tuple[DeskTask, ...] | None:
    if _file(place, f"tasks_{split}.json"):
        rows = _read_json(place, f"tasks_{split}.json")
    else:
        source = _read(place, f"tasks_{split}.py")
        if source is None:
            return None
        rows = list(_python_tasks(source, place / f"tasks_{split}.py"))
    try:
        return tuple(
            DeskTask(
                str(row["user_id"]),
                str(row["instruction"]),
                tuple((str(action["name"]), dict(action["kwargs"])) for action in row["actions"]),
                tuple(map(str, row["outputs"])),
                kind=kind_of_actions([str(action["name"]) for action in row["actions"]]),
            )
            for row in rows
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedDataError(f"Expected tasks of {split} in {place}, got {error!r}; {_CURE}") from error


def kind_of_actions(names: Sequence[str]) -> str:
    """The last tool of the reference that writes; ``read`` if none does."""
    writes = [
        name for name in names if name.startswith(("cancel", "modify", "return", "exchange", "book", "update", "send"))
    ]
    return writes[-1] if writes else "read"


def _python_tasks(source: str, path: Path) -> Iterator[dict[str, Any]]:
    """The tasks of a file ``TASKS = [Task(…), …]``."""
    for node in _parsed(source, path).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.List):
            for element in node.value.elts:
                yield _literal(element, path)


def _literal(node: ast.expr, path: Path) -> Any:
    """A literal in which calls of classes, such as ``Task(name=…)``, count as mappings of their arguments."""
    if isinstance(node, ast.Call) and not node.args and all(each.arg for each in node.keywords):
        return {str(each.arg): _literal(each.value, path) for each in node.keywords}
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_literal(each, path) for each in node.elts]
    if isinstance(node, ast.Dict) and all(node.keys):
        return {
            _literal(key, path): _literal(value, path)
            for key, value in zip(node.keys, node.values, strict=True)
            if key is not None
        }
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError) as error:
        raise DamagedDataError(f"Expected literals in {path}, line {node.lineno}, got {error}; {_CURE}") from error


def _parsed(source: str, path: Path) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise DamagedDataError(f"Expected Python in {path}, got {type(error).__name__}: {error}; {_CURE}") from error


def _schemas(place: Path) -> Iterator[Any]:
    if _file(place, "tools.json"):
        yield from _read_json(place, "tools.json")
        return
    for path in sorted((place / "tools").glob("*.py")):
        source = _read(path.parent, path.name) or ""
        for node in ast.walk(_parsed(source, path)):
            if isinstance(node, ast.FunctionDef) and node.name == "get_info":
                for inner in node.body:
                    if isinstance(inner, ast.Return) and inner.value is not None:
                        yield _literal(inner.value, path)
