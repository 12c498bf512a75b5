"""The hooks of a method of one's own, called once with two small groups before the warm start.

No model answers: every question gets an empty text, as from a server that fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from agentgym_hindsight.baselines.methods.base import Method
from agentgym_hindsight.baselines.methods.replacing import checked_replacements
from agentgym_hindsight.baselines.methods.scripted_ask import ScriptedAsk
from agentgym_hindsight.baselines.methods.teacher_prompts import checked_contexts
from agentgym_hindsight.baselines.training.asker import check_who
from agentgym_hindsight.errors import HindsightError, UsageError
from agentgym_hindsight.hindsight.trajectory import Group, Step, Trajectory

__all__ = ["try_hooks"]


def try_hooks(method: Method, *, has_server: bool = True) -> None:
    """Raise if ``resample`` or ``contexts`` fails on a small example, or returns something of the wrong shape.

    Also raises if they ask a server or a teacher that the run does not have.
    """
    groups = (_group("a", won=(True, False)), _group("b", won=(False, False)))
    ask = ScriptedAsk(method)
    if method.replaces_rollouts:
        checked_replacements(_called(method, "resample", deepcopy(groups), ask), groups, method.name)
    if method.writes_contexts:
        checked_contexts(_called(method, "contexts", deepcopy(groups), ask), groups, method.name)
    for who in sorted(ask.asked):
        check_who(who, has_server=has_server, has_teacher=method.has_teacher)


def _called(method: Method, hook: str, groups: Sequence[Group], ask: ScriptedAsk) -> Any:
    try:
        return getattr(method, hook)(groups, ask)
    except HindsightError:
        raise
    except Exception as error:
        raise UsageError(
            f"Expected {hook} of the method {method.name!r} to work on two small groups whose questions get empty "
            f"answers, got {type(error).__name__}: {error}."
        ) from error


def _group(task_id: str, won: tuple[bool, bool]) -> Group:
    def step(index: int, action: str) -> Step:
        prompt = f"Task: find the mug.\nNow: room {index}."
        response = f"<action>{action}</action>"
        return Step(index, f"room {index}", action, "Done.", f"room {index + 1}", anchor=f"{index}",
                    next_anchor=f"{index + 1}", prompt=prompt, response=response)  # fmt: skip

    rollouts = ((step(0, "north"), step(1, "take mug")), (step(0, "eat"),))
    return Group(
        Trajectory(task_id, goal="find the mug", steps=steps, sibling=sibling, won=is_won, score=float(is_won))
        for sibling, (steps, is_won) in enumerate(zip(rollouts, won, strict=True))
    )
