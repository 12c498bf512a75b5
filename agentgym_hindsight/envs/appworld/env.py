"""``AppWorld-Hindsight-v0``: an agent writes code that calls apps."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from agentgym_hindsight.envs.appworld.miniature.backend import MiniatureBackend
from agentgym_hindsight.envs.appworld.miniature.library import MiniatureLibrary
from agentgym_hindsight.envs.appworld.official import OfficialBackend
from agentgym_hindsight.envs.appworld.sandbox import Limits
from agentgym_hindsight.envs.base import HindsightEnv
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.hindsight.resolve import hindsight_now
from agentgym_hindsight.hindsight.sources import Hindsight
from agentgym_hindsight.tasks import Task, TaskPanel

__all__ = ["AppWorldEnv"]

#: Splits of each backend.
_SPLITS: dict[str, tuple[str, ...]] = {
    "miniature": ("train", "dev", "test"),
    "official": ("train", "dev", "test_normal", "test_challenge"),
}


class AppWorldEnv(HindsightEnv):
    """Do what a person asks for by writing Python that calls the APIs of apps.

    ## Description
    Mail, phone, notes, calendar, payments, a shop, files, music: each app has documented APIs, data of a person and of
    the people around them, and a login. A task is one sentence of that person's. It is done when
    ``apis.supervisor.complete_task(…)`` was called; then checks look at the answer and at every table: what was asked
    for is there, and nothing else has changed.

    ## Observation
    What the program printed, and the end of the traceback where it failed. The first one says who asks for what, and
    how to find out the rest.

    ## Actions
    Python code. ``apis.<app>.<api>(name=value)`` calls an API; variables live on between turns. The open set:
    ``info["admissible_actions"]`` is empty. Code runs in a sandbox, see ``docs/sandbox.md``.

    ## Rewards
    0 until the task is completed, then ``info["score"]``, the share of checks that hold, or still 0 where nothing that
    was asked for is there: ending at once must not pay. ``info["won"]``: all of them.

    ## Termination and truncation
    Terminated by ``complete_task``; truncated after ``max_steps`` turns (30).

    ## Arguments
    * ``split``: ``train``, ``dev``, ``test``; of the official backend ``test_normal`` and ``test_challenge``.
    * ``backend``: ``miniature`` (Hamlet, a small world of our own: its results are not AppWorld's) or ``official``, the
      genuine benchmark, where it is installed: see ``docs/appworld-official.md``.
    * ``templates``, ``difficulty``: some kinds of tasks only, by name or level (1 to 3); miniature alone.
    * ``limits``: what a turn's code may use, by the names of :class:`~.sandbox.Limits`; miniature alone.
    * ``root``, ``urls``, ``servers``, ``in_process``: where the official worlds come from; official alone.
    * and those of every env: ``max_steps``, ``anchor``, ``expert``, ``render_mode``.

    The state anchor is a hash of everything that changed in the tables, who is logged in, and the names, types and
    lengths of the live variables.

    ## Registered ids
    ``AppWorld-Hindsight-v0``
    """

    splits: ClassVar[tuple[str, ...]] = tuple(dict.fromkeys(name for names in _SPLITS.values() for name in names))
    prompt_world = "appworld"
    backend: MiniatureBackend | OfficialBackend

    def __init__(
        self,
        split: str = "train",
        *,
        backend: str = "miniature",
        templates: Sequence[str] | None = None,
        difficulty: int | None = None,
        limits: dict[str, Any] | None = None,
        root: str | os.PathLike[str] | None = None,
        urls: Sequence[str] | None = None,
        servers: int | None = None,
        in_process: bool = False,
        max_steps: int = 30,
        **shared: Any,
    ) -> None:
        if backend not in _SPLITS:
            raise UnknownNameError("backend", backend, _SPLITS)
        if split not in _SPLITS[backend]:
            raise UnknownNameError(f"split of the {backend} backend", split, _SPLITS[backend])
        ours = {"templates": templates, "difficulty": difficulty, "limits": limits}
        theirs = {"root": root, "urls": urls, "servers": servers, "in_process": in_process or None}
        foreign, other = (ours, "miniature") if backend == "official" else (theirs, "official")
        for name, value in foreign.items():
            if value is not None:
                raise UsageError(f"Expected {name} with backend={other!r} alone, got it with {backend!r}.")
        self.splits = _SPLITS[backend]  # type: ignore[misc]  # this instance's own
        world: MiniatureBackend | OfficialBackend
        if backend == "official":
            world = OfficialBackend(root=root, urls=urls, servers=servers, in_process=in_process)
        else:
            world = MiniatureBackend(MiniatureLibrary(templates, difficulty), _limits(limits))
            if not world.count(split):  # said now, not at the first reset
                other = next((f"split={name!r}" for name in _SPLITS[backend] if world.count(name)), "other ones")
                raise UsageError(f"Expected tasks in {split!r}, got none of the chosen templates there; try {other}.")
        super().__init__(world, split=split, max_steps=max_steps, **shared)

    def panel(self, split: str | None = None) -> TaskPanel:
        """The tasks of a split, as an ordered panel with a fingerprint."""
        name = self.split if split is None else split
        count = self.backend.count(name)
        return TaskPanel((self.backend.task(name, index) for index in range(count)), name=f"{self.backend.name}/{name}")

    def _final(self, hindsight: Hindsight, task: Task) -> Hindsight:
        """The episode is over: now the checks may speak, in the record and in the hindsight alone."""
        told = self.backend.conclude()
        if told and self._steps:
            last = self._steps[-1]
            known = told in last.detail  # a backend that judged the last turn has said it there
            detail = last.detail if known else f"{last.detail}\n{told}".strip()
            self._steps[-1] = replace(last, detail=detail, extra={**last.extra, "evaluation": told})
            hindsight = hindsight_now(self._steps[-1], self._steps)
        return super()._final(hindsight, task)


def _limits(given: dict[str, Any] | None) -> Limits | None:
    known = Limits.__dataclass_fields__
    for name in given or {}:
        if name not in known:
            raise UnknownNameError("limit", name, known)
    return Limits(**given) if given else None
