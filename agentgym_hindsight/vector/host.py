"""One env with isolation of its failures, and the data types between vector env and workers.

The vector env plays through :class:`LocalEnvs` (all envs in this process) or through worker processes, each of which
has some of the envs. Both use :class:`EnvHost`, so both give the same outcomes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from agentgym_hindsight.envs.base import HindsightEnv
from agentgym_hindsight.envs.snapshot_value import Snapshot
from agentgym_hindsight.errors import ResetNeededError, SchemaError, UsageError
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.tasks import SeededOrder, Task
from agentgym_hindsight.wrappers.base import final_hindsight
from agentgym_hindsight.wrappers.snapshots import restore_into, snapshot_of

__all__ = ["Broken", "Description", "EnvFactory", "EnvHost", "EnvPool", "Job", "LocalEnvs", "Outcome", "reason"]

AnyEnv: TypeAlias = "gym.Env[Any, Any]"


class Broken(NamedTuple):
    """The outcome of a failed call: the reason."""

    why: str


#: Observation, reward, terminated, truncated, info. A reset gives reward 0 and no flags.
Outcome: TypeAlias = "tuple[str, float, bool, bool, dict[str, Any]] | Broken"


class Job(NamedTuple):
    """The start of one rollout: a given task, or the task at ``position`` of the order drawn by ``order_seed``."""

    env: int
    seed: int
    order_seed: int
    position: int
    task: Task | str | None
    options: dict[str, Any]


class Description(NamedTuple):
    """The properties of its envs that a vector env uses."""

    single_observation_space: gym.Space[Any]
    single_action_space: gym.Space[Any]
    metadata: dict[str, Any]
    render_mode: str | None
    env_id: str
    backend: str


class EnvPool(Protocol):
    """The envs of a vector env, in this process or in workers. Outcomes are yielded with the env's index, in any order.

    A :class:`Broken` may also be yielded for an env that was not requested, if it failed meanwhile.
    """

    def describe(self) -> Description: ...
    def reset(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Outcome]]: ...
    def restore(self, values: Sequence[tuple[int, Snapshot]]) -> Iterator[tuple[int, Outcome]]: ...
    def snapshots(self, envs: Sequence[int]) -> list[Snapshot]: ...
    def step(self, actions: Sequence[tuple[int, str]]) -> Iterator[tuple[int, Outcome]]: ...
    def trajectory(self, index: int) -> Trajectory | None: ...
    def render(self) -> tuple[Any, ...]: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class EnvFactory:
    """Makes one env: from a spec, so that a worker does not need the registered id, or from a callable."""

    source: EnvSpec | Callable[..., AnyEnv]
    kwargs: dict[str, Any] = field(default_factory=dict)
    wrappers: tuple[Callable[[AnyEnv], AnyEnv], ...] = ()

    def __call__(self) -> AnyEnv:
        if isinstance(self.source, EnvSpec):
            # Gymnasium's env checker would run for each of N copies. The tests of the env run it once.
            env: AnyEnv = gym.make(self.source, **{"disable_env_checker": True, **self.kwargs})
        else:
            env = self.source(**self.kwargs)
        for wrapper in self.wrappers:
            env = wrapper(env)
        if not isinstance(env, gym.Env) or not isinstance(env.unwrapped, HindsightEnv):
            got = type(env.unwrapped if isinstance(env, gym.Env) else env).__name__
            raise UsageError(
                f"Expected a HindsightEnv, got {got}; try gymnasium.vector.SyncVectorEnv for an env of another kind."
            )
        return env


def reason(error: BaseException) -> str:
    """Type and message of an exception, for ``infos["broken"]``."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


class EnvHost:
    """One env. After a failure it is made again at the next reset."""

    def __init__(self, factory: Callable[[], AnyEnv]) -> None:
        self._factory = factory
        self._env: AnyEnv | None = None
        self._rollout_of_failed: Trajectory | None = None  # the rollout of a failed env

    @property
    def env(self) -> AnyEnv:
        """The env, made at the first access."""
        if self._env is None:
            self._env = self._factory()
        return self._env

    def describe(self) -> Description:
        env = self.env
        base = env.unwrapped
        assert isinstance(base, HindsightEnv)  # EnvFactory allows no other type
        name = env.spec.id if env.spec is not None else type(base).__name__
        return Description(
            env.observation_space, env.action_space, env.metadata, env.render_mode, name, str(base.backend.name)
        )

    def reset(self, job: Job) -> Outcome:
        """Start a rollout. Raises only :class:`UsageError`, a mistake of the caller. Other errors break the rollout."""
        self._rollout_of_failed = None
        try:
            env = self.env
            observation, info = env.reset(seed=job.seed, options=_options(env, job))
        except UsageError:
            raise
        except (Exception, SystemExit) as error:
            self._discard()
            return Broken(reason(error))
        return observation, 0.0, False, False, info

    def restore(self, value: Snapshot) -> Outcome:
        """Continue from a snapshot. Raises only what is a mistake of the caller, as :meth:`reset` does."""
        self._rollout_of_failed = None
        try:
            observation, info = restore_into(self.env, value)
        except (UsageError, SchemaError):
            raise
        except (Exception, SystemExit) as error:
            self._discard()
            return Broken(reason(error))
        return observation, 0.0, False, False, info

    def snapshot(self) -> Snapshot:
        """The present moment. Raises any exception of the env: the rollout goes on."""
        if self._env is None:
            raise ResetNeededError("Expected a rollout to take a snapshot of, got none or a broken one; try reset().")
        return snapshot_of(self._env)

    def step(self, action: str) -> Outcome:
        """Play one turn. Also catches SystemExit: a simulator that exits must not end the whole batch."""
        try:
            observation, reward, terminated, truncated, info = self.env.step(action)
            truncated = truncated and not terminated  # a TimeLimit reports both on its last step
            if truncated:  # perhaps by a TimeLimit, which the env does not notice
                info = {**info, "hindsight": final_hindsight(self.env, info["hindsight"], True)}
            return observation, float(reward), bool(terminated), bool(truncated), info
        except (Exception, SystemExit) as error:
            with contextlib.suppress(Exception):
                self._rollout_of_failed = self.trajectory()
            self._discard()
            return Broken(reason(error))

    def trajectory(self) -> Trajectory | None:
        """The rollout so far, from the outermost wrapper that has a ``trajectory``, so that wrappers can add to it."""
        if self._env is None or self._rollout_of_failed is not None:
            return self._rollout_of_failed
        trajectory: Trajectory = self._env.get_wrapper_attr("trajectory")()
        return trajectory

    def render(self) -> Any:
        return None if self._env is None else self._env.render()

    def close(self) -> None:
        self._discard()

    def _discard(self) -> None:
        env, self._env = self._env, None
        if env is not None:
            with contextlib.suppress(Exception):  # the env may be in a failed state
                env.close()


def _options(env: AnyEnv, job: Job) -> dict[str, Any]:
    """The env's reset options for a job."""
    if isinstance(job.task, Task):
        return {**job.options, "task": job.task}
    if job.task is not None:
        return {**job.options, "task_id": job.task}
    if "task" in job.options or "task_id" in job.options:
        return job.options
    base = env.unwrapped
    assert isinstance(base, HindsightEnv)  # EnvFactory allows no other type
    index = SeededOrder(base.backend.count(base.split), job.order_seed)[job.position]
    return {**job.options, "task": base.backend.task(base.split, index)}


class LocalEnvs:
    """All envs in this process. Suits engines that reply in microseconds. An env that hangs cannot be interrupted."""

    def __init__(self, factory: Callable[[], AnyEnv], num_envs: int) -> None:
        self._hosts = [EnvHost(factory) for _ in range(num_envs)]

    def describe(self) -> Description:
        return self._hosts[0].describe()

    def reset(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Outcome]]:
        for job in jobs:
            yield job.env, self._hosts[job.env].reset(job)

    def restore(self, values: Sequence[tuple[int, Snapshot]]) -> Iterator[tuple[int, Outcome]]:
        for index, value in values:
            yield index, self._hosts[index].restore(value)

    def snapshots(self, envs: Sequence[int]) -> list[Snapshot]:
        return [self._hosts[index].snapshot() for index in envs]

    def step(self, actions: Sequence[tuple[int, str]]) -> Iterator[tuple[int, Outcome]]:
        hosts = self._hosts
        for index, action in actions:
            yield index, hosts[index].step(action)

    def trajectory(self, index: int) -> Trajectory | None:
        return self._hosts[index].trajectory()

    def render(self) -> tuple[Any, ...]:
        return tuple(host.render() for host in self._hosts)

    def close(self) -> None:
        for host in self._hosts:
            host.close()
