"""A user that is a person at the terminal."""

from __future__ import annotations

import sys
from typing import Any

from agentgym_hindsight.envs.tau.desk import DeskTask
from agentgym_hindsight.envs.tau.users.base import GREETING, STOP
from agentgym_hindsight.errors import BackendError, UsageError
from agentgym_hindsight.printable import printable

__all__ = ["PersonUser"]

_NO_MOMENT = "Expected a user with a state, got a person; try user='scripted' or a model."


class PersonUser:
    """Shows the instruction and the agent's messages on standard error, and reads the user's messages."""

    name = "person"
    not_restorable = "a person plays the customer, who cannot go back to an earlier moment"

    def __init__(self) -> None:
        self._count = 0

    @property
    def state(self) -> str:
        return str(self._count)

    def start(self, task: DeskTask, seed: str) -> str:
        self._count = 0
        print(f"You play the customer. {printable(task.instruction)}\n({STOP} ends.)", file=sys.stderr)
        return self.reply(GREETING)

    def reply(self, message: str) -> str:
        print(f"Agent: {printable(message)}", file=sys.stderr)
        self._count += 1
        while True:
            try:
                print("customer> ", end="", file=sys.stderr, flush=True)
                text = input().strip()
            except EOFError as error:
                raise BackendError(
                    "Expected a message of the customer, got the end of the input; try again."
                ) from error
            if text:
                return text

    def save(self) -> Any:
        raise UsageError(_NO_MOMENT)

    def load(self, task: DeskTask, seed: str, state: Any) -> None:
        raise UsageError(_NO_MOMENT)

    def decode(self, task: DeskTask, state: Any) -> Any:
        raise UsageError(_NO_MOMENT)

    def close(self) -> None:
        pass
