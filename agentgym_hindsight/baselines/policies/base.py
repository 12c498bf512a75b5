"""The interface of policies: a batch of turns in, one reply per turn out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.messages import Message

__all__ = ["Policy", "Reply", "TurnView", "check_world"]


@dataclass(frozen=True, slots=True)
class TurnView:
    """The current turn of one rollout: what a policy needs to choose the next action.

    ``past`` has the earlier messages of a conversation, each with the reply; empty if ``observation`` is the complete
    prompt. ``messages``, if there are any, are the chat that a model reads in place of the observation.
    """

    task_id: str
    sibling: int
    step: int
    observation: str
    info: Mapping[str, Any]
    past: tuple[tuple[str, Reply], ...] = ()
    messages: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """A policy's reply, with the exact prompt and response tokens, so that no trainer tokenizes a text again.

    ``logprobs`` are the log-probabilities of ``response_ids`` under the sampling distribution (temperature included).
    ``finished`` is False if the token limit cut the reply. A policy without tokens leaves the token fields empty.
    ``other_prompt``: the tokens were sampled after another prompt than ``prompt_ids``, which are to be trained on.

    In a conversation, the first ``past_tokens`` of the prompt are the earlier turns. ``message`` is the user message
    after them, if it differs from the observation.

    >>> Reply("look").response_ids
    ()
    """

    text: str
    prompt_ids: tuple[int, ...] = ()
    response_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    finished: bool = True
    past_tokens: int = 0
    message: str = ""
    other_prompt: bool = False


class Policy(Protocol):
    """Maps a batch of turns to replies in the same order: texts, or :class:`Reply` with tokens."""

    @property
    def name(self) -> str: ...
    def act(self, turns: Sequence[TurnView]) -> Sequence[str | Reply]: ...


def check_world(policy: Policy, world: str) -> None:
    """Raise :class:`UsageError` if the policy is written for another world (its attribute ``world``)."""
    policy_world = getattr(policy, "world", world)
    if policy_world != world:
        raise UsageError(
            f"Expected the world {policy_world} for the policy {policy.name}, got {world}; try expert or random."
        )
