"""The prompts of turns in tokens: single prompts, conversations and chats of messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from agentgym_hindsight.baselines.policies.base import TurnView
from agentgym_hindsight.baselines.policies.chat import PromptEncoder
from agentgym_hindsight.baselines.policies.chat_messages import MessageEncoder
from agentgym_hindsight.baselines.policies.conversation import Conversations, Encoded
from agentgym_hindsight.errors import UsageError

__all__ = ["Encoder", "encode_turns"]


class Encoder(Protocol):
    """Any encoder of single prompts."""

    def encode_all(self, prompts: Sequence[str]) -> list[tuple[int, ...]]: ...


def encode_turns(encoder: Encoder, turns: Sequence[TurnView]) -> list[Encoded]:
    """The prompts of turns: messages if a turn has any, the earlier turns of a conversation and its observation, or the
    observation alone.

    Observations alone are encoded in one call of the tokenizer.
    """
    single = [turn for turn in turns if not turn.past and not turn.messages]
    prompts = iter(encoder.encode_all([turn.observation for turn in single]) if single else [])
    if len(single) == len(turns):
        return [Encoded(ids) for ids in prompts]
    if not isinstance(encoder, PromptEncoder):
        raise UsageError(
            f"Expected a PromptEncoder for a conversation, got {type(encoder).__name__}; "
            "try another history than 'conversation'."
        )
    messages, chats = MessageEncoder(encoder), None
    result = []
    for turn in turns:
        if turn.messages:
            result.append(Encoded(messages.encode(turn.messages).ids))
        elif turn.past:
            chats = chats or Conversations.of(encoder)
            result.append(chats.encode(turn.past, turn.observation))
        else:
            result.append(Encoded(next(prompts)))
    return result
