"""Chooses the world: the benchmark's, or the embedded one."""

from __future__ import annotations

import os
from collections.abc import Sequence

from agentgym_hindsight.envs.bfcl.world import ApiLibrary
from agentgym_hindsight.errors import UnknownNameError, UsageError

__all__ = ["BACKENDS", "open_library"]

BACKENDS = ("embedded", "official")


def open_library(
    backend: str,
    data: str | os.PathLike[str] | None,
    version: str | None,
    category: str | Sequence[str],
    recipe: str,
    kinds: Sequence[str] | None,
    world_seed: int,
) -> ApiLibrary:
    """The library of a backend. The name of a backend as ``data`` chooses this backend, as in the other envs."""
    if data in BACKENDS:
        backend, data = str(data), None
    if backend not in BACKENDS:
        raise UnknownNameError("backend", backend, BACKENDS)
    if backend == "official":
        if kinds is not None or world_seed != 0:
            raise UsageError(
                "Expected category=… for the official tasks, got kinds or world_seed, which are of the embedded world; "
                "try category='base'."
            )
        from agentgym_hindsight.envs.bfcl.official import official_library

        return official_library(data, version, category, recipe)
    given = {"data": data is not None, "version": version is not None, "category": category != "all"}
    given["recipe"] = recipe != "number"
    wrong = [name for name, is_given in given.items() if is_given]
    if wrong:
        raise UsageError(
            f"Expected {' and '.join(wrong)} only with the official tasks, got the embedded world; "
            "try backend='official'."
        )
    from agentgym_hindsight.envs.bfcl.embedded import embedded_library

    library: ApiLibrary = embedded_library(world_seed, kinds=kinds)
    return library
