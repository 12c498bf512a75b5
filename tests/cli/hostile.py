"""A world whose texts try to control the terminal, under the id ``Hostile-v0``."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym

from agentgym_hindsight.envs.base import Extra, HindsightEnv, Turn
from agentgym_hindsight.errors import UnknownNameError
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.tasks import Task, content_hash

#: Colour, cursor, title, clipboard (OSC 52), link, C1, bell, backspace, carriage return, direction, markup.
ATTACKS = (
    "\x1b[31m", "\x1b[2J", "\x1b]0;title\x07", "\x1b]52;c;cm0gLXJm\x07", "\x1b]8;;http://evil\x1b\\", "\x9b31m",
    "\x07", "\x08\x08", "real\rfake", "\u202eabc\u202c", "\u2066x\u2069", "\u200f", "\u2028", "\x00", "\x7f", "\ud800",
    "[red]", "[/]", "[bold", ":smile:", "[link=http://evil]x[/link]",
)  # fmt: skip
ATTACK = "".join(ATTACKS)


class HostileBackend:
    name = f"hostile{ATTACK}"

    def count(self, split: str) -> int:
        return 2

    def task(self, split: str, index: int) -> Task:
        return Task(
            content_hash("hostile", str(index)), "hostile", split, f"kind{ATTACK}", f"goal{ATTACK}", "", "hostile"
        )

    def find(self, task_id: str) -> Task:
        for index in range(2):
            if self.task("train", index).id == task_id:
                return self.task("train", index)
        raise UnknownNameError("task id", task_id, ())

    def start(self, task: Task) -> Turn:
        return Turn(f"start{ATTACK}", (f"go{ATTACK}", "win"), extra=Extra(dead_end=""))

    def act(self, action: str) -> Turn:
        if action == "break":
            raise ValueError(f"broken{ATTACK}")
        won = action == "win"
        extra = Extra(dead_end=f"end{ATTACK}")
        return Turn(f"reply{ATTACK}", ("win",), won, won, float(won), float(won), won, "", f"why{ATTACK}", extra)

    def expert_action(self) -> str:
        return f"hint{ATTACK}"

    def demonstration(self, task: Task) -> Trajectory | None:
        return None

    def close(self) -> None:
        pass


class HostileEnv(HindsightEnv):
    """Every text of this env attacks the terminal."""

    splits: ClassVar[tuple[str, ...]] = ("train",)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(HostileBackend(), **kwargs)


if "Hostile-v0" not in gym.registry:
    gym.register(
        "Hostile-v0", entry_point="tests.cli.hostile:HostileEnv", order_enforce=False, disable_env_checker=True
    )
