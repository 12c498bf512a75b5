"""Choose the library of games for the ``data`` argument of the env."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from pathlib import Path

from agentgym_hindsight.envs.alfworld.embedded import EmbeddedLibrary
from agentgym_hindsight.envs.alfworld.library import Library
from agentgym_hindsight.envs.alfworld.official import DEFAULT_DATA, OfficialLibrary, official_root
from agentgym_hindsight.errors import MissingDataError

__all__ = ["open_library"]


def open_library(data: str, *, difficulty: str, task_types: Iterable[str] | None) -> Library:
    """The library for ``data``: "auto", "embedded", "official", or a folder of official games."""
    if data == "auto":
        try:
            official_root()
            data = "official"
        except MissingDataError as missing:
            # A user who sets another folder expects official games. (Importing alfworld sets the default folder.)
            if Path(os.environ.get("ALFWORLD_DATA") or DEFAULT_DATA).expanduser() != Path(DEFAULT_DATA).expanduser():
                warnings.warn(f"Playing embedded houses instead of the official games. {missing}", stacklevel=2)
            data = "embedded"
    if data == "embedded":
        return EmbeddedLibrary(difficulty, task_types)
    return OfficialLibrary(None if data == "official" else data, task_types)
