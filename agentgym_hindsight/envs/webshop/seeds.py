"""The random source of the embedded catalogue."""

from __future__ import annotations

from agentgym_hindsight.envs.draws import SeededDraws

__all__ = ["Draws"]


class Draws(SeededDraws):
    """Draws of the embedded catalogue. Every product depends on the edition.

    This edition was chosen because its seed 0 is about as hard as the official products.
    """

    __slots__ = ()
    edition = "agentgym-hindsight/webshop/5"
