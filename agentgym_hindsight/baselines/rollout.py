"""Play tasks with a policy in a vector env. Finished episodes leave the batch; broken episodes are kept as data."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

from agentgym_hindsight.baselines.continuations import Continuation, answers_of, play_on
from agentgym_hindsight.baselines.policies.base import Policy, Reply, TurnView
from agentgym_hindsight.errors import BackendError, UsageError
from agentgym_hindsight.hindsight.trajectory import Trajectory
from agentgym_hindsight.tasks import Task
from agentgym_hindsight.vector import HindsightVectorEnv, unstack

__all__ = ["Assignment", "Continuation", "Episode", "assignments", "play", "rollout"]

#: A task and the number of the rollout within its group (the sibling).
Assignment = tuple[Task, int]


class Episode(NamedTuple):
    """A rollout and the policy's reply at each of its steps, with tokens if the policy gives them.

    The replies of a continuation begin with the first step after ``trajectory.origin.step``.
    """

    trajectory: Trajectory
    replies: tuple[Reply, ...]


def assignments(
    tasks: Sequence[Task], siblings: int = 1, *, done: Collection[tuple[str, int]] = frozenset()
) -> list[Assignment]:
    """Every (task, sibling) except the (task id, sibling) pairs in ``done``; siblings of a task are adjacent."""
    if siblings < 1:
        raise UsageError(f"Expected at least one rollout per task, got siblings={siblings}; try 1.")
    return [(task, number) for task in tasks for number in range(siblings) if (task.id, number) not in done]


def rollout(
    venv: HindsightVectorEnv,
    policy: Policy,
    todo: Sequence[Assignment] | Sequence[Continuation],
    *,
    seed: int = 0,
    on_turns: Callable[[int], object] | None = None,
) -> Iterator[Trajectory]:
    """The trajectories of :func:`play`, without the replies' tokens."""
    return (episode.trajectory for episode in play(venv, policy, todo, seed=seed, on_turns=on_turns))


def play(
    venv: HindsightVectorEnv,
    policy: Policy,
    todo: Sequence[Assignment] | Sequence[Continuation],
    *,
    seed: int = 0,
    on_turns: Callable[[int], object] | None = None,
) -> Iterator[Episode]:
    """Play ``todo`` in batches of ``venv.num_envs`` and yield the episodes in the order of ``todo``, batch by batch.

    Instead of tasks, ``todo`` may be continuations of snapshots. Then an env takes the next one as soon as its rollout
    has ended, which keeps the batches broad, and ``seed`` has no meaning: each has that of its snapshot.

    ``on_turns`` is called after each step with the number of turns just played (for a progress display). The generator
    may be closed at any point: every yielded episode is complete. ``seed`` is passed to the envs and stored in every
    trajectory.

    A policy whose model is gone raises :class:`~agentgym_hindsight.errors.BackendError`. The rollouts that have ended
    are then yielded, and those that have not as broken, before the error is raised.
    """
    if venv.group_size != 1:
        raise UsageError(
            f"Expected a vector env with group_size=1, got {venv.group_size}; try group_size=1, "
            "because the assignments already define the groups."
        )
    starts = [each for each in todo if isinstance(each, Continuation)]
    if starts:
        if len(starts) != len(todo):
            raise UsageError("Expected either tasks or continuations to play, got both; try two calls.")
        yield from _continued(venv, policy, starts, on_turns)
        return
    tasks = [each for each in todo if not isinstance(each, Continuation)]
    for start in range(0, len(tasks), venv.num_envs):
        wave = tasks[start : start + venv.num_envs]
        observations, infos = venv.reset(seed=seed, tasks=[task for task, _ in wave])
        replies: list[list[Reply]] = [[] for _ in wave]
        pasts: list[tuple[tuple[str, Reply], ...]] = [() for _ in wave]  # of conversations
        step = 0
        while venv.active.any():
            turns = {
                slot: TurnView(wave[slot][0].id, wave[slot][1], step, observations[slot], info, pasts[slot])
                for slot, info in enumerate(unstack(infos))
                if info is not None and venv.active[slot]
            }
            try:
                answers = answers_of(policy, list(turns.values()))
            except BackendError as error:
                # The model is gone. Rollouts that have ended are complete, and the others are kept with the reason.
                active = venv.active
                for slot, episode in enumerate(_episodes(venv, wave, replies, policy, seed)):
                    broken = str(error) if active[slot] else ""
                    yield episode._replace(trajectory=episode.trajectory.replace(broken=broken)) if broken else episode
                raise
            actions: list[str | None] = [None] * venv.num_envs
            for slot, reply in zip(turns, answers, strict=True):
                replies[slot].append(reply)
                actions[slot] = reply.text
                if turns[slot].info.get("conversation"):
                    pasts[slot] += ((turns[slot].observation, reply),)
            observations, _, _, _, infos = venv.step(actions)
            step += 1
            if on_turns is not None:
                on_turns(len(turns))
        yield from _episodes(venv, wave, replies, policy, seed)


def _episodes(
    venv: HindsightVectorEnv, wave: Sequence[Assignment], replies: Sequence[list[Reply]], policy: Policy, seed: int
) -> Iterator[Episode]:
    """The rollouts that the envs have now."""
    for slot, trajectory in enumerate(venv.trajectories()):
        recorded = trajectory.replace(seed=seed, sibling=wave[slot][1], policy=policy.name)
        # The turn in which an env failed has a reply but no step.
        yield Episode(recorded, tuple(replies[slot][: len(recorded.steps)]))


def _continued(
    venv: HindsightVectorEnv,
    policy: Policy,
    starts: Sequence[Continuation],
    on_turns: Callable[[int], object] | None,
) -> Iterator[Episode]:
    """The episodes in the order of ``starts``, each as soon as it and all before it have ended."""
    ended: dict[int, Episode] = {}
    due = 0
    for number, trajectory, replies in play_on(venv, policy, starts, on_turns):
        ended[number] = Episode(trajectory, replies)
        while due in ended:
            yield ended.pop(due)
            due += 1
