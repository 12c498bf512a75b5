"""The common base of the clients: one rollout at a time as ``reset``, ``step``, ``close``, where failures are data.

:class:`Episodes` is for callers without an event loop, :class:`Session` for asyncio.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from agentgym_hindsight.errors import ResetNeededError, UsageError
from agentgym_hindsight.exports.turn_tokens import SampledTokens, TurnTokens, with_tokens
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.stage import Stage
from agentgym_hindsight.tasks import SeededOrder, Task

__all__ = ["Episodes", "Session", "Turn"]

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Turn:
    """What came of a ``reset`` or a ``step``.

    * ``text``: the prompt of the next turn, or the observation, as the stage's protocol gives it.
    * ``reward``, ``over``: of this turn.
    * ``broken``: "" or the reason why the environment failed. Then the rollout is over.
    * ``info``: the env's ``info``, with the hindsight. It must not reach the policy. Empty if the env failed.
    """

    text: str
    reward: float = 0.0
    over: bool = False
    broken: str = ""
    info: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def won(self) -> bool:
        """Whether the goal is reached."""
        return bool(self.info.get("won", False))


class Episodes:
    """Plays the rollouts of one env, one after the other.

    An env that fails ends its rollout: ``trajectory.broken`` and ``turn.broken`` have the reason, and the next
    ``reset`` makes a new env. Mistakes of the caller, such as an unknown task id, raise.

    >>> import agentgym_hindsight
    >>> episodes = Episodes(Stage(settings={"data": "embedded", "max_steps": 1}, protocol="plain"))
    >>> first = episodes.reset()
    >>> turn = episodes.step("look")
    >>> first.text.startswith("Task: "), turn.over, turn.broken, episodes.trajectory.outcome
    (True, True, '', 'truncated')
    >>> episodes.close()
    """

    def __init__(self, stage: Stage, split: str = "train", *, seed: int = 0) -> None:
        self.stage, self.split, self.seed = stage, split, seed
        self._env: Any = None
        self._resets = 0
        self._facts: dict[str, Any] = {}
        self._tokens: list[SampledTokens | TurnTokens] = []
        self._last: Trajectory | None = None  # of an episode that has ended
        self._over = True
        self._began = False

    def reset(self, task: Task | str | None = None, *, sibling: int = 0, policy: str = "") -> Turn:
        """Start a rollout of a task, or of the task with this id; without one, of the next task of the seeded order.

        ``sibling`` and ``policy`` are recorded in the trajectory.
        """
        if task is not None and not isinstance(task, str | Task):
            raise UsageError(f"Expected a task or its id, got {type(task).__name__}; try Stage.panel(…)[0].")
        task_id = task.id if isinstance(task, Task) else task or ""
        self._facts = {"sibling": sibling, **({"policy": policy} if policy else {})}
        self._last = self._blank(task_id)
        self._tokens, self._over, self._began = [], True, True
        try:
            if self._env is None:
                self._env = self.stage.make(self.split)
            if task is None:
                task = self._next_task()
            options = {"task_id": task} if isinstance(task, str) else {"task": task}
            text, info = self._env.reset(seed=self.seed, options=options)
        except UsageError:  # a mistake of the caller, not a broken rollout
            self._began = False
            raise
        except Exception as error:
            return self._broken(error)
        self._last, self._over = None, False
        return Turn(str(text), info=info)

    def step(self, text: str, tokens: SampledTokens | TurnTokens | None = None) -> Turn:
        """Do one reply of the policy. ``tokens`` are recorded with the turn, where given."""
        if not self._began:
            raise ResetNeededError("Expected reset() first, got step() before it; try session.reset(task).")
        if self._over:
            raise ResetNeededError("Expected an open rollout, got step() after its end; try session.reset(task).")
        if not isinstance(text, str):
            raise UsageError(f"Expected the reply of the policy as text, got {type(text).__name__}; try a string.")
        self._tokens.append(TurnTokens() if tokens is None else tokens)
        try:
            observation, reward, terminated, truncated, info = self._env.step(text)
        except Exception as error:
            return self._broken(error)
        self._over = bool(terminated or truncated)
        return Turn(str(observation), float(reward), self._over, info=info)

    @property
    def over(self) -> bool:
        """Whether no rollout is open."""
        return self._over

    @property
    def trajectory(self) -> Trajectory:
        """The rollout so far, as plain data, with the tokens that were given to ``step``."""
        if not self._began:
            raise ResetNeededError("Expected a rollout, got none; try session.reset(task).")
        found: Trajectory = self._last if self._last is not None else self._env.unwrapped.trajectory()
        # The turn in which an env failed has a reply but no step.
        return with_tokens(found, self._tokens[: len(found.steps)]).replace(**self._facts)

    def cut(self) -> Turn:
        """End an open rollout that a client stops, such as at its own limit of turns: the trajectory is truncated.

        The turn has the final hindsight. A rollout without a turn ends too.
        """
        if self._over:
            raise ResetNeededError("Expected an open rollout to cut, got none; try session.reset(task).")
        info: dict[str, Any] = {}
        with suppress(UsageError):  # no step was made
            info["hindsight"] = self._env.unwrapped.cut()
        self._last = self._env.unwrapped.trajectory().replace(truncated=True)
        self._over = True
        return Turn("", over=True, info=info)

    def close(self) -> None:
        """Close the env. The trajectory stays; ``reset`` would make a new env."""
        if self._began and self._last is None:
            with suppress(Exception):
                self._last = self._env.unwrapped.trajectory()
        self._drop()

    def successor(self, error: Exception) -> Episodes:
        """Episodes whose last rollout is this one's, broken by ``error``. This object's env may still be in a call."""
        other = Episodes(self.stage, self.split, seed=self.seed)
        other._resets, other._facts, other._began = self._resets, self._facts, True
        last = self._last
        if last is None:
            with suppress(Exception):  # the env is still in a call, and its steps may be incomplete
                last = self._env.unwrapped.trajectory()
        other._tokens = list(self._tokens)
        broken = f"{type(error).__name__}: {error}"
        other._last = (self._blank() if last is None else last).replace(broken=broken, truncated=True)
        return other

    def _blank(self, task_id: str = "") -> Trajectory:
        return Trajectory(task_id, env_id=self.stage.env, split=self.split, seed=self.seed)

    def _next_task(self) -> Task:
        backend = self._env.unwrapped.backend
        order = SeededOrder(backend.count(self.split), self.seed)
        task: Task = backend.task(self.split, order[self._resets])
        self._resets += 1
        return task

    def _broken(self, error: Exception) -> Turn:
        reason = f"{type(error).__name__}: {error}"
        if self._last is None:
            with suppress(Exception):  # an env that failed may not have a trajectory any more
                self._last = self._env.unwrapped.trajectory()
        self._last = (self._blank() if self._last is None else self._last).replace(broken=reason, truncated=True)
        self._drop()
        return Turn("", over=True, broken=reason)

    def _drop(self) -> None:
        self._over = True
        env, self._env = self._env, None
        with suppress(Exception):
            if env is not None:
                env.close()


class Session:
    """:class:`Episodes` for asyncio: the env runs in a thread of its own, so the event loop is never blocked.

    ``timeout_s`` limits each ``reset`` and ``step``: then the rollout is broken, and the thread, which cannot be
    stopped, is left to itself. Sessions are independent; the calls of one session run one after the other.

    >>> import agentgym_hindsight
    >>> async def play():
    ...     async with Session(Stage(settings={"data": "embedded", "max_steps": 1}, protocol="plain")) as session:
    ...         await session.reset()
    ...         return await session.step("look")
    >>> asyncio.run(play()).over
    True
    """

    def __init__(self, stage: Stage, split: str = "train", *, seed: int = 0, timeout_s: float | None = None) -> None:
        if timeout_s is not None and not timeout_s > 0:
            raise UsageError(f"Expected a time limit above 0 s, got {timeout_s}; try None for no limit.")
        self.stage, self.split, self.seed, self.timeout_s = stage, split, seed, timeout_s
        self._thread: ThreadPoolExecutor | None = None
        self._episodes = Episodes(stage, split, seed=seed)

    async def reset(self, task: Task | str | None = None, *, sibling: int = 0, policy: str = "") -> Turn:
        """As :meth:`Episodes.reset`."""
        return await self._turn(partial(self._episodes.reset, task, sibling=sibling, policy=policy))

    async def step(self, text: str, tokens: SampledTokens | TurnTokens | None = None) -> Turn:
        """As :meth:`Episodes.step`."""
        return await self._turn(partial(self._episodes.step, text, tokens))

    async def cut(self) -> Turn:
        """As :meth:`Episodes.cut`."""
        return await self._turn(self._episodes.cut)

    @property
    def over(self) -> bool:
        """Whether no rollout is open."""
        return self._episodes.over

    @property
    def trajectory(self) -> Trajectory:
        """The rollout so far, as plain data, with the tokens that were given to ``step``."""
        return self._episodes.trajectory

    async def close(self) -> None:
        """Close the env. The trajectory stays; ``reset`` would make a new env."""
        if self._thread is not None:
            thread, self._thread = self._thread, None
            with suppress(asyncio.TimeoutError):
                await self._within(asyncio.get_running_loop().run_in_executor(thread, self._episodes.close))
            thread.shutdown(wait=False)

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _turn(self, call: Callable[[], Turn]) -> Turn:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="agh-session")
        try:
            return await self._within(asyncio.get_running_loop().run_in_executor(self._thread, call))
        except asyncio.TimeoutError:
            return self._abandon(TimeoutError(f"no answer within {self.timeout_s:g} s"))

    async def _within(self, future: asyncio.Future[Result]) -> Result:
        if self.timeout_s is None:
            return await future
        return await asyncio.wait_for(asyncio.shield(future), self.timeout_s)

    def _abandon(self, error: Exception) -> Turn:
        """Leave the thread and its env; the thread closes the env when the call returns."""
        thread, self._thread = self._thread, None
        left, self._episodes = self._episodes, self._episodes.successor(error)
        if thread is not None:
            thread.submit(left.close)
            thread.shutdown(wait=False)
        return Turn("", over=True, broken=f"{type(error).__name__}: {error}")
