"""Records every episode as a trajectory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import gymnasium as gym

from agentgym_hindsight.errors import UsageError
from agentgym_hindsight.hindsight.jsonl import write_jsonl
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.wrappers.base import StepResult, TextWrapper, require_record
from agentgym_hindsight.wrappers.snapshots import RestoreInner

__all__ = ["RecordTrajectories"]


class RecordTrajectories(TextWrapper):
    """Collects a :class:`~agentgym_hindsight.Trajectory` per episode.

    * An episode that did not end (because of ``reset``, ``close`` or an error in ``step``) is also recorded; ``broken``
      gives the reason. An episode without a step is not recorded.
    * It records the prompts, responses, action spans and rewards of the wrappers *inside* it: make it the outermost.
    * ``trajectories`` has all episodes in order, or the newest ``keep`` of them.

    Args:
        path: a file to which each trajectory is appended as a line of JSON. Use a separate file for each worker.
        policy: the name of the policy, written into each trajectory.
        keep: the number of trajectories in memory; ``None`` keeps all.

    >>> import gymnasium as gym, agentgym_hindsight
    >>> env = RecordTrajectories(gym.make("ALFWorld-Hindsight-v0", data="embedded", max_steps=2))
    >>> obs, info = env.reset(seed=0)
    >>> for _ in range(2):
    ...     obs, *_ = env.step("look")
    >>> env.trajectories[0].actions, env.trajectories[0].truncated
    (('look', 'look'), True)
    """

    records_trajectories = True

    def __init__(
        self,
        env: gym.Env[str, str],
        path: str | os.PathLike[str] | None = None,
        policy: str = "",
        keep: int | None = None,
    ) -> None:
        if path is not None and not isinstance(path, (str, os.PathLike)):
            raise UsageError(f"Expected a path to write to, or None, got {path!r}; try 'rollouts.jsonl'.")
        if keep is not None and (not isinstance(keep, int) or isinstance(keep, bool) or keep < 0):
            raise UsageError(f"Expected keep ≥ 0 trajectories or None, got {keep!r}; try None for all.")
        path_text = None if path is None else os.fspath(path)
        super().__init__(env, path=path_text, policy=policy, keep=keep)
        require_record(env, "RecordTrajectories")
        self.path = None if path_text is None else Path(path_text)
        self.policy, self.keep = policy, keep
        self._trajectories: list[Trajectory] = []
        self._open = False  # an episode is running and has at least one step

    @property
    def trajectories(self) -> tuple[Trajectory, ...]:
        """The recorded trajectories, oldest first."""
        return tuple(self._trajectories)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        self._record_unfinished("reset")
        return self.env.reset(seed=seed, options=options)

    def step(self, action: str) -> StepResult:
        try:
            observation, reward, terminated, truncated, info = self.env.step(action)
        except Exception as error:
            self._record_unfinished(f"{type(error).__name__}: {error}")
            raise
        self._open = True
        if terminated or truncated:
            # The env does not notice that an inner TimeLimit ended the episode.
            self._record(truncated=truncated and not terminated)
        return observation, float(reward), terminated, truncated, info

    def snapshot_state(self) -> None:
        """Nothing: the recorded episodes stay those of this env."""
        return

    def restore_state(self, state: Any, restore_inner: RestoreInner) -> tuple[str, dict[str, Any]]:
        """Record the unfinished episode, as ``reset`` does, and restore the env inside."""
        self._record_unfinished("restore")
        observation, info = restore_inner()
        # The rollout has its earlier steps. An episode that is over has been recorded where it was played.
        self._open = False
        return observation, info

    def close(self) -> None:
        self._record_unfinished("close")
        self.env.close()

    def _record_unfinished(self, why: str) -> None:
        if self._open:
            self._record(broken=f"cut by {why}" if why in ("reset", "restore", "close") else why)

    def _record(self, **changes: Any) -> None:
        self._open = False
        trajectory: Trajectory = self.get_wrapper_attr("trajectory")(**changes)
        if self.policy:
            trajectory = trajectory.replace(policy=self.policy)
        self._trajectories.append(trajectory)
        if self.keep is not None:
            del self._trajectories[: len(self._trajectories) - self.keep]
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_jsonl(self.path, [trajectory], append=True)
