"""A cache for lists that are slow to build. The key of a list is a fingerprint of the data it is built from."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from agentgym_hindsight.atomic import write_text
from agentgym_hindsight.envs.trusted_folders import (
    UntrustedFolderError,
    check_trusted,
    make_folder,
    read_trusted_text,
)

__all__ = ["CACHE_CURE", "cache_folder", "cached_rows"]

#: What to do about a cache folder that cannot be trusted.
CACHE_CURE = "AGENTGYM_HINDSIGHT_CACHE with a folder of your own"

_VERSION = 1


def cache_folder() -> Path:
    """``$AGENTGYM_HINDSIGHT_CACHE``, else ``agentgym_hindsight`` in the user's cache folder."""
    folder = os.environ.get("AGENTGYM_HINDSIGHT_CACHE")
    if folder:
        return Path(folder).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "agentgym_hindsight"


def cached_rows(name: str, fingerprint: str, build: Callable[[], list[list[str]]]) -> list[list[str]]:
    """The rows of ``build()``, read from the cache if they were built with the same ``fingerprint`` before.

    The cache only saves time: an unreadable cache is rebuilt, and a failure to write it is ignored. A cache folder that
    other users could have changed is not used, with a warning.
    """
    path = cache_folder() / f"{name}.json"
    try:
        check_trusted(path.parent, CACHE_CURE)
        cached = json.loads(read_trusted_text(path, CACHE_CURE))
        if (cached["version"], cached["fingerprint"]) == (_VERSION, fingerprint):
            return [[str(cell) for cell in row] for row in cached["rows"]]
    except UntrustedFolderError as error:
        warnings.warn(f"{error} The cache is not used.", RuntimeWarning, stacklevel=2)
        return build()
    except (OSError, ValueError, KeyError, TypeError):
        pass
    rows = build()
    with suppress(OSError):
        make_folder(path.parent)
        write_text(path, json.dumps({"version": _VERSION, "fingerprint": fingerprint, "rows": rows}))
    return rows
