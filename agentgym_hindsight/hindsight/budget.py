"""A limit for the privileged text in a teacher's prompt.

SERL's release cuts the end of the whole prompt, so the context, the closing instruction and the answer's header are
lost first. Here the bodies of the sections are cut, each with a marker; task, titles and closing line stay.
``truncation="right_raw"`` reproduces the release.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from agentgym_hindsight.errors import UnknownNameError, UsageError

__all__ = ["Budget", "approximate_tokens"]

_TRUNCATIONS = ("tail", "middle", "right_raw")
_PRECISION = 16  # characters, about four tokens; a more exact cut would need more of the slow token counts


def approximate_tokens(text: str) -> int:
    """A quarter of the characters, rounded up. About right for English with BPE, much too low for CJK and code.

    >>> approximate_tokens("You open the fridge 1.")
    6
    """
    return (len(text) + 3) // 4


@dataclass(frozen=True, slots=True)
class Budget:
    """At most ``tokens`` for all section bodies of one context together. Long sections get what short ones do not need.

    * ``count``: text -> number of tokens. ``lambda text: len(tokenizer.encode(text))`` is exact; the default is
      :func:`approximate_tokens`.
    * ``truncation``: ``"tail"`` drops the end of a body, ``"middle"`` its middle. ``"right_raw"`` drops the end of the
      whole prompt, without a marker; ``tokens`` then limits that prompt.

    A cut body keeps at least its marker. A body shorter than its marker is not cut.
    """

    tokens: int
    count: Callable[[str], int] | None = None
    truncation: Literal["tail", "middle", "right_raw"] = "tail"

    def __post_init__(self) -> None:
        if self.tokens < 1:
            raise UsageError(
                f"Expected a budget of at least one token, got {self.tokens}; try budget=None for no limit."
            )
        if self.truncation not in _TRUNCATIONS:
            raise UnknownNameError("truncation", self.truncation, _TRUNCATIONS)

    def measure(self, text: str) -> int:
        """The number of tokens of a text."""
        return (self.count or approximate_tokens)(text)

    def share(self, bodies: Sequence[str], tokens: int | None = None) -> tuple[str, ...]:
        """Cut the bodies to fit the budget (or ``tokens``) together. Short ones stay whole, others get equal shares."""
        sizes = [self.measure(body) for body in bodies]
        remaining = self.tokens if tokens is None else tokens
        shares = [0] * len(bodies)
        for served, index in enumerate(sorted(range(len(bodies)), key=sizes.__getitem__)):
            shares[index] = min(sizes[index], remaining // (len(bodies) - served))
            remaining -= shares[index]
        return tuple(
            body if size <= share else self.cut(body, share)
            for body, size, share in zip(bodies, sizes, shares, strict=True)
        )

    def cut(self, body: str, tokens: int) -> str:
        """The longest part of a body that fits into ``tokens`` together with its truncation marker."""
        size = self.measure(body)
        if size <= max(tokens, self.measure(self._with_marker(body, 0))):  # a marker longer than the body saves nothing
            return body
        return self._longest(
            lambda characters: self._with_marker(body, characters), len(body), size, tokens, precision=_PRECISION
        )

    def cut_right(self, prompt: str) -> str:
        """The longest prefix of a prompt that fits the budget."""
        size = self.measure(prompt)
        if size <= self.tokens:
            return prompt
        return self._longest(lambda characters: prompt[:characters], len(prompt), size, self.tokens, precision=1)

    def _longest(self, shorten: Callable[[int], str], length: int, size: int, tokens: int, precision: int) -> str:
        """The longest ``shorten(characters)`` that fits, to within ``precision`` characters.

        Token counts are slow and there are hundreds of bodies. The search starts at the length that the average
        characters per token suggest, widens the interval until it contains the answer, then bisects.
        """
        low, high = 0, length  # invariant: low fits (or nothing does), high does not
        probe, stride = length * max(tokens, 0) // size, 2 * precision
        while high - low > precision:
            probe = min(max(probe, low + 1), high - 1)
            if self.measure(shorten(probe)) <= tokens:
                low, probe = probe, min(probe + stride, (probe + high) // 2)
            else:
                high, probe = probe, max(probe - stride, (low + probe) // 2)
            stride *= 2
        return shorten(low)

    def _with_marker(self, body: str, characters: int) -> str:
        marker = f"[… {len(body) - characters} characters left out …]"
        tail = characters // 2 if self.truncation == "middle" else 0
        head = body[: characters - tail].rstrip()
        parts = (head, marker, body[len(body) - tail :].lstrip())
        return "\n".join(part for part in parts if part)
