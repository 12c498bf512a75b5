"""A space of text of any characters.

Gymnasium's ``Text`` checks every character against a character set (ASCII by default): the check of a 2 kB observation
takes microseconds, and "é" is not allowed. ``AsyncVectorEnv`` copies text through shared memory of a fixed width and
returns zeros. :class:`UnicodeText` accepts any string up to a length. With shared memory it raises an error that names
an alternative.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from gymnasium import Space
from gymnasium.vector.utils import create_shared_memory
from gymnasium.wrappers.utils import create_zero_array

from agentgym_hindsight.errors import UsageError

__all__ = ["UnicodeText"]

_SAMPLE_ALPHABET = "abcdefghijklmnopqrstuvwxyz 0123456789"
_SAMPLE_LENGTH = 24


class UnicodeText(Space[str]):
    """Any Python string of at most ``max_length`` characters.

    :meth:`sample` draws from ``samples`` (for example plausible actions). Without them it draws random letters.

    >>> space = UnicodeText(max_length=100, samples=("look", "inventory"))
    >>> space.contains("naïve \\u2615"), space.contains(3), space.contains("x" * 101)
    (True, False, False)
    >>> space.seed(0)
    0
    >>> space.sample() in ("look", "inventory")
    True
    """

    def __init__(
        self,
        max_length: int = 1_000_000,
        *,
        samples: Sequence[str] = (),
        seed: int | np.random.Generator | None = None,
    ) -> None:
        if max_length < 1:
            raise UsageError(f"Expected max_length ≥ 1, got {max_length}; try the default.")
        self.max_length = max_length
        self.samples = tuple(samples)
        super().__init__(shape=(), dtype=str, seed=seed)

    @property
    def is_np_flattenable(self) -> bool:
        return False

    def contains(self, x: object) -> bool:
        return isinstance(x, str) and len(x) <= self.max_length

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        if mask is not None or probability is not None:
            raise UsageError(
                "Expected sample() without mask and probability, got one; try drawing from info['admissible_actions']."
            )
        if self.samples:
            return self.samples[int(self.np_random.integers(len(self.samples)))]
        letters = self.np_random.integers(len(_SAMPLE_ALPHABET), size=_SAMPLE_LENGTH)
        return "".join(_SAMPLE_ALPHABET[int(i)] for i in letters)[: self.max_length]

    def to_jsonable(self, sample_n: Iterable[str]) -> list[str]:
        return list(sample_n)

    def from_jsonable(self, sample_n: Sequence[str]) -> list[str]:
        return list(sample_n)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UnicodeText) and (other.max_length, other.samples) == (self.max_length, self.samples)

    def __hash__(self) -> int:
        return hash((self.max_length, self.samples))

    def __repr__(self) -> str:
        return f"UnicodeText(max_length={self.max_length})"


@create_zero_array.register(UnicodeText)
def _empty_text(space: UnicodeText) -> str:  # type: ignore[misc]  # the first argument has a type variable
    """The text before the first observation, for ``DelayObservation`` and ``FrameStackObservation``."""
    return ""


@create_shared_memory.register(UnicodeText)
def _refuse_shared_memory(space: UnicodeText, n: int = 1, ctx: Any = None) -> Any:
    raise UsageError(
        "Expected a vector env that can carry text, got gymnasium.vector.AsyncVectorEnv with shared memory, which "
        "returns zeros for strings; try gym.make_vec(id, num_envs=…, workers=…) without vectorization_mode (it uses "
        "agentgym_hindsight.vector.HindsightVectorEnv), or AsyncVectorEnv(…, shared_memory=False): in make_vec, "
        "vector_kwargs={'shared_memory': False}."
    )
