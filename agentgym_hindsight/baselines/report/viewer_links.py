"""The permanent links of ``agh view``: the report names them, and the viewer answers to them."""

from __future__ import annotations

import shlex
from hashlib import sha256
from pathlib import Path

__all__ = ["VIEWER_PORT", "rollout_path", "source_slug", "view_command"]

#: The port of ``agh view`` unless another one is given.
VIEWER_PORT = 8470
_LONGEST = 40


def source_slug(path: Path) -> str:
    """The name of a file of rollouts, or of a run folder, in links: readable, and different for different places.

    >>> source_slug(Path("/runs/serl alfworld"))[:-6]
    'serl-alfworld-'
    """
    where = path.resolve()
    readable = "".join(
        c if c.isascii() and (c.isalnum() or c in "_.") else "-" for c in where.name.removesuffix(".jsonl")
    )
    digest = sha256(str(where).encode("utf-8", "surrogateescape")).hexdigest()[:6]
    return f"{readable[:_LONGEST].strip('-.') or 'rollouts'}-{digest}"


def rollout_path(path: Path, line: int, turn: int = 1) -> str:
    """The path of a rollout in the viewer: of the source at ``path``, on line ``line`` of its file."""
    return f"/s/{source_slug(path)}/rollout/{line}?turn={turn}"


def view_command(path: Path) -> str:
    """The command that shows a run or a file of rollouts."""
    return f"agh view {shlex.quote(str(path))}"
