"""``AppWorld-Hindsight-v0``: the agent writes Python code that calls the APIs of apps."""

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
from agentgym_hindsight.tasks import Task

__all__ = ["AppWorldEnv"]

#: Splits of each backend.
_SPLITS: dict[str, tuple[str, ...]] = {
    "miniature": ("train", "dev", "test"),
    "official": ("train", "dev", "test_normal", "test_challenge"),
}


class AppWorldEnv(HindsightEnv):
    """Write Python that calls the APIs of apps, to do what a person asks for.

    ```python
    import gymnasium as gym
    import agentgym_hindsight

    env = gym.make("AppWorld-Hindsight-v0", templates=["set_alarm"], expert=True)
    observation, info = env.reset(seed=0)
    print(observation)  # it ends with "Your task: I need an alarm at 22:40 with the label 'Oven'. …"

    env.step("account, = [row for row in apis.supervisor.show_account_passwords() if row['app'] == 'phone']")
    env.step("token = apis.phone.login(username=account['username'], password=account['password'])['access_token']")
    env.step("apis.phone.create_alarm(access_token=token, time='22:40', label='Oven')")
    observation, reward, terminated, truncated, info = env.step("apis.supervisor.complete_task()")
    assert (reward, terminated, info["won"]) == (1.0, True, True)
    ```

    ## Arguments
    * ``backend`` (``miniature``): ``miniature`` is Hamlet, a small world of our own that needs no download.
      ``official`` is the genuine benchmark, if it is installed (``docs/appworld-official.md``).
    * ``split`` (``train``): ``train``, ``dev`` or ``test``; official: ``train``, ``dev``, ``test_normal`` or
      ``test_challenge``.
    * ``templates``, ``difficulty``: only tasks with these template names or of this level (1 to 3); miniature only.
    * ``held_out`` (``templates``): what is new in the held-out splits: ``templates`` and towns, or only ``tasks``
      of the training templates. The second is easier, and the backend's name says it
      (``miniature/hamlet-known-templates``); miniature only.
    * ``limits``: what the code of a turn may use, such as ``{"seconds": 2.0}``, by the names of
      :class:`~.sandbox.Limits`; miniature only.
    * ``root``, ``urls``, ``servers``, ``in_process``: the source of the official worlds; official only.
    * ``max_steps`` (30), ``expert`` (False), ``anchor`` (``state``, ``observation`` or
      ``similar``), ``render_mode`` (``ansi`` or ``human``): as in every env.

    ## Observation
    What the code printed, and the end of the traceback if it failed; "The program ran; nothing was printed." if there
    is neither. The first observation has the person, the APIs for documentation, and the task.

    ## Actions
    Python code. ``apis.<app>.<api>(name=value)`` calls an API. Variables are kept between turns. There is no list of
    legal actions: ``info["admissible_actions"]`` is empty, and ``info["extra"].example_actions`` has some examples. The
    code runs in a sandbox (``docs/sandbox.md``).

    ## Rewards
    0 until the task is completed. ``info["won"]``: all checks pass; then the reward is 1.

    * ``miniature``: otherwise the share of what was asked for (changes and answer) that holds. It is 0 if anything else
      was changed or the status is not ``success``. ``info["score"]`` is the same number.
    * ``official``: otherwise ``info["score"]``, the share of the benchmark's checks that pass, or 0 if only checks pass
      that doing nothing passes too.

    ## Termination and truncation
    Terminated by ``apis.supervisor.complete_task(…)``, truncated after ``max_steps`` turns.
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
        held_out: str | None = None,
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
        of_miniature = {"templates": templates, "difficulty": difficulty, "held_out": held_out, "limits": limits}
        of_official = {"root": root, "urls": urls, "servers": servers, "in_process": in_process or None}
        unusable, other = (of_miniature, "miniature") if backend == "official" else (of_official, "official")
        for name, value in unusable.items():
            if value is not None:
                raise UsageError(
                    f"Expected {name} only with backend={other!r}, got it with {backend!r}; try to leave it out."
                )
        world: MiniatureBackend | OfficialBackend
        if backend == "official":
            world = OfficialBackend(root=root, urls=urls, servers=servers, in_process=in_process)
        else:
            world = MiniatureBackend(MiniatureLibrary(templates, difficulty, held_out or "templates"), _limits(limits))
        try:
            self.splits = world.library.splits  # type: ignore[misc]  # overrides the class attribute for this instance
            if not world.count(split):  # raise here, not at the first reset
                other = next((f"split={name!r}" for name in self.splits), "other templates")
                raise UsageError(f"Expected tasks in {split!r}, got none of the chosen templates there; try {other}.")
            super().__init__(world, split=split, max_steps=max_steps, **shared)
            self._world_settings = {
                "templates": "all" if templates is None else ",".join(sorted(templates)),
                "difficulty": difficulty,
                **{f"limits.{name}": value for name, value in (limits or {}).items()},
            }
        except BaseException:
            world.close()
            raise

    def _final(self, hindsight: Hindsight, task: Task) -> Hindsight:
        """Add the result of the checks to the last step and its hindsight. Observations never contain it."""
        evaluation = self.backend.conclude()
        if evaluation and self._steps:
            last = self._steps[-1]
            present = evaluation in last.detail  # the backend added it when the last turn completed the task
            detail = last.detail if present else f"{last.detail}\n{evaluation}".strip()
            self._steps[-1] = replace(last, detail=detail, extra={**last.extra, "evaluation": evaluation})
            hindsight = hindsight_now(self._steps[-1], self._steps)
        return super()._final(hindsight, task)


def _limits(given: dict[str, Any] | None) -> Limits | None:
    known = Limits.__dataclass_fields__
    for name in given or {}:
        if name not in known:
            raise UnknownNameError("limit", name, known)
    return Limits(**given) if given else None
