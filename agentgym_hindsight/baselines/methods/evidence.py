"""The teacher's scores for the turns of an update: the input of the hooks that run once per update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agentgym_hindsight.baselines.methods.rows import Array

__all__ = ["Evidence"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One entry per row: an array over the tokens that the teacher may weight, or ``None`` if it did not score the row.

    * ``gaps``: ``log π_T(y|x, c) − log π_old(y|x)``. With :attr:`Method.compares_teacher` the second term is the
      teacher's own, without the context.
      ``π_old`` is the sampler: with vLLM its numbers differ a little from the trained model's.
    * ``logps``: ``log π_old`` of the same tokens. ``lengths``: the number of response tokens. Both for every row.
    * ``entropies``: of the teacher's distribution, only with :attr:`Method.uses_teacher_entropy`.
    """

    gaps: Sequence[Array | None]
    logps: Sequence[Array] = ()
    lengths: Sequence[int] = ()
    entropies: Sequence[Array | None] = ()
