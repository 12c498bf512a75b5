"""Lists that are slow to make and quick to read again: kept in the cache folder, keyed by what they were made from."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from agentgym_hindsight.atomic import write_text

__all__ = ["cache_folder", "cached_rows"]

_VERSION = 1


def cache_folder() -> Path:
    """``$AGENTGYM_HINDSIGHT_CACHE``, else ``agentgym_hindsight`` in the user's cache folder."""
    told = os.environ.get("AGENTGYM_HINDSIGHT_CACHE")
    if told:
        return Path(told).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "agentgym_hindsight"


def cached_rows(name: str, fingerprint: str, build: Callable[[], list[list[str]]]) -> list[list[str]]:
    """The rows ``build`` makes, from the cache where they were made from the same ``fingerprint`` before.

    A cache that cannot be read is made anew, one that cannot be written is done without: it only saves time.
    """
    path = cache_folder() / f"{name}.json"
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if (kept["version"], kept["fingerprint"]) == (_VERSION, fingerprint):
            return [[str(cell) for cell in row] for row in kept["rows"]]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    rows = build()
    with suppress(OSError):
        write_text(path, json.dumps({"version": _VERSION, "fingerprint": fingerprint, "rows": rows}))
    return rows
