"""The five feedback sources and the frozen value that holds them in ``info["hindsight"]``.

========================  =====================================================================  ==================
source                    content                                                                known
========================  =====================================================================  ==================
immediate_feedback        the environment's raw reply to the action; the reason for a refusal    at once
                          is separate, in ``detail``
next_observation          the whole next state as the agent will see it                          at once
current_trajectory        the agent's own rollout, from its start through this step; the whole   grows
                          rollout at the end of the episode
future_trajectory         the agent's own steps after this one                                   at the episode's end
successful_trajectory     another successful rollout of the same task                            when one exists
========================  =====================================================================  ==================

``None`` means "not known yet". A source that is known but empty (the future of the last step) has an empty text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Any, ClassVar

from agentgym_hindsight.errors import UnknownNameError
from agentgym_hindsight.short_repr import quoted

__all__ = ["Feedback", "FeedbackSource", "Hindsight", "Provenance"]


class FeedbackSource(str, Enum):
    """Names of the five sources; the values are the field names of :class:`Hindsight`."""

    IMMEDIATE_FEEDBACK = "immediate_feedback"
    NEXT_OBSERVATION = "next_observation"
    CURRENT_TRAJECTORY = "current_trajectory"
    FUTURE_TRAJECTORY = "future_trajectory"
    SUCCESSFUL_TRAJECTORY = "successful_trajectory"


class Provenance(str, Enum):
    """The origin of a feedback."""

    ENVIRONMENT = "environment"
    SIBLING = "sibling"
    STORE = "store"
    EXPERT = "expert"
    JUDGE = "judge"
    ANALYSER = "analyser"


class Feedback:
    """One piece of feedback: a text, its origin, and the step it describes. Immutable.

    ``text`` and ``detail`` may be functions, called at the first access: otherwise a rollout of n steps would render n
    growing transcripts that may never be read. ``detail`` adds what the raw text omits (why "Nothing happens.").

    >>> Feedback("Nothing happens.", step=3, detail="The fridge 1 is closed.")
    Feedback('Nothing happens.', environment, step=3, detail='The fridge 1 is closed.')
    """

    __slots__ = ("_detail", "_text", "provenance", "step")
    _text: str | Callable[[], str]
    _detail: str | Callable[[], str]
    provenance: Provenance
    step: int

    def __init__(
        self,
        text: str | Callable[[], str],
        provenance: Provenance = Provenance.ENVIRONMENT,
        step: int = 0,
        detail: str | Callable[[], str] = "",
    ) -> None:
        set_ = object.__setattr__
        set_(self, "_text", text)
        set_(self, "_detail", detail)
        set_(self, "provenance", provenance)
        set_(self, "step", step)

    @property
    def text(self) -> str:
        value = self._text
        if not isinstance(value, str):
            value = value()
            object.__setattr__(self, "_text", value)
        return value

    @property
    def detail(self) -> str:
        value = self._detail
        if not isinstance(value, str):
            value = value()
            object.__setattr__(self, "_detail", value)
        return value

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Feedback is immutable; make a new one instead of setting {name!r}.")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("Feedback is immutable.")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Feedback) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[str, str, int, str]:
        return self.text, self.provenance.value, self.step, self.detail

    def __reduce__(self) -> tuple[Any, ...]:
        return Feedback, (self.text, self.provenance, self.step, self.detail)

    def __repr__(self) -> str:
        try:
            text, detail = self.text, self.detail
        except Exception as error:  # text that cannot be rendered: a repr must not fail
            return f"Feedback(<{type(error).__name__}>, {self.provenance.value}, step={self.step})"
        ending = f", detail={quoted(detail, 120)}" if detail else ""
        return f"Feedback({quoted(text, 120)}, {self.provenance.value}, step={self.step}{ending})"


class _Episode:
    """Stores the value of :attr:`Hindsight.episode`. It is not in the dataclass, which has exactly five fields."""

    __slots__ = ("_episode",)
    _episode: tuple[Hindsight, ...] | Callable[[], tuple[Hindsight, ...]]


@dataclass(frozen=True, slots=True, repr=False)
class Hindsight(_Episode):
    """What is known now about the last action: exactly five sources, each a :class:`Feedback` or ``None``.

    >>> hindsight = Hindsight(immediate_feedback=Feedback("You open the fridge 1.", step=2))
    >>> hindsight.known
    ('immediate_feedback',)
    >>> hindsight["future_trajectory"] is None
    True
    """

    immediate_feedback: Feedback | None = None
    next_observation: Feedback | None = None
    current_trajectory: Feedback | None = None
    future_trajectory: Feedback | None = None
    successful_trajectory: Feedback | None = None

    SOURCES: ClassVar[tuple[str, ...]] = tuple(source.value for source in FeedbackSource)

    @property
    def episode(self) -> tuple[Hindsight, ...]:
        """On the last step of an episode, the hindsight of every step with the delayed sources; else empty."""
        try:
            value = self._episode
        except AttributeError:
            return ()
        if not isinstance(value, tuple):
            value = value()
            object.__setattr__(self, "_episode", value)
        return value

    @property
    def is_final(self) -> bool:
        """Whether ``episode`` is set. Does not compute it."""
        return bool(getattr(self, "_episode", ()))

    def with_episode(self, episode: tuple[Hindsight, ...] | Callable[[], tuple[Hindsight, ...]]) -> Hindsight:
        """A copy with the hindsight of every step, given as a value or as a function called at the first access."""
        copy = replace(self)
        object.__setattr__(copy, "_episode", episode)
        return copy

    def replace(self, **sources: Feedback | None) -> Hindsight:
        """A copy with some sources replaced; ``episode`` is kept."""
        for name in sources:
            if name not in self.SOURCES:
                raise UnknownNameError("feedback source", name, self.SOURCES)
        copy = replace(self, **sources)
        if hasattr(self, "_episode"):
            object.__setattr__(copy, "_episode", self._episode)
        return copy

    @property
    def known(self) -> tuple[str, ...]:
        """The names of the known sources."""
        return tuple(name for name in self.SOURCES if getattr(self, name) is not None)

    def __getitem__(self, source: FeedbackSource | str) -> Feedback | None:
        name = source.value if isinstance(source, FeedbackSource) else source
        if name not in self.SOURCES:
            raise UnknownNameError("feedback source", name, self.SOURCES)
        value: Feedback | None = getattr(self, name)
        return value

    def __iter__(self) -> Iterator[tuple[str, Feedback | None]]:
        return iter([(name, getattr(self, name)) for name in self.SOURCES])

    def __repr__(self) -> str:
        # Texts that were not read yet stay unread: an env makes a repr of every info that is printed.
        sources = ", ".join(f"{name}={_beginning(feedback)}" for name, feedback in self if feedback is not None)
        return f"Hindsight({sources}{', final' if self.is_final else ''})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (tuple(getattr(self, f.name) for f in fields(self)), self.episode)


def _beginning(feedback: Feedback) -> str:
    text = feedback._text
    return quoted(text) if isinstance(text, str) else "…"


def _rebuild(sources: tuple[Feedback | None, ...], episode: tuple[Hindsight, ...]) -> Hindsight:
    hindsight = Hindsight(*sources)
    return hindsight.with_episode(episode) if episode else hindsight
