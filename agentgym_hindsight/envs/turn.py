"""The result of one action, as a backend gives it to the env."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from agentgym_hindsight.envs.extra import Extra

__all__ = ["Turn"]


class Turn(NamedTuple):
    """The result of a backend's ``start`` or ``act``."""

    observation: str
    admissible_actions: tuple[str, ...] = ()
    valid: bool = True
    won: bool = False
    score: float = 0.0
    reward: float = 0.0
    terminated: bool = False
    state: str = ""  # canonical key of the true state; "" if the backend has none
    detail: str | Callable[[], str] = ""  # the reason for the reply, if the reply does not give it
    extra: Extra = Extra()
