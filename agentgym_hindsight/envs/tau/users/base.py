"""The interface of users."""

from __future__ import annotations

from typing import Any, Protocol

from agentgym_hindsight.envs.tau.desk import DeskTask

__all__ = ["GREETING", "STOP", "User"]

#: A reply that contains this text, in these letters, ends the conversation.
STOP = "###STOP###"
#: What the agent has said before the user's first message.
GREETING = "Hi! How can I help you today?"


class User(Protocol):
    """A user of one conversation at a time. An exception means a broken rollout, never a lost one.

    ``save`` returns the user's state as texts, numbers and tuples; ``load`` goes on from it, also in another user of
    the same name. ``decode`` checks a state that comes from JSON. ``not_restorable`` says why a user cannot do that.
    """

    @property
    def name(self) -> str: ...  # part of every result: "scripted", "endpoint:MODEL", …
    @property
    def state(self) -> str: ...  # what distinguishes this point of the conversation from others
    def start(self, task: DeskTask, seed: str) -> str: ...  # the first message
    def reply(self, message: str) -> str: ...
    def close(self) -> None: ...
    @property
    def not_restorable(self) -> str: ...  # "" for users that can be restored
    def save(self) -> Any: ...
    def load(self, task: DeskTask, seed: str, state: Any) -> None: ...
    def decode(self, task: DeskTask, state: Any) -> Any: ...
