"""What travels from a worker: what is new, not the growing transcript.

After T turns the transcript has been part of T infos; sent as text that is O(T²). The standard sources follow from the
steps, so a worker sends each step once, and of the hindsight only what differs from what the steps give: a judge's
words, an expert's rollout. What the other side rebuilds is equal by construction, whatever wrappers did.
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

#: Sources by name that are not as the steps give them.
_Changes: TypeAlias = "dict[str, Feedback | None]"


class EncodedHindsight(NamedTuple):
    """A hindsight as its difference from the standard one; ``episode`` alike, or the reason why it failed."""

    changes: _Changes
    episode: tuple[_Changes, ...] | str | None


class EncodedOutcome(NamedTuple):
    """One outcome on its way."""

    outcome: Outcome
    hindsight: EncodedHindsight | None = None
    keep: int = 0  # that many steps are as sent before …
    steps: tuple[Step, ...] = ()  # … and these follow
    head: Trajectory | None = None  # the rollout without its steps


def encode_hindsight(hindsight: Hindsight, steps: Sequence[Step]) -> EncodedHindsight:
    """The difference between ``hindsight`` and what ``steps`` alone would give."""
    episode: tuple[_Changes, ...] | str | None
    try:
        whole = hindsight.episode
    except Exception as error:  # an expert that fails when asked is the episode's failure, not the rollout's
        episode = reason(error)
    else:
        episode = tuple(map(_changes, whole, _from_steps(steps, len(whole)))) if whole else None
    return EncodedHindsight(_changes(hindsight, _latest(steps)), episode)


def decode_hindsight(encoded: EncodedHindsight, steps: Sequence[Step]) -> Hindsight:
    """The inverse of :func:`encode_hindsight`. ``steps`` may grow afterwards."""
    hindsight = _latest(steps)
    if encoded.changes:
        hindsight = hindsight.replace(**encoded.changes)
    if encoded.episode is not None:
        hindsight = hindsight.with_episode(partial(_decode_episode, tuple(steps), encoded.episode))
    return hindsight


def _latest(steps: Sequence[Step]) -> Hindsight:
    return hindsight_now(steps[-1], steps) if steps else Hindsight()


def _changes(hindsight: Hindsight, usual: Hindsight) -> _Changes:
    return {name: feedback for name, feedback in hindsight if feedback != usual[name]}


def _decode_episode(steps: tuple[Step, ...], episode: tuple[_Changes, ...] | str) -> tuple[Hindsight, ...]:
    if isinstance(episode, str):
        raise BackendError(f"Expected the episode's hindsight from the worker, got {episode}; try workers=0 to debug.")
    return tuple(
        hindsight.replace(**changes) if changes else hindsight
        for hindsight, changes in zip(_from_steps(steps, len(episode)), episode, strict=True)
    )


def _from_steps(steps: Sequence[Step], count: int) -> tuple[Hindsight, ...]:
    """What the steps give; blank where a wrapper counts more steps than there are, cut where it counts fewer."""
    usual = resolve_episode(steps)[:count]
    return usual + (Hindsight(),) * (count - len(usual))


class OutcomeEncoder:
    """The worker's end for one env: remembers which steps it has sent."""

    def __init__(self, host: EnvHost) -> None:
        self._host = host
        self._sent: tuple[Step, ...] = ()

    def reset(self) -> None:
        """A rollout starts."""
        self._sent = ()

    def encode(self, outcome: Outcome) -> EncodedOutcome:
        trajectory = self._host.trajectory()
        if trajectory is None:
            return EncodedOutcome(outcome)
        steps, keep = trajectory.steps, 0
        for old, new in zip(self._sent, steps, strict=False):  # a wrapper may have written into earlier steps
            if old is not new and old != new:
                break
            keep += 1
        self._sent = steps
        head, hindsight = trajectory.replace(steps=()), None
        if not isinstance(outcome, Broken):
            observation, reward, terminated, truncated, info = outcome
            if "hindsight" in info:
                hindsight = encode_hindsight(info["hindsight"], steps)
                info = {**info, "hindsight": None}  # keeps the place of the key
            outcome = observation, reward, terminated, truncated, info
        return EncodedOutcome(outcome, hindsight, keep, steps[keep:], head)


class OutcomeDecoder:
    """The parent's end for one env: holds the rollout, so that it outlives the worker."""

    def __init__(self) -> None:
        self._steps: list[Step] = []
        self._head: Trajectory | None = None

    def reset(self) -> None:
        """A rollout starts. Hindsight already given keeps the list of the last one."""
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
