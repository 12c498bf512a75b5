"""What a policy is: prompts in, replies out, a batch at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from agentgym_hindsight.errors import UsageError

__all__ = ["Policy", "Reply", "TurnView", "at_home"]


@dataclass(frozen=True, slots=True)
class TurnView:
    """One rollout that waits for its next action."""

    task_id: str
    sibling: int
    step: int
    observation: str
    info: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered, with the very tokens it read and wrote: a trainer never tokenizes a reply again.

    ``logprobs`` are those of ``response_ids`` under the distribution they were drawn from (temperature included).
    ``finished`` is False where the token limit cut the reply. A policy without tokens leaves them empty.

    >>> Reply("look").response_ids
    ()
    """

    text: str
    prompt_ids: tuple[int, ...] = ()
    response_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    finished: bool = True


class Policy(Protocol):
    """Anything that answers a batch of turns, in the same order: by texts, or by :class:`Reply` where it knows more."""

    @property
    def name(self) -> str: ...
    def act(self, turns: Sequence[TurnView]) -> Sequence[str | Reply]: ...


def at_home(policy: Policy, world: str) -> None:
    """Refuse a policy that knows one world alone (its ``world``) in another: there it would lose every game."""
    own = getattr(policy, "world", world)
    if own != world:
        raise UsageError(f"Expected {policy.name} in its own world, {own}, got {world}; try expert or random.")
