"""The vector env: many rollouts in parallel, in groups of one task, with isolation of failures."""

from __future__ import annotations

import importlib
import weakref
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from agentgym_hindsight.envs.snapshot_value import Snapshot
from agentgym_hindsight.errors import ConformanceError, ResetNeededError, SchemaError, UsageError
from agentgym_hindsight.hindsight.sources import Hindsight
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.tasks import Task, seeded_int
from agentgym_hindsight.vector.choices import checked_seed, chosen_envs, task_id, tasks_per_env
from agentgym_hindsight.vector.host import AnyEnv, Broken, EnvFactory, EnvPool, Job, LocalEnvs, reason
from agentgym_hindsight.vector.infos import InfoTable
from agentgym_hindsight.vector.pool import WorkerEnvs
from agentgym_hindsight.vector.processes import ProcessWorkers
from agentgym_hindsight.vector.transport import Transport

__all__ = ["HindsightVectorEnv"]

Flags: TypeAlias = "npt.NDArray[np.bool_]"


class HindsightVectorEnv(VectorEnv[tuple[str, ...], Sequence["str | None"], npt.NDArray[Any]]):
    """``num_envs`` envs of one kind, in this process or in worker processes, with the same results.

    * ``env``: a registered id, or a callable that makes a :class:`~agentgym_hindsight.envs.base.HindsightEnv`.
    * ``workers``: 0 runs all envs in this process, which suits engines that reply in microseconds. k distributes them
      over k processes, which suits slow engines, and engines that hang or crash.
    * ``group_size``: consecutive envs that play the same task: envs 0 … group_size-1, and so on.
    * ``wrappers``: callables env -> env, applied in order.
    * ``timeout_s``: the seconds a worker may take for one answer. An env in this process has no time limit.
    * ``transport``: how workers run: processes (default), or :class:`~agentgym_hindsight.vector.RayWorkers`.
    * All other arguments go to the env.

    **Episodes.** There is no automatic reset. The step that ends an episode reports it in its flags, once. From then
    on the env is inactive until the next ``reset``: it is not stepped, its action is ignored (``None`` is allowed), its
    reward is 0, its flags are False, and its observation and info do not change. The mask ``infos["_…"]`` shows whose
    values are new; :attr:`active` shows which envs are active. ``reset(options={"reset_mask": mask})`` starts new
    rollouts in some envs while the others go on: whole groups if ``group_size`` is more than 1.

    **Tasks.** ``reset(seed=s)`` starts an order of the split's tasks that depends only on ``s``; each task comes once
    before any is repeated. Group g gets the g-th task, for any number of workers, and ``reset()`` continues.
    ``reset(tasks=[…])`` (or ``options={"tasks": […]}``, which vector wrappers pass on) plays given tasks or ids: one
    per env or one per group; with a ``reset_mask``, one per env or group in it. If there are fewer tasks (without a
    mask), the first envs play them and the others are idle: never active, without a trajectory.

    **Broken rollouts.** After an exception in an env, or if a worker dies or hangs, the affected rollouts are truncated
    and ``infos["broken"]`` gives the reason. The other rollouts continue, and the next ``reset`` uses all envs again.
    Only a :class:`~agentgym_hindsight.errors.UsageError` at ``reset`` (for example an unknown task id) is raised.

    >>> import agentgym_hindsight
    >>> venv = HindsightVectorEnv("ALFWorld-Hindsight-v0", 4, group_size=2, data="embedded", expert=True)
    >>> observations, infos = venv.reset(seed=0)
    >>> len(set(infos["task_id"])), observations[0] == observations[1]
    (2, True)
    >>> while venv.active.any():
    ...     observations, rewards, terminations, truncations, infos = venv.step(infos["expert_action"])
    >>> [trajectory.won for trajectory in venv.trajectories()]
    [True, True, True, True]
    >>> venv.close()
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.DISABLED}  # noqa: RUF012  # Gymnasium's own attribute
    _finalizer: Callable[[], object] | None = None

    def __init__(
        self,
        env: str | gym.envs.registration.EnvSpec | Callable[..., AnyEnv],
        num_envs: int,
        *,
        workers: int = 0,
        group_size: int = 1,
        wrappers: Sequence[Callable[[AnyEnv], AnyEnv]] = (),
        timeout_s: float = 60.0,
        transport: Transport | None = None,
        **env_kwargs: Any,
    ) -> None:
        if num_envs < 1:
            raise UsageError(f"Expected num_envs ≥ 1, got {num_envs}; try 8.")
        if workers < 0:
            raise UsageError(f"Expected workers ≥ 0, got {workers}; try 0 to play in this process.")
        if group_size < 1 or num_envs % group_size:
            raise UsageError(f"Expected a group_size that divides num_envs={num_envs}, got {group_size}; try 1.")
        if transport is not None and not workers:
            raise UsageError("Expected workers ≥ 1 with a transport, got 0; try workers=4.")
        if timeout_s <= 0:
            raise UsageError(f"Expected timeout_s > 0, got {timeout_s}; try 60.")
        source = _spec(env) if isinstance(env, str) else env
        factory = EnvFactory(source, env_kwargs, tuple(wrappers))
        self.num_envs, self.group_size, self.workers = num_envs, group_size, min(workers, num_envs)
        self._pool: EnvPool = (
            WorkerEnvs(factory, num_envs, self.workers, timeout_s, transport or ProcessWorkers())
            if workers
            else LocalEnvs(factory, num_envs)
        )
        # Closes the envs also at the exit of the interpreter, and when this object is garbage-collected.
        self._finalizer = weakref.finalize(self, self._pool.close)
        try:
            description = self._pool.describe()
        except BaseException:
            self._finalizer()
            raise
        self.spec = source if isinstance(source, gym.envs.registration.EnvSpec) else None
        self.metadata = {**description.metadata, "autoreset_mode": AutoresetMode.DISABLED}
        self.render_mode = description.render_mode
        self.single_observation_space = description.single_observation_space
        self.single_action_space = description.single_action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._env_id, self._backend = description.env_id, description.backend
        self._table = InfoTable(num_envs)
        self._order_seed: int | None = None  # seed of the task order
        self._position = 0  # number of tasks of the order that groups have got
        self._resets = 0  # resets since the seed
        self._jobs: list[Job | None] = [None] * num_envs  # None: the env is idle
        self._observations = [""] * num_envs
        self._active = [False] * num_envs
        self._terminated = [False] * num_envs
        self._truncated = [False] * num_envs
        self._broken = [""] * num_envs
        self._unflagged: set[int] = set()  # broken by a reset, which returns no flags: the next step does

    # -- Gymnasium ----------------------------------------------------------------------------------------------

    def reset(
        self,
        *,
        seed: int | None = None,
        options: dict[str, Any] | None = None,
        tasks: Sequence[Task | str] | None = None,
    ) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Start a rollout in every env, in those of the ``reset_mask``, or in as many envs as there are tasks."""
        self._check_open()
        seed, options = checked_seed(seed), dict(options or {})
        mask = options.pop("reset_mask", None)
        chosen = list(range(self.num_envs)) if mask is None else chosen_envs(mask, self.num_envs, self.group_size)
        if "tasks" in options:
            if tasks is not None:
                raise UsageError("Expected tasks once, got them as an argument and in options; try one of the two.")
            tasks = options.pop("tasks")
        if tasks is not None and {"task", "task_id"} & options.keys():
            raise UsageError("Expected either tasks or options['task'], got both; try only tasks.")
        env_tasks = None
        if tasks is not None:
            env_tasks = tasks_per_env(tasks, len(chosen), self.group_size, all_play=mask is not None)
        super().reset(seed=seed)
        jobs = self._plan(seed, options, chosen, env_tasks)
        active = self._active
        self._active = [False] * self.num_envs  # if an exception follows, no env can be stepped
        self._forget(chosen)
        for index in chosen:
            active[index] = False
        for job in jobs:
            self._jobs[job.env], active[job.env] = job, True
        before = np.array(active)
        try:
            for index, outcome in self._pool.reset(jobs):
                if not isinstance(outcome, Broken):
                    self._observations[index] = outcome[0]
                    self._store_info(index, outcome[4], active)
                elif active[index]:  # perhaps a rollout that goes on, and whose worker died
                    self._mark_broken(index, outcome.why, active)
            self._check_siblings(jobs)
        except BaseException as error:
            self._forget(chosen)
            if mask is not None and isinstance(error, (UsageError, ConformanceError)):  # the other rollouts go on
                self._active = [was and index not in chosen for index, was in enumerate(active)]
            raise
        self._active = active
        changed = before & ~np.array(active)
        self._unflagged.update(changed.nonzero()[0].tolist())
        changed[[job.env for job in jobs]] = True
        return tuple(self._observations), self._table.batch(changed, self._broken)

    def step(
        self, actions: Sequence[str | None]
    ) -> tuple[tuple[str, ...], npt.NDArray[np.float64], Flags, Flags, dict[str, Any]]:
        """Step every active env."""
        self._check_open()
        requests = self._requests(actions)
        rewards = [0.0] * self.num_envs
        active = self._active
        played = np.array(active)
        self._active = [False] * self.num_envs  # if the step is interrupted, no env can be stepped
        for index, outcome in self._pool.step(requests):
            if isinstance(outcome, Broken):
                if active[index]:
                    self._mark_broken(index, outcome.why, active)
                    rewards[index] = 0.0
                continue
            self._observations[index], rewards[index], terminated, truncated, info = outcome
            self._terminated[index], self._truncated[index] = terminated, truncated
            if terminated or truncated:
                active[index] = False
            if not self._store_info(index, info, active):
                rewards[index] = 0.0
        self._active = active
        ended = played & ~np.array(active)  # in this call: a flag is returned once, so that wrappers count it once
        ended[list(self._unflagged)] = True
        self._unflagged.clear()
        return (
            tuple(self._observations),
            np.array(rewards, dtype=np.float64),
            np.array(self._terminated) & ended,
            np.array(self._truncated) & ended,
            self._table.batch(played, self._broken),
        )

    def render(self) -> tuple[Any, ...] | None:
        """The render result of each env; ``None`` without a render mode."""
        self._check_open()
        if self.render_mode is None:
            return None
        pictures = self._pool.render()
        if self.render_mode == "ansi":  # None: the env is not made yet, or it failed
            return tuple("" if picture is None else picture for picture in pictures)
        return pictures

    def close_extras(self, **kwargs: Any) -> None:
        """Close the envs and end all worker processes."""
        if self._finalizer is not None:  # older Gymnasium versions also call this after a failed __init__
            self._active = [False] * self.num_envs
            self._finalizer()

    # -- in addition to Gymnasium's API ------------------------------------------------------------------------

    @property
    def active(self) -> Flags:
        """A copy of the mask of active envs."""
        return np.array(self._active)

    def trajectories(self, envs: Sequence[int] | None = None) -> list[Trajectory]:
        """The latest rollout of every env, or of some, in their order, broken ones included. Idle envs have none."""
        self._check_open()
        jobs = self._jobs if envs is None else [self._jobs[index] for index in envs]
        return [self._trajectory(job) for job in jobs if job is not None]

    def idle(self, envs: Sequence[int] | None = None) -> None:
        """Drop the rollouts of some envs, by default of all: they are idle until the next ``reset`` or ``restore``."""
        self._check_open()
        chosen = range(self.num_envs) if envs is None else envs
        for index in chosen:
            self._check_index(index)
        self._forget(chosen)
        for index in chosen:
            self._active[index] = False

    def snapshot(self, env: int) -> Snapshot:
        """The present moment of one env's rollout, wrappers included: a value for :meth:`restore`."""
        return self.snapshots([env])[0]

    def snapshots(self, envs: Sequence[int] | None = None) -> list[Snapshot]:
        """The present moments of several envs, by default of all active ones. The rollouts go on."""
        self._check_open()
        chosen = [index for index, active in enumerate(self._active) if active] if envs is None else list(envs)
        for index in chosen:
            self._check_index(index)
            if self._jobs[index] is None or self._broken[index]:
                raise ResetNeededError(f"Expected a rollout in env {index}, got none or a broken one; try reset().")
        return self._pool.snapshots(chosen)

    def restore(
        self, envs: int | Sequence[int], values: Snapshot | Sequence[Snapshot]
    ) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Continue from snapshots in some envs, while the others go on: as ``reset`` with a ``reset_mask``.

        ``restore(3, value)`` is for one env, ``restore([3, 4], [one, two])`` for several, and ``restore([3, 4],
        value)`` starts several rollouts at one moment. An env whose snapshot is of an ended episode is inactive. The
        envs of a group must have one task.
        """
        self._check_open()
        chosen = [envs] if isinstance(envs, int | np.integer) else list(envs)
        given = [values] * len(chosen) if isinstance(values, Snapshot) else list(values)
        self._check_restore(chosen, given)
        active = self._active
        self._active = [False] * self.num_envs  # if an exception follows, no env can be stepped
        self._forget(chosen)
        for index, value in zip(chosen, given, strict=True):
            self._jobs[index] = Job(index, value.draws[0] or 0, 0, 0, value.task, {})
            active[index] = True
        before = np.array(active)
        try:
            for index, outcome in self._pool.restore(list(zip(chosen, given, strict=True))):
                if not isinstance(outcome, Broken):
                    self._observations[index] = outcome[0]
                    self._store_info(index, outcome[4], active)
                elif active[index]:  # perhaps a rollout that goes on, and whose worker died
                    self._mark_broken(index, outcome.why, active)
        except BaseException as error:
            self._forget(chosen)
            if isinstance(error, (UsageError, SchemaError)):  # the other rollouts go on
                self._active = [was and index not in chosen for index, was in enumerate(active)]
            raise
        for index, value in zip(chosen, given, strict=True):
            if value.over:
                active[index] = False
        self._active = active
        broken = before & ~np.array(active)
        broken[[index for index, value in zip(chosen, given, strict=True) if value.over]] = False
        self._unflagged.update(broken.nonzero()[0].tolist())
        changed = broken.copy()
        changed[chosen] = True
        return tuple(self._observations), self._table.batch(changed, self._broken)

    def fork(self, env: int, into: Sequence[int]) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Continue the rollout of one env in other envs too, from the present moment on."""
        return self.restore(into, self.snapshot(env))

    # -- internal ------------------------------------------------------------------------------------------------

    def _check_index(self, index: object) -> None:
        if isinstance(index, bool) or not isinstance(index, int | np.integer) or not 0 <= index < self.num_envs:
            raise UsageError(f"Expected the number of an env from 0 to {self.num_envs - 1}, got {index!r}; try 0.")

    def _check_restore(self, envs: Sequence[int], values: Sequence[Snapshot]) -> None:
        """Check the arguments of :meth:`restore` before any env changes."""
        for index in envs:
            self._check_index(index)
        if not envs or len(set(envs)) != len(envs) or len(envs) != len(values):
            raise UsageError(
                f"Expected different envs and a snapshot for each, got {len(envs)} envs, {len(set(envs))} of them "
                f"different, and {len(values)} snapshots; try restore([0, 1], [one, two])."
            )
        for value in values:
            if not isinstance(value, Snapshot):
                raise UsageError(f"Expected snapshots, got {type(value).__name__}; try venv.snapshot(0).")
        ids = {index: value.task.id for index, value in zip(envs, values, strict=True)}
        for group in {index // self.group_size for index in envs}:
            members = range(group * self.group_size, (group + 1) * self.group_size)
            tasks = {
                ids.get(index) or self._table[index]["task_id"]
                for index in members
                if index in ids or self._jobs[index] is not None
            }
            if len(tasks) > 1:
                raise UsageError(
                    f"Expected one task in group {group}, whose envs are siblings, got {len(tasks)} tasks; "
                    "try restoring all envs of the group, or group_size=1."
                )

    def _check_open(self) -> None:
        if self.closed:
            raise UsageError("Expected an open vector env, got a closed one; try making a new one.")

    def _forget(self, envs: Sequence[int]) -> None:
        """Delete the rollouts of some envs."""
        self._table.clear(envs)
        self._unflagged.difference_update(envs)
        for index in envs:
            self._jobs[index], self._observations[index], self._broken[index] = None, "", ""
            self._terminated[index] = self._truncated[index] = False

    def _plan(
        self, seed: int | None, options: dict[str, Any], envs: Sequence[int], env_tasks: list[Task | str] | None
    ) -> list[Job]:
        """The rollouts to start in ``envs``. The k-th group of them gets the k-th task that is due."""
        if seed is not None:
            self._order_seed, self._position, self._resets = seed, 0, 0
        elif self._order_seed is None:
            self._order_seed = int(self.np_random.integers(2**31))
        jobs = []
        for number, index in enumerate(envs if env_tasks is None else envs[: len(env_tasks)]):
            env_seed = seeded_int("rollout", self._order_seed, self._resets, index // self.group_size) % 2**31
            task = None if env_tasks is None else env_tasks[number]
            position = self._position + number // self.group_size
            jobs.append(Job(index, env_seed, self._order_seed, position, task, options))
        self._resets += 1
        if env_tasks is None:
            self._position += len(envs) // self.group_size
        return jobs

    def _requests(self, actions: Sequence[str | None]) -> list[tuple[int, str]]:
        if not any(self._active):
            raise ResetNeededError(
                "Expected an active env, got step() after all have ended; try reset(), and `while venv.active.any()` "
                "as the loop: step() reports the end of an episode once."
            )
        if isinstance(actions, str) or len(actions) != self.num_envs:
            got = "a str" if isinstance(actions, str) else str(len(actions))
            raise UsageError(f"Expected {self.num_envs} actions, one per env, got {got}; try None for inactive envs.")
        requests = []
        for index, active in enumerate(self._active):
            if active:
                action = actions[index]
                if not isinstance(action, str):
                    raise UsageError(
                        f"Expected the action of the active env {index} as text, got {action!r}; try a str."
                    )
                requests.append((index, action))
        return requests

    def _store_info(self, index: int, info: dict[str, Any], active: list[bool]) -> bool:
        try:
            self._table.store(index, info)
        except ConformanceError as error:
            self._mark_broken(index, reason(error), active)
            return False
        return True

    def _mark_broken(self, index: int, why: str, active: list[bool]) -> None:
        if self._jobs[index] is None or self._broken[index]:
            return
        self._broken[index] = why
        self._terminated[index], self._truncated[index], active[index] = False, True, False
        # The last hindsight belongs to an action whose result was returned already.
        self._table.update(index, hindsight=Hindsight())

    def _check_siblings(self, jobs: Sequence[Job]) -> None:
        """Check that each group has one task id. A rollout that broke in its reset gets the id of its group."""
        for start in range(0, len(jobs), self.group_size):
            members = [job.env for job in jobs[start : start + self.group_size]]
            known = {self._table[index]["task_id"] for index in members if not self._broken[index]}
            task = jobs[start].task
            expected = known | ({task_id(task)} if task is not None else set())
            if len(expected) > 1:
                raise ConformanceError(
                    f"Expected one task in group {members[0] // self.group_size}, got {', '.join(sorted(expected))}; "
                    "try an env whose reset depends only on its seed and options."
                )
            for index in members:
                if expected and self._broken[index]:
                    self._table.update(index, task_id=next(iter(expected)))

    def _trajectory(self, job: Job) -> Trajectory:
        index = job.env
        trajectory = self._pool.trajectory(index)
        if trajectory is None:
            last_info = self._table[index]
            task = job.task if isinstance(job.task, Task) else None
            trajectory = Trajectory(
                last_info["task_id"],
                self._env_id,
                self._backend,
                task.goal if task else last_info["goal"],
                task.category if task else "",
                task.split if task else "",
                job.seed,
            )
        return trajectory.replace(
            sibling=index % self.group_size,
            broken=self._broken[index],
            truncated=self._truncated[index],
        )


def _spec(env_id: str) -> gym.envs.registration.EnvSpec:
    """The spec of an id. "module:id" imports the module first, as in ``gymnasium.make``."""
    module, _, name = env_id.rpartition(":")
    if module:
        importlib.import_module(module)
    return gym.spec(name)
