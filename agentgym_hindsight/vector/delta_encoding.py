"""Delta encoding of outcomes: a worker sends each step once, and not the growing transcript.

The info of every turn contains the transcript so far, so sending it as text costs O(T²) for T turns. The standard
sources can be computed from the steps. A worker therefore sends each step once. Of the hindsight it sends only what
differs from the computed sources: a judge's text, an expert's rollout. The decoded hindsight equals the original, also
if wrappers changed it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from agentgym_hindsight.errors import BackendError
from agentgym_hindsight.hindsight.resolve import hindsight_now, resolve_episode
from agentgym_hindsight.hindsight.sources import Feedback, Hindsight
from agentgym_hindsight.hindsight.trajectory import Step, Trajectory
from agentgym_hindsight.vector.host import Broken, EnvHost, Outcome, reason

__all__ = ["EncodedOutcome", "OutcomeDecoder", "OutcomeEncoder", "decode_hindsight", "encode_hindsight"]

#: Sources, by name, that differ from those computed from the steps.
_Changes: TypeAlias = "dict[str, Feedback | None]"


class EncodedHindsight(NamedTuple):
    """The differences of a hindsight from the standard one."""

    changes: _Changes
    episode: tuple[_Changes, ...] | str | None  # the differences of each step, or why computing them failed


class EncodedOutcome(NamedTuple):
    """One outcome as it is sent."""

    outcome: Outcome
    hindsight: EncodedHindsight | None = None
    keep: int = 0  # the number of first steps that were sent before and have not changed
    steps: tuple[Step, ...] = ()  # the steps after them
    head: Trajectory | None = None  # the rollout without its steps


def encode_hindsight(hindsight: Hindsight, steps: Sequence[Step]) -> EncodedHindsight:
    """The differences between ``hindsight`` and the sources computed from ``steps``."""
    episode: tuple[_Changes, ...] | str | None
    try:
        final = hindsight.episode
    except Exception as error:  # a failing expert breaks only the episode's hindsight, not the rollout
        episode = reason(error)
    else:
        episode = tuple(map(_changes, final, _from_steps(steps, len(final)))) if final else None
    return EncodedHindsight(_changes(hindsight, _standard_hindsight(steps)), episode)


def decode_hindsight(encoded: EncodedHindsight, steps: Sequence[Step]) -> Hindsight:
    """Decode the result of :func:`encode_hindsight`. ``steps`` may grow later."""
    hindsight = _standard_hindsight(steps)
    if encoded.changes:
        hindsight = hindsight.replace(**encoded.changes)
    if encoded.episode is not None:
        hindsight = hindsight.with_episode(partial(_decode_episode, tuple(steps), encoded.episode))
    return hindsight


def _standard_hindsight(steps: Sequence[Step]) -> Hindsight:
    return hindsight_now(steps[-1], steps) if steps else Hindsight()


def _changes(hindsight: Hindsight, expected: Hindsight) -> _Changes:
    return {name: feedback for name, feedback in hindsight if feedback != expected[name]}


def _decode_episode(steps: tuple[Step, ...], episode: tuple[_Changes, ...] | str) -> tuple[Hindsight, ...]:
    if isinstance(episode, str):
        raise BackendError(f"Expected the episode's hindsight from the worker, got {episode}; try workers=0 to debug.")
    return tuple(
        hindsight.replace(**changes) if changes else hindsight
        for hindsight, changes in zip(_from_steps(steps, len(episode)), episode, strict=True)
    )


def _from_steps(steps: Sequence[Step], count: int) -> tuple[Hindsight, ...]:
    """The sources of the first ``count`` steps. If there are fewer (a wrapper may report more), the rest is blank."""
    expected = resolve_episode(steps)[:count]
    return expected + (Hindsight(),) * (count - len(expected))


class OutcomeEncoder:
    """The worker's side for one env. Stores the steps that were sent."""

    def __init__(self, host: EnvHost) -> None:
        self._host = host
        self._sent: tuple[Step, ...] = ()

    def reset(self) -> None:
        """Start a new rollout."""
        self._sent = ()

    def encode(self, outcome: Outcome) -> EncodedOutcome:
        trajectory = self._host.trajectory()
        if trajectory is None:
            return EncodedOutcome(outcome)
        steps, keep = trajectory.steps, 0
        for sent, step in zip(self._sent, steps, strict=False):  # a wrapper may have changed earlier steps
            if sent is not step and sent != step:
                break
            keep += 1
        self._sent = steps
        head, hindsight = trajectory.replace(steps=()), None
        if not isinstance(outcome, Broken):
            observation, reward, terminated, truncated, info = outcome
            if "hindsight" in info:
                hindsight = encode_hindsight(info["hindsight"], steps)
                info = {**info, "hindsight": None}  # keeps the position of the key
            outcome = observation, reward, terminated, truncated, info
        return EncodedOutcome(outcome, hindsight, keep, steps[keep:], head)


class OutcomeDecoder:
    """The parent's side for one env. Stores the rollout, so that it is not lost if the worker dies."""

    def __init__(self) -> None:
        self._steps: list[Step] = []
        self._head: Trajectory | None = None

    def reset(self) -> None:
        """Start a new rollout, with a new list: hindsights of earlier rollouts still use the old one."""
        self._steps, self._head = [], None

    def decode(self, encoded: EncodedOutcome) -> Outcome:
        if encoded.head is None:
            return encoded.outcome
        self._head = encoded.head
        if encoded.keep < len(self._steps):
            self._steps = self._steps[: encoded.keep]
        self._steps.extend(encoded.steps)
        if isinstance(encoded.outcome, Broken) or encoded.hindsight is None:
            return encoded.outcome
        info: dict[str, Any] = encoded.outcome[4]
        info["hindsight"] = decode_hindsight(encoded.hindsight, self._steps)
        return encoded.outcome

    def trajectory(self) -> Trajectory | None:
        return None if self._head is None else self._head.replace(steps=tuple(self._steps))
