"""The embedded world: APIs of our own, with generated records, conversations and checks. It needs no download."""

from __future__ import annotations

from collections.abc import Sequence

from agentgym_hindsight.envs.bfcl.embedded.library import EmbeddedLibrary

__all__ = ["embedded_library"]


def embedded_library(seed: int = 0, *, kinds: Sequence[str] | None = None) -> EmbeddedLibrary:
    """The tasks of a seed: the same on every machine.

    >>> library = embedded_library(0, kinds=["switch+base"])
    >>> task = library.task("train", 0)
    >>> task.category, library.start(task).task.reference[0][0].name
    ('switch', 'switch_device')
    """
    return EmbeddedLibrary(seed, kinds)
