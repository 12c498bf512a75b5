"""``BFCL-Hindsight-v0``: conversations of several user turns, carried out by calls of stateful APIs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from agentgym_hindsight.envs.base import HindsightEnv
from agentgym_hindsight.envs.bfcl.backend import ApiBackend
from agentgym_hindsight.envs.bfcl.limits import LIMITS, default_max_steps
from agentgym_hindsight.envs.bfcl.sources import open_library
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.hindsight.resolve import hindsight_now
from agentgym_hindsight.hindsight.sources import Hindsight
from agentgym_hindsight.tasks import Task

__all__ = ["BfclEnv"]


class BfclEnv(HindsightEnv):
    """Do what a user asks in several turns, by calling functions that change a world.

    ```python
    import gymnasium as gym
    import agentgym_hindsight

    env = gym.make("BFCL-Hindsight-v0", split="test", expert=True)
    observation, info = env.reset(seed=0)
    print(observation)  # the functions, and the user's first message
    terminated = truncated = False
    while not (terminated or truncated):
        observation, reward, terminated, truncated, info = env.step(info["expert_action"])
    assert reward == 1.0 and info["won"]
    ```

    ## Arguments
    * ``split`` (``train``): ``train``, ``valid`` or ``test``.
    * ``backend`` (``embedded``): ``embedded``, generated APIs and tasks of our own; ``official``, the benchmark's, from
      the package ``bfcl-eval``. ``data="official"`` is short for ``backend="official"``.
    * ``category`` (``all``): official: ``base``, ``miss_func``, ``miss_param``, ``long_context``, or a list of them.
    * ``version`` (None): official: ``2026.3.23`` or ``2025.7.17``; None: the package that is found.
    * ``data`` (None): official: a folder with ``bfcl_eval``; None: ``$BFCL_EVAL_DATA``, this interpreter's package, or
      that of ``agh data install bfcl``.
    * ``recipe`` (``number``): official: how tasks are split, ``number`` or ``hint-sd`` (leaky).
    * ``limit`` (``turn``): ``turn``, 20 actions a user turn, as the benchmark; ``conversation``, 20 actions in all, as
      HINT-SD's release.
    * ``introduce`` (True): False leaves the functions out of the first observation. They are also in
      ``info["extra"].tools``.
    * ``kinds``: embedded: only tasks of these kinds. ``world_seed`` (0): embedded: the seed of the world.
    * ``max_steps`` (None): None: what ``limit`` implies. ``expert`` (False), ``anchor``, ``render_mode``: as in every
      env.

    ## Observation
    First the functions and the user's first message. Then what the calls returned, one line each (``name: result``), or
    the user's next message (``User: …``), with the functions that are added in this turn.

    ## Actions
    Text. Calls are ``<tool_call>{"name": …, "arguments": {…}}</tool_call>``, JSON alone, or ``[f(a=1)]``; several calls
    run in their order. Text without a call ends the user's turn. ``info["admissible_actions"]`` is empty.

    ## Rewards
    0 until the end, then 1 if every user turn passed its check. ``info["won"]``: the reward is 1.

    ## Termination and truncation
    Terminated after the last user turn, or by the limit of a turn; truncated after ``max_steps`` turns.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "valid", "test")
    prompt_world = "tools"
    backend: ApiBackend

    def __init__(
        self,
        split: str = "train",
        *,
        backend: str = "embedded",
        category: str | Sequence[str] = "all",
        version: str | None = None,
        data: str | os.PathLike[str] | None = None,
        recipe: str = "number",
        limit: str = "turn",
        introduce: bool = True,
        kinds: Sequence[str] | None = None,
        world_seed: int = 0,
        max_steps: int | None = None,
        **shared: Any,
    ) -> None:
        if limit not in LIMITS:
            raise UnknownNameError("limit", limit, LIMITS)
        if isinstance(world_seed, bool) or not isinstance(world_seed, int):
            raise UsageError(f"Expected world_seed as a whole number, got {world_seed!r}; try 0.")
        if not isinstance(introduce, bool):
            raise UsageError(f"Expected introduce as True or False, got {introduce!r}; try introduce=False.")
        library = open_library(backend, data, version, category, recipe, kinds, world_seed)
        self.splits = library.splits  # type: ignore[misc]  # overrides the class attribute for this instance
        if split in self.splits and not library.count(split):
            raise UsageError(f"Expected tasks in {split!r}, got none of the chosen kinds there; try other kinds.")
        super().__init__(
            ApiBackend(library, limit=limit, introduce=introduce),
            split=split,
            max_steps=default_max_steps(limit) if max_steps is None else max_steps,
            **shared,
        )
        self._world_settings = {"introduce": introduce}

    def _final(self, hindsight: Hindsight, task: Task) -> Hindsight:
        """Add the verdict to the last step and its hindsight. Observations never contain it."""
        evaluation = self.backend.conclude()
        if self._steps:
            last = self._steps[-1]
            present = evaluation in last.detail  # the backend added it when the conversation ended
            detail = last.detail if present else f"{last.detail}\n{evaluation}".strip()
            self._steps[-1] = replace(last, detail=detail, extra={**last.extra, "evaluation": evaluation})
            hindsight = hindsight_now(self._steps[-1], self._steps)
        return super()._final(hindsight, task)
