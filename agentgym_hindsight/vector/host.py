"""One env and the manners around it: started by a job, broken by an exception without harm to others, made anew.

The vector env plays through :class:`LocalEnvs` (all hosts in this process) or through worker processes, each of which
holds some hosts. Both give the same outcomes because both end here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from agentgym_hindsight.envs.base import HindsightEnv
from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.tasks import SeededOrder, Task
from agentgym_hindsight.wrappers.base import final_hindsight

__all__ = ["Broken", "Description", "EnvFactory", "EnvHost", "EnvPool", "Job", "LocalEnvs", "Outcome", "reason"]

AnyEnv: TypeAlias = "gym.Env[Any, Any]"


class Broken(NamedTuple):
    """An outcome that says why there is no other."""

    why: str


#: Observation, reward, terminated, truncated, info. A reset gives reward 0 and no flags.
Outcome: TypeAlias = "tuple[str, float, bool, bool, dict[str, Any]] | Broken"


class Job(NamedTuple):
    """How one rollout starts: a given task, or the place ``position`` of the walk over the split drawn by ``walk``."""

    env: int
    seed: int
    order_seed: int
    position: int
    task: Task | str | None
    options: dict[str, Any]


class Description(NamedTuple):
    """What the vector env has to know about its envs."""

    single_observation_space: gym.Space[Any]
    single_action_space: gym.Space[Any]
    metadata: dict[str, Any]
    render_mode: str | None
    env_id: str
    backend: str


class EnvPool(Protocol):
    """Where the envs live: in this process or in others. Outcomes come with the env's index, in any order.

    Besides the outcomes asked for there may be a :class:`Broken` for any other env that was lost on the way.
    """

    def describe(self) -> Description: ...
    def reset(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Outcome]]: ...
    def step(self, actions: Sequence[tuple[int, str]]) -> Iterator[tuple[int, Outcome]]: ...
    def trajectory(self, index: int) -> Trajectory | None: ...
    def render(self) -> tuple[Any, ...]: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class EnvFactory:
    """Makes one env: from a spec, so that a worker need not have registered the id, or from a callable."""

    source: EnvSpec | Callable[..., AnyEnv]
    kwargs: dict[str, Any] = field(default_factory=dict)
    wrappers: tuple[Callable[[AnyEnv], AnyEnv], ...] = ()

    def __call__(self) -> AnyEnv:
        if isinstance(self.source, EnvSpec):
            # One check of the env's manners belongs into its tests, not into every one of N copies.
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
    """An exception as ``infos["broken"]`` tells it: type and message."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


class EnvHost:
    """One env that outlives its own failures: after one it is made anew at the next reset."""

    def __init__(self, factory: Callable[[], AnyEnv]) -> None:
        self._factory = factory
        self._env: AnyEnv | None = None
        self._remains: Trajectory | None = None  # the rollout of an env that broke and was let go

    @property
    def env(self) -> AnyEnv:
        """The env, made at the first look."""
        if self._env is None:
            self._env = self._factory()
        return self._env

    def describe(self) -> Description:
        env = self.env
        base = env.unwrapped
        assert isinstance(base, HindsightEnv)  # EnvFactory lets no other through
        name = env.spec.id if env.spec is not None else type(base).__name__
        return Description(
            env.observation_space, env.action_space, env.metadata, env.render_mode, name, str(base.backend.name)
        )

    def reset(self, job: Job) -> Outcome:
        """Start a rollout. A :class:`UsageError` is the caller's and is raised; anything else breaks the rollout."""
        self._remains = None
        try:
            env = self.env
            observation, info = env.reset(seed=job.seed, options=_options(env, job))
        except UsageError:
            raise
        except (Exception, SystemExit) as error:
            self._discard()
            return Broken(reason(error))
        return observation, 0.0, False, False, info

    def step(self, action: str) -> Outcome:
        """Play one turn. SystemExit is caught too: a simulator that gives up must not take the batch with it."""
        try:
            observation, reward, terminated, truncated, info = self.env.step(action)
            if truncated and not terminated:  # by a TimeLimit, which the env does not know of
                info = {**info, "hindsight": final_hindsight(self.env, info["hindsight"], True)}
            return observation, float(reward), bool(terminated), bool(truncated), info
        except (Exception, SystemExit) as error:
            with contextlib.suppress(Exception):
                self._remains = self.trajectory()
            self._discard()
            return Broken(reason(error))

    def trajectory(self) -> Trajectory | None:
        """The rollout so far; looked up from the outermost wrapper inward, so that a wrapper may add to it."""
        if self._env is None or self._remains is not None:
            return self._remains
        trajectory: Trajectory = self._env.get_wrapper_attr("trajectory")()
        return trajectory

    def render(self) -> Any:
        return None if self._env is None else self._env.render()

    def close(self) -> None:
        self._discard()

    def _discard(self) -> None:
        env, self._env = self._env, None
        if env is not None:
            with contextlib.suppress(Exception):  # it may be what failed
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
    assert isinstance(base, HindsightEnv)  # EnvFactory lets no other through
    index = SeededOrder(base.backend.count(base.split), job.order_seed)[job.position]
    return {**job.options, "task": base.backend.task(base.split, index)}


class LocalEnvs:
    """All envs in this process: right for engines that answer in microseconds. Nothing can stop one that hangs."""

    def __init__(self, factory: Callable[[], AnyEnv], num_envs: int) -> None:
        self._hosts = [EnvHost(factory) for _ in range(num_envs)]

    def describe(self) -> Description:
        return self._hosts[0].describe()

    def reset(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Outcome]]:
        for job in jobs:
            yield job.env, self._hosts[job.env].reset(job)

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
