"""``snapshot()`` and ``restore()`` of every env: the part of the env's state that no backend has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np

from agentgym_hindsight.envs.snapshot_value import Snapshot
from agentgym_hindsight.envs.turn import Turn
from agentgym_hindsight.errors import ResetNeededError, UsageError
from agentgym_hindsight.hindsight.resolve import hindsight_now
from agentgym_hindsight.hindsight.sources import Hindsight
from agentgym_hindsight.hindsight.trajectory import Origin, Step
from agentgym_hindsight.tasks import SeededOrder, Task, content_hash

__all__ = ["RestorableEnv", "Snapshot"]

_NO_HINDSIGHT = Hindsight()


class RestorableEnv(gym.Env[str, str]):
    """The two methods, for an env with a backend that has them too.

    A backend that can be restored has three methods, with values of tuples, texts, numbers and None:

    * ``snapshot(turn)``: the state of its world. ``turn`` is the present turn of the env.
    * ``restore(task, world, turn)``: set the world to this state, and return ``turn`` with its ``extra``.
    * ``decode(task, world)``: the state from JSON, in which tuples are lists. It checks every value, as the file may
      have been edited, and raises :class:`~agentgym_hindsight.errors.SchemaError`.

    A backend that has the methods but cannot be restored with its arguments has the reason as ``not_restorable``.
    """

    backend: Any
    split: str
    max_steps: int
    anchor: str
    expert: bool
    task: Task | None
    _order: SeededOrder | None
    _position: int
    _steps: list[Step]
    _turn: Turn | None
    _anchor: str
    _situation: Any
    _seed: int | None
    _order_seed: int
    _over: bool
    _forked_at: int | None = None  # the turns before the rollout was restored; None: it began with reset()
    #: The arguments of the world that a snapshot depends on: texts and numbers by name. A subclass sets them.
    _world_settings: Mapping[str, Any] = {}  # never changed, only replaced

    @property
    def can_snapshot(self) -> bool:
        """Whether the backend can be saved and restored."""
        methods = all(callable(getattr(self.backend, name, None)) for name in ("snapshot", "restore", "decode"))
        return methods and not getattr(self.backend, "not_restorable", "")

    @property
    def settings(self) -> dict[str, Any]:
        """What an env must have in common with the env of a snapshot to restore it."""
        return {
            "env": type(self).__name__,
            "backend": self.backend.name,
            "split": self.split,
            "max_steps": self.max_steps,
            "anchor": self.anchor,
            "expert": self.expert,
            **self._world_settings,
        }

    def snapshot(self) -> Snapshot:
        """The present moment of the episode, as a value from which this env or another one can go on.

        Wrappers around the env have their own state: use :func:`~agentgym_hindsight.wrappers.snapshot_of` for a wrapped
        env.
        """
        turn, task = self._turn, self.task
        if turn is None or task is None:
            raise ResetNeededError("Expected an episode to take a snapshot of, got none; try env.reset().")
        self._require_backend()
        world = self.backend.snapshot(turn)
        generator, copy = self._np_random, getattr(self._situation, "copy", None)
        lost = getattr(self.backend, "lost", None)
        return Snapshot(
            self.settings,
            task,
            tuple(self._steps),
            turn[:8],
            self._anchor,
            self._over,
            (self._seed, self._order_seed, self._position, self._order is not None),
            None if generator is None else (self._np_random_seed, generator.bit_generator.state),
            world,
            None if copy is None else copy(),
            lost=() if lost is None else lost(world),
        )

    def restore(self, value: Snapshot) -> tuple[str, dict[str, Any]]:
        """Go on from a snapshot of this env, or of another one with the same arguments.

        Returns the observation and the info of that moment, as the last ``reset`` or ``step`` did. The task becomes
        that of the snapshot, and a later ``reset()`` continues its order of tasks. The snapshot does not change.
        """
        if not isinstance(value, Snapshot):
            raise UsageError(f"Expected a Snapshot, got {type(value).__name__}; try env.unwrapped.snapshot().")
        self._require_same(value.settings)
        self._require_backend()
        if value.loaded:
            world = self.backend.decode(value.task, value.world)
            object.__setattr__(value, "world", world)  # checked once, and not again by the next env
            object.__setattr__(value, "loaded", False)
        self._turn, self._over = None, True  # if an exception follows, the env needs a reset
        turn = self.backend.restore(value.task, value.world, Turn(*value.turn))
        self._set_generators(value)
        steps = self._steps = list(value.steps)
        self.task, self._turn, self._over, self._anchor = value.task, turn, value.over, value.anchor
        self._situation = self._restored_situation(value)
        self._forked_at = len(steps)
        hindsight = hindsight_now(steps[-1], steps) if steps else _NO_HINDSIGHT
        if value.over:
            hindsight = self._final(hindsight, value.task)
        return turn.observation, self._info(turn, hindsight)

    def _origin(self) -> Origin | None:
        """Where this rollout begins, if it began with ``restore()``."""
        if self._forked_at is None or self.task is None:
            return None
        actions = (step.action for step in self._steps[: self._forked_at])
        return Origin(self.task.id, self._forked_at, content_hash(self.task.id, *actions))

    # -- internal -------------------------------------------------------------------------------------------------

    def _require_backend(self) -> None:
        if not self.can_snapshot:
            reason = getattr(self.backend, "not_restorable", "")
            which = f"{self.backend.name}: {reason}" if reason else f"{self.backend.name}, which cannot"
            raise UsageError(
                f"Expected a backend that can be restored, got {which}; try to play the "
                "actions of the rollout again after reset(options={'task_id': …}), or another backend."
            )

    def _require_same(self, settings: Mapping[str, Any]) -> None:
        own = self.settings
        if own == settings:
            return
        different = [name for name in {**own, **settings} if own.get(name) != settings.get(name)]
        raise UsageError(
            f"Expected a snapshot of an env with {', '.join(f'{name}={own.get(name)!r}' for name in different)}, got "
            f"one with {', '.join(f'{name}={settings.get(name)!r:.200}' for name in different)}; "
            "try an env that is made with the same arguments."
        )

    def _set_generators(self, value: Snapshot) -> None:
        seed, order_seed, position, begun = value.draws
        if not begun:
            self._order = None
        elif self._order is None or order_seed != self._order_seed:
            self._order = SeededOrder(self.backend.count(self.split), order_seed)
        self._seed, self._order_seed, self._position = seed, order_seed, position
        if value.random is None:
            self._np_random = None
            return
        generator_seed, state = value.random
        if self._np_random is None:
            self._np_random = np.random.Generator(np.random.PCG64(0))
        self._np_random.bit_generator.state = state
        self._np_random_seed = generator_seed

    def _restored_situation(self, value: Snapshot) -> Any:
        if value.situation is not None:
            return value.situation.copy()
        situation = self._new_situation()
        if situation is not None:
            for step in value.steps:
                situation.follow(step.action, step.feedback)
        return situation

    def _new_situation(self) -> Any:
        raise NotImplementedError

    def _final(self, hindsight: Hindsight, task: Task) -> Hindsight:
        raise NotImplementedError

    def _info(self, turn: Turn, hindsight: Hindsight) -> dict[str, Any]:
        raise NotImplementedError
