"""Runs the code of a task in its world, without a sandbox: only for solutions that the templates contain."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from agentgym_hindsight.envs.appworld.miniature.checks import Verdict, judge
from agentgym_hindsight.envs.appworld.miniature.tasks import Made
from agentgym_hindsight.envs.appworld.miniature.world import World

__all__ = ["Ending", "play"]


class Ending(NamedTuple):
    """The result of turns of code: the verdict, the status given to ``complete_task``, and the exception, if any."""

    verdict: Verdict
    completed: str
    error: BaseException | None


class _Apis:
    """``apis.<app>.<api>(…)`` on a world, without a sandbox."""

    def __init__(self, world: World, app: str = "", api: str = "") -> None:
        self._world, self._app, self._api = world, app, api

    def __getattr__(self, name: str) -> _Apis:
        return _Apis(self._world, self._app or name, name if self._app else "")

    def __call__(self, **arguments: Any) -> Any:
        return json.loads(json.dumps(self._world.call(self._app, self._api, arguments)))


def play(world: World, made: Made, turns: Sequence[str]) -> Ending:
    """Reset the world and run turns of code, until the last one or the first exception."""
    world.reset()
    variables: dict[str, Any] = {"apis": _Apis(world), "print": lambda *_: None}
    error: BaseException | None = None
    try:
        for number, turn in enumerate(turns):
            exec(compile(turn, f"<{made.template.name}, turn {number}>", "exec"), variables)
    except Exception as raised:
        error = raised
    verdict = judge(made.job.goal, world.delta(), world.completed, world.answer)
    return Ending(verdict, world.completed, error)
