"""One world as a backend sees it, whether it lives in a server of its own or in this process."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from agentgym_hindsight.envs.appworld.official.changes import Changes
from agentgym_hindsight.envs.appworld.official.replies import Verdict

__all__ = ["TaskStart", "OfficialWorld"]


class TaskStart(NamedTuple):
    """What an agent may know when a task begins."""

    instruction: str
    name: str
    email: str
    phone: str
    moment: str

    @property
    def observation(self) -> str:
        """The first observation."""
        who = f"{self.name} (email {self.email}, phone {self.phone})"
        return f"Supervisor: {who}\nDate and time: {self.moment}\nTask: {self.instruction}"


class OfficialWorld(Protocol):
    """The genuine environment's verbs, one task at a time."""

    @property
    def version(self) -> str: ...
    def initialize(self, task_id: str) -> TaskStart: ...
    def execute(self, code: str) -> str: ...
    def task_completed(self) -> bool: ...
    def evaluate(self) -> Verdict: ...
    def save_state(self, state_id: str) -> str: ...
    def close(self) -> None: ...
    def changes(self) -> Changes | None: ...  # None where the change logs cannot be read from here
