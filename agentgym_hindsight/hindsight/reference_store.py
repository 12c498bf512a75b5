"""A store of successful rollouts from earlier epochs, other workers or experts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from agentgym_hindsight.errors import UnknownNameError, UsageError
from agentgym_hindsight.hindsight.jsonl import iter_jsonl, write_jsonl
from agentgym_hindsight.hindsight.trajectory import Trajectory

__all__ = ["ReferenceStore"]

_POLICIES = ("shortest", "newest")


class ReferenceStore:
    """Stores one successful rollout per task, for groups without a winner. A :class:`~.resolve.ReferenceSource`.

    * ``keep``: ``"shortest"`` keeps the rollout with the fewest steps (ties: the earlier one); ``"newest"`` the last
      one.
    * ``capacity``: the largest number of tasks. The task whose reference was replaced least recently is dropped first.

    The content depends only on the order of :meth:`add` calls.

    >>> store = ReferenceStore()
    >>> store.add([Trajectory("1f"), Trajectory("1f", won=True, policy="expert")])
    0
    >>> from agentgym_hindsight.hindsight.trajectory import Step
    >>> store.add(Trajectory("1f", won=True, steps=(Step(0, "a room", "look", "a room", "a room"),)))
    1
    >>> store.reference("1f").actions, store.reference("2e")
    (('look',), None)
    """

    def __init__(self, keep: Literal["shortest", "newest"] = "shortest", capacity: int | None = None) -> None:
        if keep not in _POLICIES:
            raise UnknownNameError("policy of a store", keep, _POLICIES)
        if capacity is not None and capacity < 1:
            raise UsageError(f"Expected a capacity of at least one task, got {capacity}; try None for no limit.")
        self.keep, self.capacity = keep, capacity
        self._references: dict[str, Trajectory] = {}  # in the order of their last replacement

    def add(self, trajectories: Trajectory | Iterable[Trajectory]) -> int:
        """Add a rollout, a group or any rollouts. Returns how many became the reference of their task.

        Rollouts that did not win, are broken or have no step are ignored.
        """
        if isinstance(trajectories, Trajectory):
            trajectories = (trajectories,)
        return sum(self._add_one(trajectory) for trajectory in trajectories)

    def reference(self, task_id: str) -> Trajectory | None:
        """The successful rollout of a task, if there is one."""
        return self._references.get(task_id)

    def __len__(self) -> int:
        return len(self._references)

    def __contains__(self, task_id: object) -> bool:
        return task_id in self._references

    def __iter__(self) -> Iterator[Trajectory]:
        return iter(tuple(self._references.values()))

    def __repr__(self) -> str:
        return f"ReferenceStore({self.keep!r}, {len(self)} tasks)"

    def save(self, path: str | Path) -> None:
        """Write the references as trajectories (JSONL)."""
        write_jsonl(path, self)

    @classmethod
    def load(
        cls, path: str | Path, keep: Literal["shortest", "newest"] = "shortest", capacity: int | None = None
    ) -> ReferenceStore:
        """Make a store from recorded rollouts: a file of :meth:`save`, or any trajectories.

        A line that cannot be read raises an error: with references missing, a run would silently give other results.
        """
        store = cls(keep, capacity)
        store.add(item for item in iter_jsonl(path, strict=True) if isinstance(item, Trajectory))
        return store

    def _add_one(self, trajectory: Trajectory) -> bool:
        if not trajectory.won or trajectory.broken or not trajectory.steps:
            return False
        known = self._references.get(trajectory.task_id)
        if known is not None and self.keep == "shortest" and len(trajectory) >= len(known):
            return False
        self._references.pop(trajectory.task_id, None)  # moves the task to the end of the order
        self._references[trajectory.task_id] = trajectory
        if self.capacity is not None and len(self._references) > self.capacity:
            del self._references[next(iter(self._references))]
        return True
