"""Computes the five sources of every step from finished rollouts, including the delayed sources."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from agentgym_hindsight.hindsight.sources import Feedback, Hindsight, Provenance
from agentgym_hindsight.hindsight.trajectory import Group, Step, Trajectory, render_steps

__all__ = ["ReferenceSource", "hindsight_now", "reference_for", "resolve", "resolve_episode"]


class ReferenceSource(Protocol):
    """An object that may return a successful rollout of a task: a store, an expert."""

    def reference(self, task_id: str) -> Trajectory | None: ...


def hindsight_now(step: Step, so_far: Sequence[Step]) -> Hindsight:
    """The sources known right after ``step``. ``so_far`` are the episode's steps through it; it may grow later."""
    count = step.index + 1
    return Hindsight(
        immediate_feedback=Feedback(step.feedback, Provenance.ENVIRONMENT, step.index, step.detail),
        next_observation=Feedback(step.next_observation, Provenance.ENVIRONMENT, step.index),
        current_trajectory=Feedback(lambda: render_steps(so_far[:count]), Provenance.ENVIRONMENT, step.index),
    )


def resolve_episode(
    steps: Sequence[Step], success: Trajectory | None = None, provenance: Provenance = Provenance.SIBLING
) -> tuple[Hindsight, ...]:
    """The hindsight of every step at the end of the episode."""
    whole = _cached(partial(render_steps, steps))
    reference = None if success is None else Feedback(_cached(partial(_render_success, success)), provenance, 0)
    return tuple(
        Hindsight(
            immediate_feedback=Feedback(step.feedback, Provenance.ENVIRONMENT, step.index, step.detail),
            next_observation=Feedback(step.next_observation, Provenance.ENVIRONMENT, step.index),
            current_trajectory=Feedback(whole, Provenance.ENVIRONMENT, step.index),
            future_trajectory=Feedback(partial(render_steps, steps[place + 1 :]), Provenance.ENVIRONMENT, step.index),
            successful_trajectory=reference,
        )
        for place, step in enumerate(steps)
    )


def resolve(
    group: Group, store: ReferenceSource | None = None, *, own_success: bool = False
) -> tuple[tuple[Hindsight, ...], ...]:
    """The hindsight of every step of every member, in the members' order.

    The successful trajectory of a member is that of the first *other* member that won, else the one from ``store``,
    else ``None``. ``own_success`` allows a winner as its own reference.
    """
    return tuple(
        resolve_episode(trajectory.steps, *reference_for(group, member, store, own_success=own_success))
        for member, trajectory in enumerate(group)
    )


def reference_for(
    group: Group, member: int, store: ReferenceSource | None = None, *, own_success: bool = False
) -> tuple[Trajectory | None, Provenance]:
    """The successful rollout that serves as reference for ``member``, and its origin.

    A store may already contain the rollout of ``member``. Without ``own_success`` it is not its own reference.
    """
    sibling = group.success_for(member, own=own_success)
    if sibling is not None:
        return sibling, Provenance.SIBLING
    stored = store.reference(group.task_id) if store is not None else None
    if stored is None or (not own_success and _same_rollout(stored, group[member])):
        return None, Provenance.STORE
    return stored, Provenance.EXPERT if stored.policy == "expert" else Provenance.STORE


def _same_rollout(left: Trajectory, right: Trajectory) -> bool:
    # A stored rollout may have analyses that were written after the one of the group, or the reverse.
    return left.replace(analyses=()) == right.replace(analyses=())


def _render_success(success: Trajectory) -> str:
    return render_steps(success.steps)


def _cached(render: Callable[[], str]) -> Callable[[], str]:
    """Cache the text: it is rendered at the first access and shared by many steps."""
    cache: list[str] = []

    def text() -> str:
        if not cache:
            cache.append(render())
        return cache[0]

    return text
