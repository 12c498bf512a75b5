"""Envs for TRL's own trainer: a class for ``GRPOTrainer(environment_factory=…)`` and a dataset of tasks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from agentgym_hindsight.errors import MissingExtraError, ResetNeededError, UsageError
from agentgym_hindsight.hindsight.control_text import break_control_text
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.tasks import SeededOrder, Task

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["INSTRUCTION", "TRLEnvironment", "to_trl_environment", "trl_dataset", "trl_reward"]

#: The prompt of every row of the dataset; TRL appends the first observation of the task.
INSTRUCTION = (
    "You act in a world by calling the tool `act`, one action a call, and read in its answer what came of it. "
    "Go on until you are told that the episode is over.\n\n"
)


class TRLEnvironment:
    """An environment with the interface that TRL expects. :func:`to_trl_environment` makes subclasses.

    One instance plays one rollout at a time. TRL offers every public method except ``reset`` and ``get_reward`` to the
    model as a tool. Therefore :meth:`act` is the only other public method; everything else is a property.

    TRL renders and tokenizes what the methods return, with special tokens. Therefore the text of a control token in an
    observation is broken by a space (:func:`~agentgym_hindsight.hindsight.control_text.break_control_text`).
    """

    # Shared by all instances of one subclass.
    _stage: ClassVar[Stage]
    _split: ClassVar[str]
    _seed: ClassVar[int]

    def __init__(self) -> None:
        self._env: Any = self._stage.make(self._split)
        self._resets = 0
        self._over = False
        self._trajectory: Trajectory | None = None

    def reset(self, task_id: str | None = None, **row: Any) -> str:
        """Start a task and return its first observation, which TRL appends to the prompt.

        ``task_id`` and ``row`` come from the row of the dataset. TRL repeats a row for every rollout of its group, so
        siblings play one task. Without an id, the k-th reset of every instance starts the k-th task of the order that
        the seed gives. Then the whole batch plays one task.
        """
        self._trajectory, self._over = Trajectory(task_id or "", env_id=self._stage.env, split=self._split), False
        try:
            if self._env is None:  # it failed in the previous episode
                self._env = self._stage.make(self._split)
            options = {"task_id": task_id} if task_id else {"task": self._next_task()}
            observation, _ = self._env.reset(seed=self._seed, options=options)
            self._trajectory = self._env.unwrapped.trajectory()
        except UsageError:  # an unknown id is a mistake of the caller, not a broken rollout
            raise
        except Exception as error:
            return self._end_broken(error)
        return break_control_text(str(observation))

    def act(self, action: str) -> str:
        """
        Do one action in the world.

        Args:
            action: What to do now, for example one of the admissible actions.

        Returns:
            What came of it.
        """
        if self._trajectory is None:
            raise ResetNeededError("Expected reset() first, got act() before it; try environment.reset().")
        if not isinstance(action, str):  # TRL shows this message to the model, and the episode continues
            raise UsageError(f"Expected the action as text, got {type(action).__name__}; try a string.")
        if self._over:
            return f"{self._result_text()} Nothing more can be done: do not call this tool again."
        try:
            observation, _, terminated, truncated, _ = self._env.step(action)
            self._trajectory = self._env.unwrapped.trajectory()
        except Exception as error:  # a broken rollout is data: it ends, and the batch continues
            return self._end_broken(error)
        self._over = terminated or truncated
        shown = break_control_text(str(observation))
        return f"{shown}\n\n{self._result_text()}" if self._over else shown

    def get_reward(self) -> float | None:
        """The sum of the episode's rewards so far. None for a broken rollout, which TRL excludes from its group."""
        trajectory = self.trajectory
        return None if trajectory.broken else trajectory.total_reward

    @property
    def over(self) -> bool:
        """Whether the episode has ended."""
        return self._over

    @property
    def trajectory(self) -> Trajectory:
        """The episode so far, as plain data; hindsight is computed from it."""
        if self._trajectory is None:
            raise ResetNeededError("Expected an episode, got none; try environment.reset().")
        return self._trajectory

    def _next_task(self) -> Task:
        backend = self._env.unwrapped.backend
        order = SeededOrder(backend.count(self._split), self._seed)
        task: Task = backend.task(self._split, order[self._resets])
        self._resets += 1
        return task

    def _end_broken(self, error: Exception) -> str:
        self._trajectory = self.trajectory.replace(broken=f"{type(error).__name__}: {error}", truncated=True)
        # The next reset makes a new env, because the state of this one is unknown.
        with suppress(Exception):
            self._env.close()
        self._over, self._env = True, None
        return self._result_text()

    def _result_text(self) -> str:
        trajectory = self.trajectory
        if trajectory.broken:
            return "The episode is over: the environment broke down."
        if trajectory.won:
            return "The episode is over: the task is done."
        return "The episode is over: " + ("no turns are left." if trajectory.truncated else "the task is not done.")


def to_trl_environment(
    env_id: str,
    *,
    settings: Mapping[str, Any] | None = None,
    protocol: str = "plain",
    reward: str = "10-won",
    split: str = "train",
    seed: int = 0,
) -> type[TRLEnvironment]:
    """A class for ``GRPOTrainer(environment_factory=…)``: the model acts by tool calls, the env gives the reward.

    * ``settings``: arguments of the env.
    * ``protocol``: the prompt of a turn, also used for the results of tool calls. ``act`` takes what the protocol's
      parser reads; with ``"plain"``, the bare action.
    * ``reward``: ``"10-won"`` as in the papers, or ``"native"``.
    * ``split``, ``seed``: the order of tasks if a row of the dataset names none; see :func:`trl_dataset`.

    >>> import agentgym_hindsight
    >>> kind = to_trl_environment("ALFWorld-Hindsight-v0", settings={"data": "embedded", "max_steps": 1})
    >>> environment = kind()
    >>> environment.reset().startswith("Task: ")
    True
    >>> print(environment.act("look").splitlines()[-1])
    The episode is over: no turns are left.
    >>> environment.get_reward(), kind.__name__
    (0.0, 'ALFWorld_Hindsight_v0')
    """
    stage = Stage(env=env_id, settings=dict(settings or {}), protocol=protocol, reward=reward)
    # TRL logs the reward under the name of the class.
    name = re.sub(r"\W", "_", env_id.rpartition(":")[2])
    return type(name, (TRLEnvironment,), {"_stage": stage, "_split": split, "_seed": seed, "__module__": __name__})


def trl_dataset(
    env_id: str,
    split: str = "train",
    n: int = 0,
    seed: int = 0,
    *,
    settings: Mapping[str, Any] | None = None,
    instruction: str = INSTRUCTION,
) -> Dataset:
    """The first ``n`` tasks of a split in seeded order (0: all tasks), as a dataset for ``GRPOTrainer``.

    Columns: ``prompt``, a chat of one message with the ``instruction``, and ``task_id``, which TRL passes to
    :meth:`TRLEnvironment.reset`. ``settings`` must be those of the environment; otherwise the ids differ.
    """
    if find_spec("datasets") is None:
        raise MissingExtraError("datasets", "train", "A dataset of tasks")
    from datasets import Dataset

    panel = Stage(env=env_id, settings=dict(settings or {})).panel(split, n, seed)
    prompt = [{"role": "user", "content": instruction}]
    return Dataset.from_list([{"prompt": prompt, "task_id": task.id} for task in panel])


def trl_reward(environments: Sequence[TRLEnvironment], **_: Any) -> list[float | None]:
    """A reward function for ``reward_funcs``: 1 for a won task, 0 otherwise.

    TRL adds it to the environment's own reward. To log the success rate without changing the reward, set its weight to
    0: ``GRPOConfig(reward_weights=[0.0])``. Your own reward functions can read ``environment.trajectory`` too.
    """
    rollouts = [environment.trajectory for environment in environments]
    return [None if rollout.broken else float(rollout.won) for rollout in rollouts]
