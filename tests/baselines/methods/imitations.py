"""Shared by tests of methods with analyses: rollouts by hand, and methods whose analyses a script writes."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from agentgym_hindsight.baselines.methods import recipe
from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.hindsight import Group, Step, Trajectory

__all__ = ["failed_and_won", "rollout", "scripted", "turn"]


def turn(index: int, action: str = "look", feedback: str = "Done.", **changes: Any) -> Step:
    """A valid turn that changes the state."""
    values: dict[str, Any] = {
        "anchor": f"s{index}",
        "next_anchor": f"s{index + 1}",
        "prompt": f"You are in room {index}.",
        "response": f"<action>{action}</action>",
    }
    return Step(index, f"room {index}", action, feedback, f"room {index + 1}", **{**values, **changes})


def rollout(*steps: Step, won: bool = False, sibling: int = 0, task: str = "1f") -> Trajectory:
    return Trajectory(task, goal="Find the mug.", steps=steps, sibling=sibling, won=won, score=float(won))


def failed_and_won() -> Group:
    """A failed rollout of three turns, whose second was refused, and a won one of two."""
    refused = turn(1, "eat fridge", "Nothing happens.", action_valid=False, detail="A fridge is no food.",
                   next_anchor="s1")  # fmt: skip
    return Group(
        [
            rollout(turn(0, "go north"), refused, turn(2, "look", next_anchor="s2", feedback="A room.")),
            rollout(turn(0, "go east"), turn(1, "take mug"), won=True, sibling=1),
        ]
    )


def scripted(method: Method | str) -> Method:
    """The method; if it asks an analyser, the scripted one."""
    made = recipe(method) if isinstance(method, str) else method
    return made.changed(analyser="scripted") if any(each.name == "analyser" for each in fields(made)) else made
