"""Read a YAML file that a person wrote: plain settings, quickly, and nothing that only a hostile file contains.

Before anything is constructed, one pass over the parser's events bounds the size of the document. An alias counts as
many nodes as its anchor, so that nested aliases, which double at each level, are refused after a few of them.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

from agentgym_hindsight.errors import DamagedDataError
from agentgym_hindsight.printable import printable_line

__all__ = ["read_yaml"]

_BYTES = 256 * 1024
_NODES = 10_000  # aliases expanded; the shipped configurations have about a hundred
_DEPTH = 32
#: Numbers are computed from their text; texts of this length are no numbers.
_NUMBER_LENGTH = 1_000
_NUMBERS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("int", "float"))
_TAGS = _NUMBERS | {f"tag:yaml.org,2002:{kind}" for kind in ("str", "bool", "null", "seq", "map")}


def read_yaml(path: Path) -> Any:
    """The content of a YAML file, as plain data.

    Raises :class:`DamagedDataError`, with line and column, for a file that is no YAML, too large, too deep, or not
    UTF-8, for a key that occurs twice in one mapping, and for tags other than those of plain data.
    """
    import yaml

    text = _text(path)
    try:
        _check(text, path)
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        found = ", ".join(part for part in (error.context, error.problem) if part)
        raise _damaged(path, found, error.problem_mark or error.context_mark) from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # "2001-99-99", a number of 5,000 digits
        raise _damaged(path, str(error).splitlines()[0]) from error


def _text(path: Path) -> str:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # reading a pipe or a device does not end
        raise DamagedDataError(f"Expected a file with settings, got {path}, which is no regular file; try a YAML file.")
    with path.open("rb") as file:
        content = file.read(_BYTES + 1)
    if len(content) > _BYTES:
        raise DamagedDataError(f"Expected at most {_BYTES // 1024} KiB of settings, got a larger file, {path}.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DamagedDataError(
            f"Expected UTF-8 in {path}, got another encoding (byte {error.start}, line {line}); try saving it as UTF-8."
        ) from error


class _Open:
    """A mapping or sequence that is not closed yet."""

    def __init__(self, is_mapping: bool, anchor: str | None) -> None:
        self.is_mapping, self.anchor = is_mapping, anchor
        self.nodes, self.children = 1, 0
        self.keys: set[str] = set()


def _check(text: str, path: Path) -> None:
    """Raise if the document is too large with its aliases expanded, too deep, or has duplicate keys or other tags."""
    import yaml

    open_nodes = [_Open(False, None)]  # the document
    sizes: dict[str, int] = {}

    def add(nodes: int, mark: Any) -> None:
        open_nodes[-1].nodes += nodes
        open_nodes[-1].children += 1
        if sum(node.nodes for node in open_nodes) > _NODES:
            raise _damaged(path, f"more than {_NODES:,} values, aliases expanded", mark)

    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        tag = getattr(event, "tag", None)
        if tag is not None and tag not in _TAGS:
            raise _damaged(path, f"the tag {printable_line(tag, 60)}", event.start_mark)
        if isinstance(event, yaml.ScalarEvent):
            parent = open_nodes[-1]
            if parent.is_mapping and parent.children % 2 == 0:
                if event.value in parent.keys:
                    raise _damaged(path, f"the name {printable_line(event.value, 60)!r} twice", event.start_mark)
                parent.keys.add(event.value)
            is_number = tag in _NUMBERS or (event.implicit[0] and event.value[:1] in [*"+-.0123456789"])
            if is_number and len(event.value) > _NUMBER_LENGTH:
                raise _damaged(path, f"a number of {len(event.value):,} characters", event.start_mark)
            if event.anchor:
                sizes[event.anchor] = 1
            add(1, event.start_mark)
        elif isinstance(event, yaml.AliasEvent):
            if any(node.anchor == event.anchor for node in open_nodes):
                raise _damaged(
                    path, f"an alias that contains itself, *{printable_line(event.anchor, 60)}", event.start_mark
                )
            add(sizes.get(event.anchor, 1), event.start_mark)
        elif isinstance(event, yaml.CollectionStartEvent):
            if len(open_nodes) > _DEPTH:
                raise _damaged(path, f"more than {_DEPTH} levels", event.start_mark)
            open_nodes.append(_Open(isinstance(event, yaml.MappingStartEvent), event.anchor))
        elif isinstance(event, yaml.CollectionEndEvent):
            closed = open_nodes.pop()
            if closed.anchor:
                sizes[closed.anchor] = closed.nodes
            add(closed.nodes, event.start_mark)


def _damaged(path: Path, found: str, mark: Any = None) -> DamagedDataError:
    place = "" if mark is None else f" (line {mark.line + 1}, column {mark.column + 1})"
    return DamagedDataError(
        f"Expected settings as plain YAML in {path}, got {printable_line(found, 200)}{place}; "
        "try --print-config for an example."
    )
