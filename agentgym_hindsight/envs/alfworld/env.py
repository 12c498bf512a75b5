"""``ALFWorld-Hindsight-v0``: household tasks in text."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from agentgym_hindsight.envs.alfworld.backend import NativeBackend, TextworldBackend
from agentgym_hindsight.envs.alfworld.data_sources import open_library
from agentgym_hindsight.envs.alfworld.library import FileLibrary, check_task_types
from agentgym_hindsight.envs.alfworld.situation import Situation
from agentgym_hindsight.envs.base import HindsightEnv
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.tasks import Task

__all__ = ["ALFWorldEnv"]

#: backend → (engine, data that it implies); with None the ``data`` argument decides.
_BACKENDS: Mapping[str, tuple[type[NativeBackend], str | None]] = {
    "auto": (NativeBackend, None),
    "native": (NativeBackend, None),
    "textworld": (TextworldBackend, None),
    "embedded": (NativeBackend, "embedded"),
    "official": (NativeBackend, "official"),
}


_ALFWORLD_ARGUMENTS = ("split", "backend", "data", "difficulty", "task_types")
_SHARED_ARGUMENTS = ("max_steps", "anchor", "expert", "render_mode")


class ALFWorldEnv(HindsightEnv):
    """Household tasks in text: find an object, change it if the task says so, put it in its place.

    ```python
    import gymnasium as gym
    import agentgym_hindsight

    env = gym.make("ALFWorld-Hindsight-v0", data="embedded", expert=True)
    observation, info = env.reset(seed=0)
    terminated = truncated = False
    while not (terminated or truncated):
        observation, reward, terminated, truncated, info = env.step(info["expert_action"])
    assert reward == 1.0 and info["won"]
    ```

    ## Arguments
    * ``split`` (``train``): ``train``, ``valid_seen`` or ``valid_unseen``; official data also has ``valid_train``.
    * ``data`` (``auto``): ``embedded`` houses, ``official`` games, the folder of the official games, or ``auto``:
      official if they are installed, else embedded.
    * ``backend``: ``native`` (our engine, the default) or ``textworld`` (the genuine engine, extra ``[alfworld]``).
      ``embedded`` and ``official`` select the native engine with that data.
    * ``difficulty`` (``standard``): ``bare``, ``easy``, ``standard`` or ``hard``; embedded houses only.
    * ``task_types`` (all six): a list of names.
    * ``max_steps`` (50, as in the benchmark), ``expert`` (False), ``anchor`` (``state``, ``observation`` or
      ``similar``), ``render_mode`` (``ansi`` or ``human``): as in every env.

    ``reset(options=…)`` chooses a task: ``{"task_id": id}``, ``{"task": task}``, or ``{"game_file": path}`` for any
    single ``game.tw-pddl``.

    ## Observation
    The engine's text. The first one lists the receptacles of the room and ends with "Your task is to: …". The agent
    sees the contents of the receptacles at its location, except closed ones.

    ## Actions
    One of the commands in ``info["admissible_actions"]``: ``go to fridge 1``, ``open fridge 1``,
    ``take egg 2 from fridge 1``, ``heat egg 2 with microwave 1``, ``move egg 2 to countertop 1``, ``use desklamp 1``,
    ``examine …``, ``look``, ``inventory``, ``help``. The reply to any other text is "Nothing happens.";
    ``info["extra"].reason`` is the reason.

    ## Rewards
    1 on the turn that fulfils the task, else 0.

    ## Termination and truncation
    Terminated when the task is fulfilled, truncated after ``max_steps`` turns. As in the benchmark, the episode
    continues when the task can no longer be fulfilled (``info["extra"].dead_end``).
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "valid_seen", "valid_unseen", "valid_train")
    prompt_world = "alfworld"
    backend: NativeBackend

    def __init__(
        self,
        split: str = "train",
        *,
        backend: str = "auto",
        data: str | os.PathLike[str] = "auto",
        difficulty: str = "standard",
        task_types: Iterable[str] | None = None,
        **shared: Any,
    ) -> None:
        for name in shared:
            if name not in _SHARED_ARGUMENTS:
                raise UnknownNameError("argument of ALFWorld", name, (*_ALFWORLD_ARGUMENTS, *_SHARED_ARGUMENTS))
        if backend not in _BACKENDS:
            raise UnknownNameError("backend", backend, _BACKENDS)
        engine, implied_data = _BACKENDS[backend]
        data_name = os.fspath(data)
        if implied_data is not None and data_name not in ("auto", implied_data):
            if implied_data == "embedded" or data_name == "embedded":
                raise UsageError(
                    f"Expected data that fits backend={backend!r}, got data={data_name!r}; try only one of them."
                )
            implied_data = data_name  # backend="official" with a folder: its official games
        types = None if task_types is None else check_task_types(task_types)
        library = open_library(implied_data or data_name, difficulty=difficulty, task_types=types)
        if difficulty != "standard" and library.name != "embedded":
            raise UsageError(
                f"Expected embedded houses for difficulty={difficulty!r}, got {library.name} games, "
                "which have no difficulty; try data='embedded'."
            )
        library.count(split)  # raises now, not at the first reset, if there is no such split
        self.splits = library.splits  # type: ignore[misc]  # overrides the class attribute for this instance
        super().__init__(engine(library), split=split, **shared)
        self._world_settings = {"difficulty": difficulty, "task_types": "all" if types is None else ",".join(types)}

    def _new_situation(self) -> Situation:
        return Situation()

    def _own_options(self) -> Sequence[str]:
        return ("game_file",)

    def _from_options(self, options: Mapping[str, Any]) -> Task | None:
        if "game_file" not in options:
            return None
        return FileLibrary().open(options["game_file"])
