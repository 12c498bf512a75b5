"""Users by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agentgym_hindsight.envs.tau.users.base import User
from agentgym_hindsight.envs.tau.users.chat_user import ChatUser, endpoint_user
from agentgym_hindsight.envs.tau.users.local_model import model_user
from agentgym_hindsight.envs.tau.users.person import PersonUser
from agentgym_hindsight.envs.tau.users.scripted import ScriptedUser
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.redaction import hide_passwords

__all__ = ["USERS", "make_user"]

USERS = ("scripted", "scripted-all", "endpoint:URL#MODEL", "model:PATH", "person")


def make_user(user: str | Callable[..., Any]) -> User:
    """A user by name, or from a function of the messages.

    ``scripted``; ``scripted-all``, which tells everything in the first message; ``endpoint:URL#MODEL``; ``model:PATH``;
    ``person``.

    >>> make_user("scripted").name
    'scripted'
    """
    if callable(user):
        given = user
        return ChatUser(f"function:{getattr(user, '__name__', 'user')}", lambda messages, seed: given(messages))
    if not isinstance(user, str):
        raise UsageError(f"Expected a user as a name or a function, got {user!r}; try 'scripted'.")
    kind, _, argument = user.partition(":")
    if user == "scripted":
        return ScriptedUser()
    if user == "scripted-all":
        made = ScriptedUser(tell_all=True)
        made.name = "scripted-all"
        return made
    if kind == "endpoint":
        return endpoint_user(argument)
    if kind == "model" and argument:
        return model_user(argument)
    if user == "person":
        return PersonUser()
    raise UnknownNameError("user", hide_passwords(user), USERS)
