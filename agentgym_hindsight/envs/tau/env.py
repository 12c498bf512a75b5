"""``TauBench-Hindsight-v0``: customer service with tools, by a policy, for a user who has to be asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from agentgym_hindsight.envs.base import HindsightEnv
from agentgym_hindsight.envs.tau.backend import DeskBackend
from agentgym_hindsight.envs.tau.desk import DOMAINS, RULES
from agentgym_hindsight.envs.tau.library import DeskLibrary
from agentgym_hindsight.envs.tau.sources import BACKENDS, open_desk
from agentgym_hindsight.envs.tau.users import make_user
from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.hindsight.resolve import hindsight_now
from agentgym_hindsight.hindsight.sources import Hindsight
from agentgym_hindsight.tasks import Task

__all__ = ["TauBenchEnv"]


class TauBenchEnv(HindsightEnv):
    """Serve a customer: ask what they want, look at the records, change what they want by the policy, and say so.

    ```python
    import gymnasium as gym
    import agentgym_hindsight

    env = gym.make("TauBench-Hindsight-v0", domain="retail", backend="embedded", split="test", expert=True)
    observation, info = env.reset(seed=0)
    print(observation)  # the policy, the functions, and the customer's first message
    terminated = truncated = False
    while not (terminated or truncated):
        observation, reward, terminated, truncated, info = env.step(info["expert_action"])
    assert reward == 1.0 and info["won"]
    ```

    ## Arguments
    * ``domain`` (``retail``): ``retail``, a shop, or ``airline``.
    * ``split`` (``train``): embedded: ``train``, ``valid`` or ``test``; official: ``train``, ``dev`` (both retail only)
      or ``test``; tau²: ``train`` or ``test``.
    * ``backend`` (``auto``): ``embedded``, generated records and tasks of our own; ``official``, the benchmark's data;
      ``auto``: official if its data is found, else embedded. ``tau2``: the retail tasks of the package tau² that need
      no judge, run by the package itself.
    * ``data`` (None): the folder of the official data; None: ``$TAU_BENCH_DATA``. ``data="embedded"`` is short for
      ``backend="embedded"``.
    * ``rules`` (``official``): ``official`` rewards as the benchmark does; ``strict`` mends what rewards wrong work.
    * ``user`` (``scripted``): ``scripted``, ``scripted-all``, ``endpoint:URL#MODEL``, ``model:PATH``, ``person``, or a
      function of the messages. Scores with a scripted user are not scores of the benchmark.
    * ``introduce`` (True): False leaves the policy and the functions out of the first observation. They are also in
      ``info["extra"]`` (``policy``, ``tools``), for agents that get them in another way, such as a system message.
    * ``kinds``: only tasks of these kinds. ``world_seed`` (0): the seed of the embedded records.
    * ``max_steps`` (30), ``expert`` (False), ``anchor``, ``render_mode``: as in every env.

    ## Observation
    First the policy, the functions and the customer's first message. Then what the calls returned, one line each
    (``name: result``), or the customer's reply (``User: …``).

    ## Actions
    Text. Calls are ``<tool_call>{"name": …, "arguments": {…}}</tool_call>``, JSON alone, or ``[f(a=1)]``; several calls
    run in their order. Text without a call is a message to the customer. ``info["admissible_actions"]`` is empty.

    ## Rewards
    0 until the end, then 1 if the records are those that the reference calls make, and the customer was told all
    outputs of the task. ``info["won"]``: the reward is 1.

    ## Termination and truncation
    Terminated by the customer's goodbye or by ``transfer_to_human_agents``, truncated after ``max_steps`` turns.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "valid", "dev", "test")
    prompt_world = "tools"
    backend: DeskBackend

    def __init__(
        self,
        split: str = "train",
        *,
        domain: str = "retail",
        backend: str = "auto",
        data: str | os.PathLike[str] | None = None,
        rules: str = "official",
        user: str | Callable[..., Any] = "scripted",
        introduce: bool = True,
        kinds: Sequence[str] | None = None,
        world_seed: int = 0,
        max_steps: int = 30,
        **shared: Any,
    ) -> None:
        if domain not in DOMAINS:
            raise UnknownNameError("domain", domain, DOMAINS)
        if backend not in BACKENDS:
            raise UnknownNameError("backend", backend, BACKENDS)
        if rules not in RULES:
            raise UnknownNameError("rules", rules, RULES)
        if isinstance(world_seed, bool) or not isinstance(world_seed, int):
            raise UsageError(f"Expected world_seed as a whole number, got {world_seed!r}; try 0.")
        if not isinstance(introduce, bool):
            raise UsageError(f"Expected introduce as True or False, got {introduce!r}; try introduce=False.")
        desk = open_desk(domain, backend, data, world_seed)
        speaker = make_user(user)
        library = DeskLibrary(desk, rules, speaker.name, kinds)
        self.splits = library.splits  # type: ignore[misc]  # overrides the class attribute for this instance
        if not library.count(split):
            raise UsageError(f"Expected tasks in {split!r}, got none of the chosen kinds there; try other kinds.")
        super().__init__(DeskBackend(library, speaker, introduce=introduce), split=split, max_steps=max_steps, **shared)
        self._world_settings = {"introduce": introduce, "kinds": "all" if kinds is None else ",".join(sorted(kinds))}

    @property
    def tools(self) -> tuple[Any, ...]:
        """The schemas of the functions, as chat templates take them."""
        return tuple(self.backend.library.desk.schemas)

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
