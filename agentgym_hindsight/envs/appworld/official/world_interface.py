"""The interface of one AppWorld world, whether it runs in a server or in this process."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from agentgym_hindsight.envs.appworld.official.changes import Changes
from agentgym_hindsight.envs.appworld.official.replies import Verdict

__all__ = ["OfficialWorld", "TaskStart"]


class TaskStart(NamedTuple):
    """What the agent is shown at the start of a task."""

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
    """The operations of AppWorld's environment. One task is open at a time."""

    @property
    def version(self) -> str: ...
    def initialize(self, task_id: str) -> TaskStart: ...
    def execute(self, code: str) -> str: ...
    def task_completed(self) -> bool: ...
    def evaluate(self) -> Verdict: ...
    def close(self) -> None: ...
    def changes(self) -> Changes | None: ...  # None if the change logs cannot be read by this process
